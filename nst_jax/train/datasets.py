"""Streams of training pictures, decoded by threads of the host while the device computes.

A stream is a pure function of the files, the seed and the position: its position is all that a
checkpoint needs. How a file is decoded is handed in; this module knows no format.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import PIL.Image
from jaxtyping import Float

_LANCZOS = PIL.Image.Resampling.LANCZOS

Pixels = Float[np.ndarray, "_ _ 3"]
"""One RGB picture in [0, 1] on the host."""

Loader = Callable[[Path], Pixels]
"""Decodes a file, in any thread; raises ValueError or OSError, in one line, if it is broken."""

Transform = Callable[[Pixels, np.random.Generator | None], Pixels]
"""Brings a picture to the size of the batch; None in place of a generator stands for the middle."""


@runtime_checkable
class Stream(Protocol):
    """Batches without end, whose position can be told and gone back to."""

    def __next__(self) -> Any:
        """Return the next batch, a pytree of NumPy arrays with the batch along axis 0."""
        ...

    def get_state(self) -> Any:
        """Return, as what JSON can hold, the position after the batch given last."""
        ...

    def set_state(self, state: Any) -> None:
        """Go to a position that get_state told."""
        ...


@runtime_checkable
class PictureStream(Stream, Protocol):
    """A stream with threads that work ahead."""

    def __iter__(self) -> Iterator[Any]:
        """Return itself."""
        ...

    def close(self) -> None:
        """End the threads."""
        ...


def squash(size: int, *, flip: bool = False) -> Transform:
    """Return a transform that scales every picture to size × size, whatever its aspect.

    The filter is Lanczos', as in files.load_image, so that networks train on pictures as sharp as
    those that they will be given.

    Reference: Johnson et al. 2016, §4.1.
    Differs: The authors first cut both sides to multiples of 16, at most 15 pixels.

    Args:
        size: Pixels of a side.
        flip: Whether half of the pictures are mirrored left to right, where there is a generator.

    Raises:
        ValueError: size is below 1.
    """
    _check_positive("size", size)

    def transform(pixels: Pixels, generator: np.random.Generator | None) -> Pixels:
        square = _to_picture(pixels).resize((size, size), _LANCZOS)
        return _to_pixels(_perhaps_mirrored(square, flip, generator))

    return transform


def random_crop(size: int, *, shorter_side: int | tuple[int, int], flip: bool = False) -> Transform:
    """Return a transform that scales a picture, aspect kept, and cuts out a square anywhere.

    All places in the scaled picture are equally likely. Without a generator the length is the
    middle of its range, the square is the central one and nothing is flipped.

    Reference: Huang and Belongie 2017, §6.1: 512 for the shorter side, 256 for the square.

    Args:
        size: Pixels of the square's side.
        shorter_side: What the picture's shorter side is scaled to, up or down: pixels, or the
            least and the most of a random number of pixels.
        flip: Whether half of the squares are mirrored left to right.

    Raises:
        ValueError: size is below 1, or shorter_side below size or not in rising order.
    """
    _check_positive("size", size)
    low, high = (shorter_side,) * 2 if isinstance(shorter_side, int) else shorter_side
    if not size <= low <= high:
        raise ValueError(
            f"shorter_side must be at least size, {size}, and a range go from its least to its "
            f"most; got {shorter_side}"
        )

    def transform(pixels: Pixels, generator: np.random.Generator | None) -> Pixels:
        picture = _to_picture(pixels)
        scale = _choose(low, high, generator) / min(picture.size)
        width, height = (round(side * scale) for side in picture.size)
        left = _choose(0, width - size, generator)
        top = _choose(0, height - size, generator)
        square = _crop_of_scaled(picture, (width, height), (left, top), size)
        return _to_pixels(_perhaps_mirrored(square, flip, generator))

    return transform


def _perhaps_mirrored(
    square: PIL.Image.Image, flip: bool, generator: np.random.Generator | None
) -> PIL.Image.Image:
    if flip and generator is not None and generator.integers(2):
        return square.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    return square


def picture_stream(
    paths: Sequence[Path],
    *,
    load: Loader,
    transform: Transform,
    batch_size: int,
    seed: int,
    num_threads: int = 2,
) -> PictureStream:
    """Return an endless stream of batches: every picture once an epoch, each in a new order.

    A batch may hold the end of one epoch and the beginning of the next. A broken file is skipped
    with one warning that names it, and tried again in the next epoch. The iterator's get_state()
    is a small dict that JSON can hold; after set_state() with it, here or in another process, the
    same batches follow as followed then. close() ends the threads.

    Args:
        paths: The files; nothing is read before the first batch.
        load: Decodes a file; called in threads.
        transform: Brings every picture to the same size.
        batch_size: Pictures in a batch; may exceed the number of files.
        seed: 0 to 2³² − 1; order and random transforms follow from it.
        num_threads: How many pictures are decoded at a time; 0 decodes in the caller's thread.

    Returns:
        An iterator of float32 arrays (batch_size, size, size, 3) in [0, 1]. Its next() raises
        ValueError when no file of a whole epoch can be read.

    Raises:
        ValueError: paths is empty, or a number is out of its range.
    """
    _check_positive("batch_size", batch_size)
    _check_paths(paths)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2^32 - 1, got {seed}")
    if num_threads < 0:
        raise ValueError(f"num_threads must be 0 or more, got {num_threads}")

    def read(path: Path, generator: np.random.Generator) -> Pixels | _Broken:
        return _read(path, load, transform, generator)

    import grain  # here: it takes long to load and only training needs it

    # Two batches ahead: enough to hide decoding, and little to throw away at the end.
    ahead = grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=max(2 * batch_size, num_threads)
    )
    pictures = grain.MapDataset.source(list(paths)).seed(seed).shuffle().repeat().random_map(read)
    # The filter runs in the caller's thread: its warnings come in the order of the stream, and
    # from two epochs' worth of files in a row, one whole epoch at least, none can be read.
    is_whole = _BrokenFilter(len(paths), patience=2 * len(paths))
    whole = pictures.to_iter_dataset(ahead).filter(is_whole)
    return iter(whole.batch(batch_size))


class NoBatches:
    """A stream for a training that needs no pictures but its arguments."""

    def __next__(self) -> tuple[()]:
        """Return an empty batch."""
        return ()

    def get_state(self) -> None:
        """Return no position."""
        return

    def set_state(self, state: None) -> None:
        """Do nothing."""
        del state


class ZippedStream:
    """Several streams as one, whose batch is made of theirs; from zip_streams."""

    def __init__(self, make: Callable[..., Any], streams: Sequence[PictureStream]):
        self._make, self._streams = make, streams

    def __iter__(self) -> Iterator[Any]:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Return the next batch."""
        return self._make(*(next(stream) for stream in self._streams))

    def get_state(self) -> Any:
        """Return the streams' positions."""
        return [stream.get_state() for stream in self._streams]

    def set_state(self, state: Any) -> None:
        """Go to the positions that get_state told."""
        for stream, place in zip(self._streams, state, strict=True):
            stream.set_state(place)

    def close(self) -> None:
        """End the streams' threads."""
        for stream in self._streams:
            stream.close()


