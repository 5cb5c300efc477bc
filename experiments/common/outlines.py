"""Skies of the bundled pictures: their outlines, and the masks that they make.

A mask is what a user would draw by hand, and drawn here by corners, in parts of a picture's width
and height, so that every figure and every size has the same one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from nst_jax.regions.masks import Mask

Outline = Sequence[tuple[float, float]]
"""The corners of an area: x and y from the upper left one, from 0 to 1."""

SKIES: Mapping[str, Outline] = {
    "content/neuschwanstein_castle.jpg": (
        *((0, 0), (1, 0), (1, 0.46), (0.71, 0.46), (0.705, 0.36), (0.685, 0.32), (0.665, 0.36)),
        *((0.66, 0.47), (0.53, 0.46), (0.52, 0.40), (0.50, 0.33), (0.41, 0.33), (0.385, 0.24)),
        *((0.36, 0.32), (0.335, 0.26), (0.32, 0.11), (0.305, 0.26), (0.29, 0.31), (0.24, 0.31)),
        *((0.22, 0.45), (0, 0.45)),
    ),
    "content/eiffel_tower.jpg": (
        *((0, 0), (1, 0), (1, 0.77), (0.87, 0.79), (0.72, 0.81), (0.68, 0.86), (0.60, 0.90)),
        *((0.57, 0.78), (0.54, 0.60), (0.515, 0.35), (0.50, 0.09), (0.49, 0.09), (0.475, 0.35)),
        *((0.45, 0.60), (0.42, 0.78), (0.40, 0.90), (0.37, 0.87), (0.31, 0.81), (0.13, 0.79)),
        *((0.12, 0.62), (0, 0.60)),
    ),
    "style/van_gogh_harvest.jpg": ((0, 0), (1, 0), (1, 0.20), (0, 0.20)),
    "style/van_gogh_church_at_auvers.jpg": (
        *((0, 0), (1, 0), (1, 0.52), (0.90, 0.34), (0.72, 0.28), (0.70, 0.14), (0.57, 0.07)),
        *((0.51, 0.15), (0.51, 0.30), (0.42, 0.33), (0.22, 0.44), (0.15, 0.58), (0, 0.50)),
    ),
}
"""By the pictures' names in the package's assets."""


def draw_sky(name: str, *, height: int, width: int) -> Mask:
    """Return the mask of a picture's sky, 1 in it and 0 elsewhere.

    Args:
        name: A picture in SKIES.
        height: In pixels.
        width: In pixels.
    """
    drawn = Image.new("L", (width, height))
    corners = [(x * width, y * height) for x, y in SKIES[name]]
    ImageDraw.Draw(drawn).polygon(corners, fill=255)
    return np.asarray(drawn, np.float32) / 255


def sky_and_ground(name: str, *, height: int, width: int) -> Float[np.ndarray, "2 _ _"]:
    """Return the masks of a picture's sky and of all below it."""
    sky = draw_sky(name, height=height, width=width)
    return np.stack([sky, 1 - sky])
