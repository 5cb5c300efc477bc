"""The network of Texler et al. 2020, which learns from a few painted frames of a clip.

Training is in nst_jax.papers.texler_2020.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.networks.layers import (
    Convolution,
    UpsampledConvolution,
    require_pictures,
    uniform_within,
)
from nst_jax.ops.convolution import Precision, relu

TILE_MARGIN = 76
"""How far an output sees with 7 residual blocks, in pixels: 75, rounded up to a multiple of 4."""

_SLOPE = 0.2


class TexlerNetwork(nn.Module):
    """A network that paints the frames of a clip as a few of them are painted.

    `network.apply(variables, images)` returns pictures of the same size, in [0, 1]. variables are
    {"params": ..., "batch_stats": ...}. In `network.apply(variables, images, train=True,
    mutable=["batch_stats"])` batch normalisation uses, and moves by, the batch's own statistics.
    Without train it uses the moved ones: each output is then a fixed function of the pixels around
    it, which keeps a clip steady.

    Three convolutions of 7 × 7, 3 × 3 and 3 × 3, the latter two of stride 2; residual blocks; two
    enlargements to the nearest neighbour, each before a convolution of 3 × 3; one of 7 × 7, two of
    3 × 3 and one of 1 × 1 to a tanh. What is enlarged, and what enters the last 7 × 7, has the maps
    of its size from before beside it, the picture's own colours included.

    Fields:
        width: Maps w of the first convolution; the others have 2, 4, 4 and 4 w, and 2 w at the end.
        num_blocks: Residual blocks; TILE_MARGIN is for 7.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Texler et al. 2020, by their code (GeneratorJ); weights start as Torch's do.
    """

    width: int = 32
    num_blocks: int = 7
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, images: Image, *, train: bool = False) -> Image:
        """Return the pictures painted.

        Args:
            images: RGB in [0, 1]; sides are multiples of 4 and at least 16.
            train: Whether batch normalisation uses, and moves by, the batch's own statistics.

        Raises:
            ValueError: images are not such pictures.
        """
        require_pictures(images, least=16)
        width = self.width
        pixels = 2 * images - 1
        full = self._contract(pixels, "contract1", width, train=train, kernel_size=7)
        half = self._contract(full, "contract2", 2 * width, train=train, stride=2)
        quarter = self._contract(half, "contract3", 4 * width, train=train, stride=2)
        x = quarter
        for number in range(1, self.num_blocks + 1):
            x = x + self._residual(x, f"residual{number}", train=train)
        for name, before in (("expand1", quarter), ("expand2", half)):
            x = self._expand(jnp.concatenate([x, before], -1), name, 4 * width, train=train)
        x = jnp.concatenate([x, full, pixels], -1)
        x = relu(self._convolve(x, "join", 2 * width, kernel_size=7))
        x = relu(self._convolve(x, "smooth1", 2 * width))
        x = self._normalize(x, "smooth1", train=train)
        x = relu(self._convolve(x, "smooth2", 2 * width))
        return (jnp.tanh(self._convolve(x, "output", 3, kernel_size=1)) + 1) / 2

    def _contract(self, x: Array, name: str, features: int, *, train: bool, **options) -> Array:
        x = self._normalize(self._convolve(x, name, features, **options), name, train=train)
        return nn.leaky_relu(x, _SLOPE)

    def _residual(self, x: Array, name: str, *, train: bool) -> Array:
        features = x.shape[-1]
        x = self._convolve(relu(x), f"{name}a", features)
        return self._convolve(relu(self._normalize(x, name, train=train)), f"{name}b", features)

    def _expand(self, x: Array, name: str, features: int, *, train: bool) -> Array:
        init = _init(x, 3)
        layer = UpsampledConvolution(
            features,
            kernel_init=init,
            bias_init=init,
            precision=self.precision,
            padding="zero",
            name=name,
        )
        return relu(self._normalize(layer(x), name, train=train))

    def _convolve(
        self, x: Array, name: str, features: int, *, kernel_size: int = 3, stride: int = 1
    ) -> Float[Array, "batch _ _ _"]:
        init = _init(x, kernel_size)
        layer = Convolution(
            features,
            kernel_init=init,
            bias_init=init,
            precision=self.precision,
            kernel_size=kernel_size,
            stride=stride,
            name=name,
        )
        return layer(x)

    def _normalize(self, x: Array, name: str, *, train: bool) -> Array:
        layer = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,  # Torch says 0.1: the new value's share
            epsilon=1e-5,
            use_fast_variance=False,  # E[x²] − E[x]² cancels where a mean is large
            name=f"{name}_norm",
        )
        return layer(x)


def _init(x: Array, kernel_size: int):
    return uniform_within((kernel_size**2 * x.shape[-1]) ** -0.5)
