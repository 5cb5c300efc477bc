"""The judge of any_style: relative distances of Gram matrices and of features by VGG-16."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage

from experiments.common.relative_distances import MEASURES, RelativeDistances
from nst_jax.array_types import ImageOfAnySize

SIDE = 256  # pixels, of the square that is judged


class Judge:
    """RelativeDistances of central squares.

    Pictures are rounded to bytes, reduced to a shorter side of 256 pixels, and cut to their central
    square.
    """

    def __init__(self) -> None:
        self._distances = RelativeDistances()
        self._known: dict[bytes, Any] = {}

    def __call__(
        self, painted: ImageOfAnySize, photograph: ImageOfAnySize, painting: ImageOfAnySize
    ) -> dict[str, float]:
        """Return the measures by name."""
        return self._distances.compare(
            self._look_at(painted), self._look_once(photograph), self._look_once(painting)
        )

    def _look_once(self, image: ImageOfAnySize) -> Any:
        """What _look_at answers, kept: every model has the same photographs and paintings."""
        key = hashlib.sha256(np.asarray(image).tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._look_at(image)
        return self._known[key]

    def _look_at(self, image: ImageOfAnySize) -> Any:
        return self._distances.look_at(central_square(image))


def central_square(image: ImageOfAnySize) -> Any:
    """The square that is judged, (1, 256, 256, 3)."""
    bytes_ = np.rint(255 * np.clip(np.asarray(image)[0], 0, 1)).astype(np.uint8)
    picture = PillowImage.fromarray(bytes_)
    scale = SIDE / min(picture.size)
    width, height = (max(SIDE, round(side * scale)) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), PillowImage.Resampling.LANCZOS))
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return jnp.asarray(pixels[None, top : top + SIDE, left : left + SIDE] / np.float32(255))


def summarize(pairs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The mean and the median of each measure."""
    return {
        "mean": {name: float(np.mean([pair[name] for pair in pairs])) for name in MEASURES},
        "median": {name: float(np.median([pair[name] for pair in pairs])) for name in MEASURES},
    }
