"""Distances by VGG-16 as shares of what a picture is compared with: of style, and of content."""

from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import gram_matrix
from nst_jax.array_types import ImageOfAnySize
from nst_jax.encoders.vgg import FIRST_LAYERS
from nst_jax.encoders.weights.pretrained import load_encoder

CONTENT_LAYER = "relu4_2"
MEASURES = (*FIRST_LAYERS, "style", "content")


class RelativeDistances:
    """How far a picture is from a painting's style, and from a photograph's content.

    At each style layer the distance is ‖G − G_s‖² / ‖G_s‖² for Gram matrices G; `style` is the
    mean over the layers, and `content` is ‖F − F_c‖² / ‖F_c‖² for the features at relu4_2.
    """

    def __init__(self) -> None:
        encoder, self._params = load_encoder("vgg16")

        @jax.jit
        def look(params, image):
            features = encoder.apply(params, image, layers=(*FIRST_LAYERS, CONTENT_LAYER))
            grams = {layer: gram_matrix(features[layer]) for layer in FIRST_LAYERS}
            return grams, features[CONTENT_LAYER]

        self._look = look

    def look_at(self, image: ImageOfAnySize) -> Any:
        """What compare wants of a picture, a photograph or a painting."""
        return self._look(self._params, image)

    @staticmethod
    def compare(picture: Any, photograph: Any, painting: Any) -> dict[str, float]:
        """Return the measures by name, of what look_at answered."""
        (grams, features), (_, wanted), (of_painting, _) = picture, photograph, painting
        found = {layer: _relative(grams[layer], of_painting[layer]) for layer in FIRST_LAYERS}
        style = sum(found.values()) / len(found)
        return {**found, "style": style, "content": _relative(features, wanted)}


def _relative(found: Any, wanted: Any) -> float:
    return float(jnp.square(found - wanted).sum() / jnp.square(wanted).sum())
