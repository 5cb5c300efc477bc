"""Masks from pictures: which part of a photograph a style goes to, which part of a painting counts.

What holds for masks as such is in regions.masks; here pictures become masks. What is transparent
in a picture lies outside of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_jax.jobs import pictures
from nst_jax.jobs.pictures import Pixels, Rgba
from nst_jax.regions.flat_colours import is_coloured, split_colours
from nst_jax.regions.masks import Mask, Masks, check_proportions, complete_mask, complete_masks

WHOLE = "whole"
"""Stands for a painting that is taken whole, in place of its mask."""

_MAX_PIXELS = 1 << 22  # more in no mask: a network sees one a 256th as large
_MAX_VALUES = 1 << 26  # of all masks together, a quarter of a gigabyte
_OPAQUE = 0.5  # what is less so belongs to no flat colour


def load_masks(given: Sequence[Any], count: int) -> Masks | None:
    """Return where each of so many styles goes; None where no masks are given.

    Args:
        given: Paths, Pillow's pictures or arrays: one for each style, or one less; or one picture
            that has a flat colour for each style.
        count: How many styles there are.

    Raises:
        ValueError: They are not as many as styles, of several sizes, or one is empty.
        OSError: A file cannot be read.
    """
    if not given:
        return None
    most = min(_MAX_PIXELS, _MAX_VALUES // max(count, 1))
    rgba = [pictures.load_rgba(each, max_pixels=most, name="mask") for each in given]
    if len(rgba) == 1:
        opaque = rgba[0][..., 3] >= _OPAQUE
        if opaque.any() and (count > 2 or is_coloured(rgba[0][..., :3][opaque][None])):
            name = pictures.name_of(given[0], "the picture")
            split = split_colours(rgba[0][..., :3], count, opaque=opaque, name=name)
            return complete_masks(split, count, name="mask")
    if len(given) not in (count, count - 1):
        raise ValueError(
            f"mask: wanted {count}, one for each style, or one less, when the last style gets what "
            f"is left, got {len(given)}"
        )
    masks = [_grey(picture) for picture in rgba]
    shapes = sorted({mask.shape for mask in masks})
    if len(shapes) > 1:
        sizes = ", ".join(f"{width} by {height}" for height, width in shapes)
        raise ValueError(f"mask: wanted masks of one size, got {sizes} pixels")
    return complete_masks(np.stack(masks), count, name="mask")


def load_style_masks(given: Sequence[Any], count: int) -> tuple[Mask | None, ...]:
    """Return which part of each of so many paintings counts; None for all of it.

    Args:
        given: Paths, Pillow's pictures or arrays, or WHOLE, one for each painting; or none.
        count: How many paintings there are.

    Raises:
        ValueError: They are not as many as paintings, or one is empty.
        OSError: A file cannot be read.
    """
    if given and len(given) != count:
        raise ValueError(
            f"style_mask: wanted {count}, one for each painting ('{WHOLE}' for all of it), "
            f"got {len(given)}"
        )
    return tuple(
        None
        if isinstance(each, str) and each == WHOLE
        else complete_mask(
            _grey(pictures.load_rgba(each, max_pixels=_MAX_PIXELS, name="style_mask")),
            name=_name("style_mask", each),
        )
        for each in given or [WHOLE] * count
    )


def check_mask(given: Sequence[Any], masks: Masks | None, pixels: Pixels) -> None:
    """Raise a ValueError where masks do not fit a photograph.

    Args:
        given: What load_masks was given.
        masks: What it made of that.
        pixels: The photograph.
    """
    if masks is not None:
        height, width = pixels.shape[:2]
        check_proportions(masks, height=height, width=width, name=_name("mask", given[0]))


def check_style_masks(
    given: Sequence[Any], masks: Sequence[Mask | None], paintings: Sequence[Pixels]
) -> None:
    """Raise a ValueError where a painting's mask does not fit it.

    Args:
        given: What load_style_masks was given.
        masks: What it made of that.
        paintings: The paintings.
    """
    if not given:
        return
    for each, mask, painting in zip(given, masks, paintings, strict=True):
        if mask is not None:
            height, width = painting.shape[:2]
            name = _name("style_mask", each)
            check_proportions(mask[None], height=height, width=width, name=name)


def _grey(rgba: Rgba) -> Mask:
    return rgba[..., :3].mean(-1) * rgba[..., 3]


def _name(argument: str, picture: Any) -> str:
    name = pictures.name_of(picture, "")
    return f"{argument}: {name}" if name else argument
