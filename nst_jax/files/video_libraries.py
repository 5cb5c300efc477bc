"""What clips need and a plain installation lacks: the extra `video`."""

from typing import Any

from nst_jax.files.disk import reason


class VideoLibraryMissingError(Exception):
    """A library that clips are read, written or followed with is not installed."""


def require_av() -> Any:
    """Return PyAV, which reads and writes clips by FFmpeg.

    Raises:
        VideoLibraryMissingError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise VideoLibraryMissingError(
            "clips need PyAV, and OpenCV for their motion: pip install av opencv-python-headless"
        ) from error
    return av


def require_opencv() -> Any:
    """Return OpenCV, which computes optical flow.

    Raises:
        VideoLibraryMissingError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise VideoLibraryMissingError(
            "optical flow needs OpenCV: pip install opencv-python-headless; --temporal statistics "
            "does without it"
        ) from error
    return cv2


def reason_of(error: BaseException) -> str:
    """Return why FFmpeg failed, without the file that its own errors repeat.

    Args:
        error: PyAV's.
    """
    return getattr(error, "strerror", None) or reason(error)
