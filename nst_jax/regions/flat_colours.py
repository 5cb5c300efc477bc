"""Pictures of flat colours, each a region: one picture in place of a mask for each style."""

import numpy as np
from jaxtyping import Bool, Float

from nst_jax.regions.masks import Masks

_COLOURED = 0.2  # how far apart red, green and blue are where a picture is not grey
_FLAT = 1 / 200  # of a picture: less is no region but the blur of an edge
_LIKE = 25 / 255  # colours as close as this are one, which a JPEG has blurred

Pixels = Float[np.ndarray, "height width 3"]
Opaque = Bool[np.ndarray, "height width"]


def is_coloured(pixels: Pixels) -> bool:
    """Return whether a picture has colours, so that it is no grey mask.

    Args:
        pixels: RGB from 0 to 1.
    """
    return bool(((pixels.max(-1) - pixels.min(-1)) > _COLOURED).mean() > _FLAT)


def split_colours(pixels: Pixels, count: int, *, opaque: Opaque, name: str) -> Masks:
    """Return a mask for each flat colour, in the order in which they first appear in rows.

    Every pixel goes to the colour that is nearest, by its largest difference in red, green or blue.

    Args:
        pixels: RGB from 0 to 1.
        count: How many colours there are to be.
        opaque: What belongs to a colour at all.
        name: What errors call the picture.

    Raises:
        ValueError: There are more or fewer colours that fill something.
    """
    colours = _flat_colours(pixels[opaque])
    nearest = np.full(pixels.shape[:2], -1)
    least = np.full(pixels.shape[:2], np.inf, np.float32)
    for number, colour in enumerate(colours):  # one at a time: all at once would fill the memory
        distance = np.abs(pixels - colour).max(-1)
        closer = opaque & (distance < least)
        nearest[closer], least[closer] = number, distance[closer]
    present, first = np.unique(nearest, return_index=True)
    present = [number for number in present[np.argsort(first)] if number >= 0]
    if len(present) != count:
        told = ", ".join(
            f"{_hexadecimal(colours[number])} ({(nearest == number).mean():.1%})"
            for number in present
        )
        raise ValueError(
            f"mask: wanted a flat colour for each of {count} styles in {name}, or one mask for "
            f"each style; got {len(present)} colours: {told}"
        )
    return np.stack([nearest == number for number in present]).astype(np.float32)


def _flat_colours(pixels: Float[np.ndarray, "count 3"]) -> list[Float[np.ndarray, " 3"]]:
    """The colours that fill something, the commonest first, and each but once."""
    levels = np.rint(pixels * 255).astype(np.int64)
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
