"""Masks on the command line: pictures that say where in others a style goes, for every command.

What holds for masks as such is in nst_jax.masks; here files become masks.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.files.disk import quoted
from nst_jax.regions.masks import Mask, Masks, check_proportions, complete_mask, complete_masks

WHOLE = "whole"
"""Stands for a painting that is taken whole, in place of its mask."""

MASK_HELP = (
    "Where in the photograph each style goes: pictures that are white there, or grey for a soft "
    "edge, one for each style in turn, of the photograph's proportions; with one less, the last "
    "style gets what is left. Or one picture that has a flat colour for each style, in the order "
    "in which the colours first appear, row by row from the upper left. What is in none takes no "
    "style; where masks overlap, styles share."
)
STYLE_MASK_HELP = (
    "Which part of each painting counts: pictures that are white there, one for each painting in "
    f"turn, of its proportions; '{WHOLE}' for all of it."
)

_COLOURED = 0.2  # how far apart red, green and blue are where a picture is not grey
_FLAT = 1 / 200  # of a picture: less is no region but the blur of an edge
_LIKE = 25 / 255  # colours as close as this are one, which a JPEG has blurred

Pixels = Float[np.ndarray, "_ _ 3"]


def load_masks(paths: Sequence[Path], count: int) -> Masks | None:
    """Return where each of so many styles goes; None where there are no files.

    Args:
        paths: What the user gave for --mask.
        count: How many styles there are.

    Raises:
        ValueError: They are not as many as styles, of several sizes, or one is empty.
        OSError: A file cannot be read.
    """
    if not paths:
        return None
    pictures = [files.load_pixels(path) for path in paths]
    if len(pictures) == 1 and (count > 2 or _is_coloured(pictures[0])):
        return complete_masks(_split_colours(pictures[0], count, paths[0]), count, name="mask")
    if len(paths) not in (count, count - 1):
        raise ValueError(
            f"mask: wanted {count}, one for each style, or one less, when the last style gets what "
            f"is left, got {len(paths)}"
        )
    masks = [picture.mean(-1) for picture in pictures]
    shapes = sorted({mask.shape for mask in masks})
    if len(shapes) > 1:
        sizes = ", ".join(f"{width} by {height}" for height, width in shapes)
        raise ValueError(f"mask: wanted masks of one size, got {sizes} pixels")
    return complete_masks(np.stack(masks), count, name="mask")


def load_style_masks(places: Sequence[str], count: int) -> tuple[Mask | None, ...]:
    """Return which part of each of so many paintings counts; None for all of it.

    Args:
        places: What the user gave for --style-mask: files, or WHOLE.
        count: How many paintings there are.

    Raises:
        ValueError: They are not as many as paintings, or one is empty.
        OSError: A file cannot be read.
    """
    if places and len(places) != count:
        raise ValueError(
            f"style_mask: wanted {count}, one for each painting ('{WHOLE}' for all of it), "
            f"got {len(places)}"
        )
    return tuple(
        None
        if place == WHOLE
        else complete_mask(files.load_pixels(place).mean(-1), name=f"style_mask: {quoted(place)}")
        for place in places or [WHOLE] * count
    )


def check_mask(paths: Sequence[Path], masks: Masks | None, pixels: Pixels) -> None:
    """Raise a ValueError where masks from files do not fit a photograph.

    Args:
        paths: The masks' files.
        masks: What load_masks made of them.
        pixels: The photograph.
    """
    if masks is not None:
        height, width = pixels.shape[:2]
        name = f"mask: {quoted(paths[0])}"
        check_proportions(masks, height=height, width=width, name=name)


def check_style_masks(
    places: Sequence[str], masks: Sequence[Mask | None], paintings: Sequence[Pixels]
) -> None:
    """Raise a ValueError where a painting's mask does not fit it.

    Args:
        places: The masks' files.
        masks: What load_style_masks made of them.
        paintings: The paintings.
    """
    if not places:
        return
    for place, mask, painting in zip(places, masks, paintings, strict=True):
        if mask is not None:
            height, width = painting.shape[:2]
            name = f"style_mask: {quoted(place)}"
            check_proportions(mask[None], height=height, width=width, name=name)


def _is_coloured(picture: Pixels) -> bool:
    return bool(((picture.max(-1) - picture.min(-1)) > _COLOURED).mean() > _FLAT)


def _split_colours(picture: Pixels, count: int, path: Path) -> Masks:
    """A mask for each flat colour, in the order in which they first appear in rows from the top."""
    colours = _flat_colours(picture)
    distances = np.stack([np.abs(picture - colour).max(-1) for colour in colours])
    nearest = distances.argmin(0)
    present, first = np.unique(nearest, return_index=True)
    present = present[np.argsort(first)]
    if len(present) != count:
        told = ", ".join(
            f"{_hexadecimal(colours[place])} ({(nearest == place).mean():.1%})" for place in present
        )
        raise ValueError(
            f"mask: wanted a flat colour for each of {count} styles in {quoted(path)}, or one mask "
            f"for each style; got {len(present)} colours: {told}"
        )
    return np.stack([nearest == place for place in present]).astype(np.float32)


def _flat_colours(picture: Pixels) -> list[Float[np.ndarray, " 3"]]:
    """The colours that fill something, the commonest first, and each but once."""
    levels = np.rint(picture.reshape(-1, 3) * 255).astype(np.int64)
    codes, counts = np.unique(levels @ np.array([65536, 256, 1]), return_counts=True)
    found: list[Float[np.ndarray, " 3"]] = []
    for place in np.argsort(-counts, kind="stable"):
        if counts[place] < _FLAT * len(levels) and found:
            break
        code = int(codes[place])
        colour = np.array([code >> 16, code >> 8 & 255, code & 255], np.float32) / np.float32(255)
        if all(np.abs(colour - other).max() > _LIKE for other in found):
            found.append(colour)
    return found


def _hexadecimal(colour: Float[np.ndarray, " 3"]) -> str:
    return "#" + "".join(f"{round(float(level) * 255):02x}" for level in colour)