def zip_streams(make: Callable[..., Any], *streams: PictureStream) -> ZippedStream:
    """Return a stream whose batches are make(...) of one batch of each of the streams.

    Args:
        make: Puts batches together, such as a NamedTuple's class.
        *streams: Whose seeds should differ, lest their pictures be cut and mirrored alike.
    """
    return ZippedStream(make, streams)


def fixed_batch(
    paths: Sequence[Path], *, load: Loader, transform: Transform, count: int
) -> Float[np.ndarray, "batch size size 3"]:
    """Return the first pictures that can be read, each in its transform's middle, as one batch.

    For losses on held-out pictures, which must not move from one evaluation to the next. A broken
    file is skipped with a warning that names it.

    Args:
        paths: The files, in the order in which they are taken.
        load: Decodes a file.
        transform: Brings every picture to the same size.
        count: Pictures in the batch; where fewer can be read, it holds those.

    Raises:
        ValueError: count is below 1, paths is empty, or no file can be read.
    """
    _check_positive("count", count)
    _check_paths(paths)
    is_whole = _BrokenFilter(len(paths), patience=len(paths))
    pictures = []
    for path in paths:
        picture = _read(path, load, transform, None)
        if is_whole(picture):
            pictures.append(picture)
        if len(pictures) == count:
            break
    return np.stack(pictures)


@dataclass(frozen=True)
class _Broken:
    """What takes the place of a picture whose file cannot be read."""

    path: Path
    error: Exception


class _BrokenFilter:
    """Lets pictures pass; warns of each broken file once, and gives up after many in a row."""

    def __init__(self, num_files: int, *, patience: int):
        self._num_files, self._patience = num_files, patience
        self._warned: set[Path] = set()
        self._in_a_row = 0

    def __call__(self, element: Pixels | _Broken) -> bool:
        if not isinstance(element, _Broken):
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if element.path not in self._warned:
            self._warned.add(element.path)
            warnings.warn(f"skipped {element.path.as_posix()!r}: {element.error}", stacklevel=1)
        if self._in_a_row == self._patience:
            raise ValueError(
                f"none of the {self._num_files} pictures can be read (the last: {element.error}); "
                "name a folder with others"
            )
        return False


def _read(
    path: Path, load: Loader, transform: Transform, generator: np.random.Generator | None
) -> Pixels | _Broken:
    try:
        pixels = load(path)
    except (ValueError, OSError) as error:
        return _Broken(path, error)
    return transform(pixels, generator)


def _choose(least: int, most: int, generator: np.random.Generator | None) -> int:
    if generator is None:
        return (least + most) // 2
    return int(generator.integers(least, most, endpoint=True))


def _crop_of_scaled(
    picture: PIL.Image.Image, scaled: tuple[int, int], corner: tuple[int, int], size: int
) -> PIL.Image.Image:
    """Return the square of the scaled picture, of which no more than the square is computed."""
    across, down = (side / target for side, target in zip(picture.size, scaled, strict=True))
    left, top = corner
    box = (left * across, top * down, (left + size) * across, (top + size) * down)
    return picture.resize((size, size), _LANCZOS, box=box)


def _to_picture(pixels: Pixels) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.rint(pixels * np.float32(255)).astype(np.uint8))


def _to_pixels(picture: PIL.Image.Image) -> Pixels:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value}")


def _check_paths(paths: Sequence[Path]) -> None:
    if not paths:
        raise ValueError("paths must name at least one picture, got none; see files.find_images")
