"""How much a visitor of the page may ask for."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of what is uploaded, painted and kept.

    Attributes:
        picture_bytes: Of an uploaded picture.
        picture_pixels: Of an uploaded picture, before it is scaled.
        clip_bytes: Of an uploaded clip.
        clip_seconds: How much of a clip is painted.
        clip_size: Pixels of the longer side of a painted clip.
        size: Pixels of the longer side of a painted picture.
        optimise_size: The same, where its pixels are optimised.
        steps: Of optimising.
        waiting: Jobs that wait for the device.
        visits: Visitors whose files are kept; the one that was idle for longest goes first.
        idle_seconds: After which a visitor's files go.
        stored_bytes: Of all uploads together.
        request_bytes: Of a request that uploads nothing.
    """

    picture_bytes: int = 20 * MEBIBYTE
    picture_pixels: int = 40_000_000
    clip_bytes: int = 100 * MEBIBYTE
    clip_seconds: float = 10.0
    clip_size: int = 480
    size: int = 1024
    optimise_size: int = 512
    steps: int = 500
    waiting: int = 8
    visits: int = 64
    idle_seconds: float = 3600.0
    stored_bytes: int = 1024 * MEBIBYTE
    request_bytes: int = MEBIBYTE
