"""Clips out, frame by frame: an MP4 with the sound of another clip, or a folder of pictures.

What is written appears whole, at the end, or not at all.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from nst_jax.files.disk import (
    FilePath,
    claim_temporary,
    existing,
    quoted,
    replacing,
    unwritable,
)
from nst_jax.files.pictures import check_output, load_origin, save_image
from nst_jax.files.video_libraries import reason_of, require_av
from nst_jax.files.videos import Clip, Frame, opened_container

if TYPE_CHECKING:
    from av.container import OutputContainer

CLIP_EXTENSION = ".mp4"
"""What the name of a clip that is written ends in."""

AddFrame = Callable[[Frame], None]

# Encoders of what every player shows, the better one first, with a quality that looks unchanged.
_ENCODERS = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libopenh264": {},
    "mpeg4": {"qscale": "3"},
}
_SOUND_IN_MP4 = {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"}  # others are coded again
_BT709 = 1  # FFmpeg's number, of matrix, primaries and transfer alike
_LIMITED = 1  # luma from 16 to 235
_FINEST = Fraction(1, 90_000)  # seconds; times finer than this are rounded to it
_ORIGIN = "comment"  # of the keys that MP4 knows, one that FFmpeg leaves alone
_FRAME_NAME = re.compile(r"\d{6}\.png")


class Sound(NamedTuple):
    """Where the sound of a clip comes from.

    Attributes:
        path: A clip; one without sound gives none.
        start: Seconds of it that are left out.
        end: Seconds at which it ends; None for all.
    """

    path: FilePath
    start: Fraction = Fraction(0)
    end: Fraction | None = None


def is_folder_name(path: FilePath) -> bool:
    """Return whether a clip written to this path is a folder of pictures: it does not end in .mp4.

    Args:
        path: Where a clip is to be written.
    """
    return os.path.isdir(path) or not Path(path).suffix


def check_clip_output(path: FilePath, *, overwrite: bool) -> None:
    """Raise now, before minutes of work, what writing a clip would raise at the end of them.

    Args:
        path: A name that ends in .mp4, or a folder.
        overwrite: Whether what is there may be replaced.

    Raises:
        ValueError: The name ends otherwise.
        FileExistsError: There is a file, and overwrite is false; or a folder holds something else
            than frames.
        OSError: Nothing can be written there.
        VideoLibraryMissingError: PyAV is not installed.
    """
    if not is_folder_name(path):
        require_av()
        check_output(path, overwrite=overwrite, extensions=(CLIP_EXTENSION,))
        return
    _beside(path).rmdir()
    there = [] if not os.path.exists(path) else os.listdir(path)
    if not all(_FRAME_NAME.fullmatch(name) for name in there):
        raise FileExistsError(
            f"{quoted(path)} holds other files than frames; choose another name, or empty it"
        )
    if there and not overwrite:
        raise existing(path)


def clip_exists(path: FilePath) -> bool:
    """Return whether something lies where a clip is to be written; an empty folder is nothing.

    Args:
        path: A name that ends in .mp4, or a folder.
    """
    return bool(os.listdir(path)) if os.path.isdir(path) else os.path.exists(path)


def load_clip_origin(path: FilePath) -> str | None:
    """Return the line that writing_clip was given as origin; None where there is none.

    Args:
        path: A clip, or a folder of its pictures, the first of which counts.
    """
    if os.path.isdir(path):
        return load_origin(Path(path) / frame_name(1))
    try:
        with opened_container(path) as container:
            return container.metadata.get(_ORIGIN)
    except (ValueError, OSError):  # whatever it is, it says nothing of its origin
        return None


@contextmanager
def writing_clip(
    path: FilePath,
    clip: Clip,
    *,
    sound: Sound | None = None,
    overwrite: bool = True,
    origin: str | None = None,
) -> Iterator[AddFrame]:
    """Give a function that takes a clip's frames in turn; the clip appears at the block's end.

    An MP4 has H.264 with BT.709's colours; frames keep their times to 1/90,000 s or better. Where a
    side is odd, its last row or column is repeated, since the format wants even sides. The sound is
    copied as it is, or coded again as AAC where MP4 does not hold its format.

    Args:
        path: A name that ends in .mp4; or a folder, for pictures 000001.png and so on.
        clip: Its time base and rate.
        sound: What it sounds like; a folder has no sound.
        overwrite: Whether what is there by the end may be replaced.
        origin: A line of ASCII on what made the clip, for load_clip_origin.

    Raises:
        ValueError: A frame is not finite, or a name ends otherwise; or no encoder is there.
        FileExistsError: There is something, and overwrite is false.
        OSError: It cannot be written.
        VideoLibraryMissingError: PyAV is not installed.
    """
    if is_folder_name(path):
        with _writing_folder(path, overwrite=overwrite, origin=origin) as add:
            yield add
        return
    av, name = require_av(), quoted(path)
    with replacing(path, overwrite=overwrite) as temporary:
        try:
            options = {"movflags": "+faststart"}
            with av.open(str(temporary), "w", format="mp4", options=options) as container:
                if origin is not None:
                    container.metadata[_ORIGIN] = origin
                writer = _ClipWriter(container, clip, sound)
                yield writer.add
                writer.finish()
        except av.FFmpegError as error:
            raise OSError(
                f"cannot write {name}: {reason_of(error)}; its folder must be writable and have "
                "room"
            ) from error


class _ClipWriter:
    """An MP4 in the making: frames as they come, and the sound up to each of them."""

    def __init__(self, container: "OutputContainer", clip: Clip, sound: Sound | None):
        self._container, self._clip, self._sound = container, clip, sound
        self._base = max(clip.time_base, _FINEST)
        self._last = -1
        self._stream: Any = None  # from the first frame on
        self._track: _SoundTrack | None = None

    def add(self, frame: Frame) -> None:
        """Encode a frame, after the sound before it."""
        pixels = _even(_to_bytes(frame.pixels))
        stream = self._stream
        if stream is None:
            stream = self._stream = self._begin(pixels)
        self._last = max(self._last + 1, round(frame.time / self._base))
        if self._track is not None:
            self._track.copy_until(self._last * self._base)
        coded = _to_yuv(pixels)
        coded.pts, coded.time_base = self._last, self._base
        self._container.mux(stream.encode(coded))

    def finish(self) -> None:
        """Write what the encoder holds back, and the rest of the sound."""
        if self._stream is None:
            raise ValueError("clip: wanted at least one frame, got none")
        self._container.mux(self._stream.encode(None))
        if self._track is not None:
            self._track.copy_until(None)
            self._track.close()

    def _begin(self, pixels: np.ndarray) -> Any:
        codec = next((name for name in _ENCODERS if _is_there(name)), None)
        if codec is None:
            raise ValueError(
                f"codec: wanted one of {', '.join(_ENCODERS)} in this FFmpeg, found none; "
                "reinstall PyAV (pip install --force-reinstall av), or write a folder of pictures"
            )
        rate = self._clip.rate.limit_denominator(100_000)
        stream: Any = self._container.add_stream(codec, rate=rate, options=dict(_ENCODERS[codec]))
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        stream.time_base = self._base
        if self._sound is not None and not os.path.isdir(self._sound.path):
            self._track = _SoundTrack(self._container, self._sound)
        return stream


class _SoundTrack:
    """The sound of one clip on its way into another."""

    def __init__(self, container: "OutputContainer", sound: Sound):
        self._container, self._sound = container, sound
        self._opened = ExitStack()
        source = self._opened.enter_context(opened_container(sound.path))
        self._origin = Fraction(source.start_time or 0, 1_000_000) + sound.start
        self._targets: dict[int, Any] = {}
        self._coded_again: set[int] = set()
        for stream in source.streams.audio:
            if stream.codec_context is None:
                continue  # no decoder, and no name to copy it under
            if stream.codec_context.name in _SOUND_IN_MP4:
                self._targets[stream.index] = container.add_stream_from_template(stream)
            else:
                target = container.add_stream("aac", rate=stream.codec_context.sample_rate)
                self._targets[stream.index] = target
                self._coded_again.add(stream.index)
        wanted = [each for each in source.streams.audio if each.index in self._targets]
        self._packets = source.demux(wanted) if wanted else iter(())
        self._held: Any = None

    def copy_until(self, time: Fraction | None) -> None:
        """Copy what sounds before a moment; None copies the rest."""
        while True:
            packet = self._held or next(self._packets, None)
            self._held = None
            if packet is None:
                return
            if packet.pts is None:  # the mark at a track's end
                continue
            at = packet.pts * Fraction(packet.time_base) - self._origin
            if time is not None and at > time:
                self._held = packet
                return
            if at >= 0 and (self._sound.end is None or at < self._sound.end - self._sound.start):
                self._copy(packet)

    def _copy(self, packet: Any) -> None:
        target = self._targets[packet.stream.index]
        shift = round(self._origin / Fraction(packet.time_base))
        if packet.stream.index in self._coded_again:
            for frame in packet.decode():
                frame.pts = None if frame.pts is None else frame.pts - shift
                self._container.mux(target.encode(frame))
            return
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = target
        self._container.mux(packet)

    def close(self) -> None:
        """Write what encoders hold back, and close the source."""
        for index in self._coded_again:
            self._container.mux(self._targets[index].encode(None))
        self._opened.close()


def _is_there(codec: str) -> bool:
    av = require_av()
    try:
        av.codec.Codec(codec, "w")
    except ValueError:
        return False
    return True


def _to_bytes(pixels: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    if not np.isfinite(pixels).all():
        raise ValueError("frame: wanted finite values from 0 to 1, got NaN or infinity")
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _even(pixels: np.ndarray) -> np.ndarray:
    """The picture with its last row or column repeated where their number is odd."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _to_yuv(pixels: np.ndarray) -> Any:
    av = require_av()
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    matrix = av.video.reformatter.Colorspace.ITU709
    frame = frame.reformat(format="yuv420p", dst_colorspace=matrix)
    frame.colorspace, frame.color_range = _BT709, _LIMITED
    return frame


@contextmanager
def _writing_folder(path: FilePath, *, overwrite: bool, origin: str | None) -> Iterator[AddFrame]:
    folder = _beside(path)
    count = 0

    def add(frame: Frame) -> None:
        nonlocal count
        count += 1
        save_image(folder / frame_name(count), jnp.asarray(frame.pixels[None]), origin=origin)

    try:
        yield add
        check_clip_output(path, overwrite=overwrite)
        if os.path.isdir(path):
            old = _beside(path)
            os.replace(path, old)
            os.replace(folder, path)
            shutil.rmtree(old)
        else:
            os.replace(folder, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise unwritable(error, path) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def frame_name(number: int) -> str:
    """Return what the picture of a frame is called, counted from 1: 000001.png.

    Args:
        number: The frame's.
    """
    return f"{number:06d}.png"


def _beside(path: FilePath) -> Path:
    """A new, empty folder beside a folder, with a name that no other process has."""
    target = Path(os.path.realpath(path))
    temporary = claim_temporary(target.parent / f"{target.name}.frames")
    temporary.unlink()
    try:
        temporary.mkdir()
    except OSError as error:
        raise unwritable(error, path) from error
    return temporary
