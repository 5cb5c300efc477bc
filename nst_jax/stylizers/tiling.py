"""The geometry of pictures in pieces: mirrored edges, and tiles that cover a picture exactly.

Sizes are (height, width); everything here is on the host, in NumPy.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from jaxtyping import Float

from nst_jax.regions.masks import Masks, check_proportions, resize_masks

Pixels = Float[np.ndarray, "_ _ 3"]
"""One RGB picture in [0, 1] on the host."""

MaskedPixels = Float[np.ndarray, "_ _ _"]
"""The same, and perhaps a channel for each of its regions."""

Size = tuple[int, int]
"""Height and width in pixels."""


class Tile(NamedTuple):
    """A part of a picture, by its corner, and what is kept of it, from ... to, in the picture."""

    top: int
    left: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def kept(self) -> tuple[slice, slice]:
        """What is kept, as rows and columns of the picture."""
        return slice(*self.rows), slice(*self.columns)

    @property
    def kept_within(self) -> tuple[slice, slice]:
        """What is kept, counted from the tile's own corner."""
        return (
            slice(self.rows[0] - self.top, self.rows[1] - self.top),
            slice(self.columns[0] - self.left, self.columns[1] - self.left),
        )


def round_up(side: int, multiple: int) -> int:
    """Return the least multiple that is at least side."""
    return -(-side // multiple) * multiple


def cut(pixels: MaskedPixels | Any, *, top: int, left: int, size: Size) -> MaskedPixels:
    """Return a rectangle of a picture that goes on for ever, mirrored at its edges.

    The edge itself is not repeated, as in reflection padding. A picture smaller than what is wanted
    of it is mirrored again and again.

    Args:
        pixels: The picture, or what has a shape and can take rows, then columns, as an array does.
        top: The rectangle's first row, which may be negative.
        left: Its first column.
        size: Its height and width.
    """
    rows = _mirrored(np.arange(top, top + size[0]), pixels.shape[0])
    columns = _mirrored(np.arange(left, left + size[1]), pixels.shape[1])
    return pixels.take(rows, axis=0).take(columns, axis=1)


def add_masks(pixels: Pixels, masks: Masks | None, *, name: str = "masks") -> MaskedPixels:
    """Return a picture with a channel for each mask, scaled to it; the picture itself for None.

    Args:
        pixels: The picture.
        masks: Of any size, in its proportions.
        name: What an error calls the masks.

    Raises:
        ValueError: They have other proportions.
    """
    if masks is None:
        return pixels
    height, width = pixels.shape[:2]
    check_proportions(masks, height=height, width=width, name=name)
    scaled = resize_masks(masks, height=height, width=width)
    return np.concatenate([pixels, np.moveaxis(scaled, 0, -1)], axis=-1)


def shrink(pixels: MaskedPixels, *, max_pixels: int) -> MaskedPixels:
    """Return a smaller copy of a picture, of at most so many pixels and sides in multiples of 4.

    Pillow's triangle filter, which needs far less memory and time than products with matrices.
    """
    factor = math.sqrt(max_pixels / (pixels.shape[0] * pixels.shape[1]))
    height, width = (max(8, int(side * factor) // 4 * 4) for side in pixels.shape[:2])
    bands = [
        PIL.Image.fromarray(band).resize((width, height), PIL.Image.Resampling.BILINEAR)
        for band in np.moveaxis(pixels, -1, 0)
    ]
    return np.stack([np.asarray(band) for band in bands], axis=-1)


def plan_tiles(
    size: Size, *, max_side: int, margin: int, multiple: int, step: int = 4
) -> tuple[Size, list[Tile]]:
    """Return the size of all tiles, and the tiles, whose kept parts cover the picture once.

    What is kept of a tile lies margin or more within it, except at the picture's own edges. There
    are as few tiles as can be, and they are no larger than their number makes necessary.

    Args:
        size: The picture's; multiples of step.
        max_side: The longest side of a tile that is allowed; more than two margins.
        margin: Pixels that a tile computes and throws away; a multiple of step.
        multiple: What the tiles' sides are multiples of, where max_side and the picture let them;
            itself a multiple of step.
        step: What the tiles' sides and corners are multiples of in any case.
    """
    heights, widths = (
        _plan_axis(side, max_side=max_side // step * step, margin=margin, multiple=multiple)
        for side in size
    )
    tiles = [
        Tile(top, left, rows, columns) for top, rows in heights[1] for left, columns in widths[1]
    ]
    return (heights[0], widths[0]), tiles


def _plan_axis(
    side: int, *, max_side: int, margin: int, multiple: int
) -> tuple[int, list[tuple[int, tuple[int, int]]]]:
    """The length of the tiles along one axis; where each begins, and what is kept of it."""
    if side <= max_side:
        return side, [(0, (0, side))]
    count = -(-(side - 2 * margin) // (max_side - 2 * margin))
    needed = -(-(side - 2 * margin) // count) + 2 * margin
    length = min(round_up(needed, multiple), max_side)
    last = side - length
    starts = [*range(0, last, length - 2 * margin), last]
    ends = [start + length - margin for start in starts[:-1]] + [side]
    return length, [
        (start, (begin, end))
        for start, begin, end in zip(starts, [0, *ends[:-1]], ends, strict=True)
    ]


def _mirrored(places: np.ndarray, side: int) -> np.ndarray:
    """Where along a side the places on its mirrored continuation are."""
    period = max(1, 2 * (side - 1))
    places = places % period
    return np.where(places < side, places, period - places)
