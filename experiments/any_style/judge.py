"""The judge of any_style: relative distances of Gram matrices and of features by VGG-16."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage

from nst_jax import gram_matrix
from nst_jax.array_types import ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
SIDE = 256  # pixels, of the square that is judged
MEASURES = (*STYLE_LAYERS, "style", "content")


class Judge:
    """How far a picture is from a painting's style, and from a photograph's content.

    Pictures are rounded to bytes, reduced to a shorter side of 256 pixels, and cut to their central
    square. At each style layer the distance is ‖G − G_s‖² / ‖G_s‖² for Gram matrices G; `style` is
    the mean over the layers, and `content` is ‖F − F_c‖² / ‖F_c‖² for the features at relu4_2.
    """

    def __init__(self) -> None:
        encoder, self._params = load_encoder("vgg16")

        @jax.jit
        def measure(params, image):
            features = encoder.apply(params, image, layers=(*STYLE_LAYERS, CONTENT_LAYER))
            grams = {layer: gram_matrix(features[layer]) for layer in STYLE_LAYERS}
            return grams, features[CONTENT_LAYER]

        self._measure = measure
        self._known: dict[bytes, Any] = {}

    def __call__(
        self, painted: ImageOfAnySize, photograph: ImageOfAnySize, painting: ImageOfAnySize
    ) -> dict[str, float]:
        """Return the measures by name."""
        grams, features = self._look_at(painted)
        _, wanted = self._look_once(photograph)
        of_painting, _ = self._look_once(painting)
        found = {layer: _relative(grams[layer], of_painting[layer]) for layer in STYLE_LAYERS}
        style = float(np.mean(list(found.values())))
        return {**found, "style": style, "content": _relative(features, wanted)}

    def _look_once(self, image: ImageOfAnySize) -> Any:
        """What _look_at answers, kept: every model has the same photographs and paintings."""
        key = hashlib.sha256(np.asarray(image).tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._look_at(image)
        return self._known[key]

    def _look_at(self, image: ImageOfAnySize) -> Any:
        return self._measure(self._params, central_square(image))


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


def _relative(found: Any, wanted: Any) -> float:
    return float(((found - wanted) ** 2).sum() / (wanted**2).sum())
