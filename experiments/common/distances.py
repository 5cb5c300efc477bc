"""How far one picture is from another, by VGG-16 with torchvision's weights."""

import jax

from nst_jax import metrics
from nst_jax.array_types import Image
from nst_jax.encoders.weights.pretrained import load_encoder, load_lpips_weights


class Distances:
    """How far one picture is from another, by VGG-16 with torchvision's weights."""

    def __init__(self):
        self._encoder, self._params = load_encoder("vgg16")
        self._weights = load_lpips_weights()
        self._lpips = jax.jit(metrics.lpips, static_argnums=2)
        self._style_distance = jax.jit(metrics.style_distance, static_argnums=2)

    def lpips(self, first: Image, second: Image) -> float:
        """How different they look; see metrics.lpips."""
        found = self._lpips(first, second, self._encoder, self._params, self._weights)
        return float(found[0])

    def style_distance(self, first: Image, second: Image) -> float:
        """How different their textures are; see metrics.style_distance."""
        return float(self._style_distance(first, second, self._encoder, self._params)[0])
