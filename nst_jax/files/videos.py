"""Clips in, as a stream of pictures: what FFmpeg decodes, through PyAV, or a folder of pictures.

One frame at a time is held, so that memory does not grow with a clip. Writing is in
nst_jax.files.video_output.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from nst_jax.files.decoding import MIN_SIDE
from nst_jax.files.disk import FilePath, open_to_read, quoted
from nst_jax.files.folders import list_images
from nst_jax.files.pictures import MAX_SIDE, load_pixels
from nst_jax.files.video_frames import pixel_aspect, resized, to_pixels, upright_size
from nst_jax.files.video_libraries import reason_of, require_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FOLDER_RATE = Fraction(25)
"""Frames a second of a folder of pictures where nothing is said."""

# Containers of one file. Playlists are left out, which would open what they name.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,apng,webp,"
    "h264,hevc,av1,ivf,nut,mxf,dv,yuv4mpegpipe,mp3,wav,flac,aac"
)
_CUT_OFF = Fraction(9, 10)  # of the frames that a file announces, below which it is cut off


class Frame(NamedTuple):
    """A picture of a clip.

    Attributes:
        pixels: RGB in [0, 1], upright.
        time: Seconds since the clip, or the part of it that is read, began.
    """

    pixels: Float[np.ndarray, "height width 3"]
    time: Fraction


class Clip(NamedTuple):
    """What is known of a clip before it is read.

    Attributes:
        height: Pixels of its frames' height, upright and scaled.
        width: The same of the width.
        time_base: Seconds that the times of frames are multiples of.
        rate: Frames a second, on average.
        num_frames: How many frames there are, about; None where the file does not say.
        has_sound: Whether there is a sound track.
    """

    height: int
    width: int
    time_base: Fraction
    rate: Fraction
    num_frames: int | None
    has_sound: bool


class Selection(NamedTuple):
    """Which frames of a clip are read, and how large.

    Attributes:
        size: Pixels of the longer side; None leaves the frames as large as they are.
        start: Seconds from where on.
        end: Seconds until where; None for the clip's end.
        fps: Frames a second: frames of a clip are left out or repeated; None keeps them as they
            are. For a folder, its rate.
    """

    size: int | None = None
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    fps: Fraction | None = None


def describe_clip(path: FilePath, *, selection: Selection = Selection()) -> Clip:
    """Return what is known of a clip, or of a folder of pictures, before it is read.

    Args:
        path: A file that FFmpeg reads, or a folder, whose pictures are frames in order of name.
        selection: Which part of it counts.

    Raises:
        VideoLibraryMissingError: PyAV is not installed.
        ValueError: The file is no clip, is damaged, has no pictures, or frames too small or large.
        OSError: It cannot be read.
    """
    check_selection(selection)
    if os.path.isdir(path):
        names = list_images(path)
        rate = selection.fps or FOLDER_RATE
        height, width = load_pixels(names[0], size=selection.size).shape[:2]
        begin, end = _folder_range(len(names), selection, rate)
        return Clip(height, width, 1 / rate, rate, end - begin, has_sound=False)
    with _opened(path) as (container, stream):
        width, height = upright_size(
            _first_frame(container, stream, path), pixel_aspect(stream), selection.size, path
        )
        rate = selection.fps or Fraction(stream.average_rate or stream.base_rate or FOLDER_RATE)
        length = _seconds(container, stream)
        num_frames = stream.frames or None
        if length is not None:
            last = length if selection.end is None else min(length, selection.end)
            if selection.fps or selection.start or last < length or not num_frames:
                num_frames = max(0, round((last - selection.start) * rate))
        base = 1 / rate if selection.fps else Fraction(stream.time_base or 1 / rate)
        return Clip(height, width, base, rate, num_frames, has_sound=bool(container.streams.audio))


def read_frames(
    path: FilePath, *, selection: Selection = Selection(), skip: int = 0
) -> Iterator[Frame]:
    """Yield the frames of a clip, or of a folder of pictures, in the order in which they show.

    The rotation that a clip asks for is applied, pixels that are not square are made so, and
    colours are converted by the matrix that the clip names, in as many bits as it has. Transparency
    is laid on white. Frames whose size differs from the first one's are scaled to it.

    Args:
        path: As for describe_clip.
        selection: Which part of it counts.
        skip: How many frames of the selection are left out at its beginning.

    Raises:
        VideoLibraryMissingError: PyAV is not installed.
        ValueError: As describe_clip; or a frame cannot be decoded.
        OSError: It cannot be read.
    """
    check_selection(selection)
    if os.path.isdir(path):
        yield from _read_folder(path, selection, skip)
        return
    with _opened(path) as (container, stream):
        size: tuple[int, int] | None = None
        timed = _timed(container, stream, path)
        for number, (time, frame) in enumerate(_selected(timed, selection)):
            size = size or upright_size(frame, pixel_aspect(stream), selection.size, path)
            if number >= skip:
                yield Frame(to_pixels(frame, size, path), time)


def check_selection(selection: Selection) -> None:
    """Raise a ValueError unless a selection can be read.

    Raises:
        ValueError: A number is out of range.
    """
    size, start, end, fps = selection
    if size is not None and not MIN_SIDE <= size <= MAX_SIDE:
        raise ValueError(f"size: wanted {MIN_SIDE} to {MAX_SIDE} pixels, got {size}")
    if start < 0:
        raise ValueError(f"start: wanted 0 seconds or more, got {float(start):g}")
    if end is not None and end <= start:
        raise ValueError(
            f"end: wanted more seconds than start, {float(start):g}, got {float(end):g}"
        )
    if fps is not None and not 0 < fps <= 1000:
        raise ValueError(f"fps: wanted more than 0 and at most 1000, got {float(fps):g}")


def _read_folder(path: FilePath, selection: Selection, skip: int) -> Iterator[Frame]:
    names, rate = list_images(path), selection.fps or FOLDER_RATE
    begin, end = _folder_range(len(names), selection, rate)
    if begin >= end:
        raise _nothing_selected(path)
    first = load_pixels(names[begin], size=selection.size).shape[:2]
    for number, name in enumerate(names[begin:end][skip:], start=skip):
        pixels = load_pixels(name, size=selection.size)
        if pixels.shape[:2] != first:
            pixels = resized(pixels, (first[1], first[0]))
        yield Frame(pixels, number / rate)


def _folder_range(count: int, selection: Selection, rate: Fraction) -> tuple[int, int]:
    begin = math.ceil(selection.start * rate)
    end = count if selection.end is None else min(count, math.ceil(selection.end * rate))
    return begin, max(begin, end)


def _nothing_selected(path: FilePath) -> ValueError:
    return ValueError(f"start: wanted a time within {quoted(path)}, got one after its last frame")


@contextmanager
def _opened(path: FilePath) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    with opened_container(path) as container:
        yield container, _video_stream(container, quoted(path))


@contextmanager
def opened_container(path: FilePath) -> Iterator["InputContainer"]:
    """Give a clip as PyAV opens it.

    Args:
        path: The clip.

    Raises:
        VideoLibraryMissingError: PyAV is not installed.
        ValueError: The file is no clip.
        OSError: It cannot be read.
    """
    av, name = require_av(), quoted(path)
    with open_to_read(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ValueError(f"cannot read {name}: the file is empty; fetch or save it again")
        try:
            # As an open file, never by name: FFmpeg takes some names for addresses or devices.
            container = av.open(
                file, options={"format_whitelist": _CONTAINERS}, metadata_errors="replace"
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise ValueError(
                f"cannot read {name}: not a clip that FFmpeg knows, or a damaged one "
                f"({reason_of(error)}); convert it to MP4, or fetch or save it again"
            ) from error
        with container:
            yield container


def _video_stream(container: "InputContainer", name: str) -> "VideoStream":
    cover = require_av().stream.Disposition.attached_pic
    streams = [each for each in container.streams.video if not each.disposition & cover]
    if not streams:
        raise ValueError(
            f"cannot read {name}: it has no video track; name a clip, or a folder of pictures"
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise ValueError(
            f"cannot read {name}: this FFmpeg has no decoder for its video; convert it to MP4 "
            "with H.264"
        )
    stream.thread_type = "AUTO"
    return stream


def _first_frame(container: "InputContainer", stream: "VideoStream", path: FilePath):
    for _, frame in _timed(container, stream, path):
        return frame
    raise AssertionError  # _timed raises where there is none


def _seconds(container: "InputContainer", stream: "VideoStream") -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return Fraction(stream.duration * stream.time_base)
    return None if container.duration is None else Fraction(container.duration, 1_000_000)


def _timed(
    container: "InputContainer", stream: "VideoStream", path: FilePath
) -> Iterator[tuple[Fraction, "VideoFrame"]]:
    """Every frame with its time, which grows; a damaged one is an error."""
    av, name = require_av(), quoted(path)
    origin = Fraction(container.start_time or 0, 1_000_000)
    rate = Fraction(stream.average_rate or FOLDER_RATE)
    frames, count, last = container.decode(stream), 0, Fraction(-1)
    while True:
        try:
            frame = next(frames, None)
        except (av.FFmpegError, ValueError) as error:
            raise _damaged(name, count, last, reason_of(error)) from error
        if frame is None:
            break
        if frame.is_corrupt:
            raise _damaged(name, count, last, "its data are incomplete")
        time = Fraction(count) / rate
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * Fraction(frame.time_base) - origin
        last = max(time, Fraction(0)) if time > last else last + Fraction(1, 1000)
        yield last, frame
        count += 1
    if count == 0 or count < stream.frames * _CUT_OFF:
        raise _damaged(name, count, last, f"only {count} of {stream.frames} frames are there")


def _damaged(name: str, count: int, last: Fraction, why: str) -> ValueError:
    end = f", or use what comes before it (--end {float(last):.3f})" if count else ""
    return ValueError(
        f"cannot read {name}: frame {count + 1} is damaged or missing ({why}); fetch or save the "
        f"clip again{end}"
    )


def _selected(
    timed: Iterator[tuple[Fraction, "VideoFrame"]], selection: Selection
) -> Iterator[tuple[Fraction, "VideoFrame"]]:
    """The frames from start to end, with times from start on, at fps where it is given."""
    _, start, end, fps = selection
    number = 0
    if fps is None:
        for time, frame in timed:
            if end is not None and time >= end:
                break
            if time >= start:
                number += 1
                yield time - start, frame
    else:
        for time, following, frame in _with_ends(timed):
            limit = following if end is None else min(following, end)
            while time <= start + number / fps < limit:
                yield number / fps, frame
                number += 1
            if end is not None and following >= end:
                break
    if number == 0:
        raise ValueError(
            f"start: wanted a time before the clip's last frame, got {float(start):g} seconds"
        )


def _with_ends(
    timed: Iterator[tuple[Fraction, "VideoFrame"]],
) -> Iterator[tuple[Fraction, Fraction, "VideoFrame"]]:
    """Every frame with the times at which it comes and goes; the first is there from 0 on."""
    held: tuple[Fraction, VideoFrame] | None = None
    begin, shown = Fraction(0), Fraction(0)
    for time, frame in timed:
        if held is not None:
            shown = time - held[0]
            yield begin, time, held[1]
            begin = time
        held = (time, frame)
    if held is not None:
        yield begin, held[0] + (shown or 1 / FOLDER_RATE), held[1]
