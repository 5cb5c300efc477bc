"""Random patches of pictures and of what was painted of them, for networks that learn from few.

A stream is a pure function of the pictures, the seed and the position. All pictures are at hand as
arrays: there are few of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.array_types import Image
from nst_jax.train.datasets import Pixels

Batch = Image | Float[np.ndarray, "batch height width 3"]

_MOST_CUT = 4  # pixels by which a painted picture may be smaller, as by a program that rounds


class PaintedPatches(NamedTuple):
    """Patches of pictures, the same patches painted, and painted ones of other places.

    Attributes:
        content: Of pictures.
        painted: What they are to look like.
        elsewhere: Of the same painted pictures, anywhere: examples of what is real that do not
            give away what is wanted at a place.
    """

    content: Batch
    painted: Batch
    elsewhere: Batch


class PatchStream:
    """Batches of PaintedPatches without end: pictures in turn, places at random."""

    def __init__(
        self,
        contents: Sequence[Pixels],
        painted: Sequence[Pixels],
        *,
        size: int,
        batch_size: int,
        seed: int,
        flip: bool = False,
    ):
        """Begin at the first batch.

        Args:
            contents: Pictures.
            painted: What was painted of each, of its size.
            size: Side of the patches in pixels.
            batch_size: Patches in a batch.
            seed: Decides their places.
            flip: Whether half of them are mirrored left to right.

        Raises:
            ValueError: There are no pictures, not as many painted ones, or a painted one has
                another size or is smaller than a patch.
        """
        if len(contents) == 0 or len(contents) != len(painted):
            raise ValueError(
                f"painted: wanted as many pictures as contents, and one at least, got "
                f"{len(painted)} and {len(contents)}"
            )
        for content, other in zip(contents, painted, strict=True):
            if content.shape != other.shape or min(other.shape[:2]) < size:
                raise ValueError(
                    f"painted: wanted pictures of the contents' sizes, and of {size} pixels a side "
                    f"at least, got {other.shape[1]} by {other.shape[0]} for "
                    f"{content.shape[1]} by {content.shape[0]}"
                )
        self._contents = [np.asarray(picture, np.float32) for picture in contents]
        self._painted = [np.asarray(picture, np.float32) for picture in painted]
        self._size, self._batch_size, self._seed, self._flip = size, batch_size, seed, flip
        self._position = 0

    def __iter__(self) -> "PatchStream":
        """Return itself."""
        return self

    def __next__(self) -> PaintedPatches:
        """Return the next batch."""
        chance = np.random.default_rng([self._seed, self._position])
        first = self._position * self._batch_size
        numbers = np.arange(first, first + self._batch_size) % len(self._contents)
        self._position += 1
        patches = [self._cut(chance, int(number)) for number in numbers]
        return PaintedPatches(*(np.stack(column) for column in zip(*patches, strict=True)))

    def get_state(self) -> dict[str, int]:
        """Return the position."""
        return {"position": self._position}

    def set_state(self, state: Any) -> None:
        """Go to a position that get_state returned."""
        self._position = state["position"]

    def close(self) -> None:
        """Do nothing, since no thread works ahead."""

    def _cut(self, chance: np.random.Generator, number: int) -> tuple[Pixels, ...]:
        height, width = self._painted[number].shape[:2]
        places = []
        for _ in range(2):
            top, left = (int(chance.integers(side - self._size + 1)) for side in (height, width))
            places.append((slice(top, top + self._size), slice(left, left + self._size)))
        step = -1 if self._flip and chance.integers(2) else 1
        here, there = places
        found = (self._contents[number][here], self._painted[number][here])
        return tuple(patch[:, ::step] for patch in (*found, self._painted[number][there]))


def open_patch_stream(
    contents: Sequence[Path],
    painted: Sequence[Path],
    *,
    painted_size: int | None,
    size: int,
    batch_size: int,
    seed: int,
    flip: bool = False,
) -> PatchStream:
    """Return a stream of patches of picture files, and of what was painted of each.

    Args:
        contents: Picture files.
        painted: What was painted of each.
        painted_size: Longer side that both are brought to; None takes the painted pictures' own.
        size: Side of the patches.
        batch_size: As for PatchStream.
        seed: The same.
        flip: The same.

    Raises:
        ValueError: A file is no picture, or a painted one has another aspect than its picture.
        OSError: A file cannot be read.
    """
    pairs = load_painted(contents, painted, size=painted_size)
    befores, afters = ([np.asarray(picture)[0] for picture in side] for side in pairs)
    return PatchStream(befores, afters, size=size, batch_size=batch_size, seed=seed, flip=flip)


def load_painted(
    contents: Sequence[Path], painted: Sequence[Path], *, size: int | None
) -> tuple[list[Image], list[Image]]:
    """Return pictures and what was painted of them, each pair of one size, in multiples of 4.

    Args:
        contents: Picture files.
        painted: What was painted of each, of its aspect.
        size: Longer side in pixels; None takes the painted pictures' own.

    Raises:
        ValueError: A file is no picture, or a painted one has another aspect than its picture.
        OSError: A file cannot be read.
    """
    befores, afters = [], []
    for path, other in zip(contents, painted, strict=True):
        after = files.load_image(other, size=size)
        before = files.load_image(path, size=max(after.shape[1:3]))
        sides = list(zip(before.shape[1:3], after.shape[1:3], strict=True))
        if max(abs(one - two) for one, two in sides) > _MOST_CUT:
            (own_height, height), (own_width, width) = sides
            raise ValueError(
                f"painted: wanted the whole frame painted, got {other.name!r} of {width} by "
                f"{height} pixels, where the frame has {own_width} by {own_height}"
            )
        height, width = (min(pair) // 4 * 4 for pair in sides)
        befores.append(before[:, :height, :width])
        afters.append(after[:, :height, :width])
    return befores, afters
