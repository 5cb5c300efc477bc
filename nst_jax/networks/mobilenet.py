"""MobileNet-v2, by which Magenta's mobile network predicts embeddings of paintings."""

from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.networks.layers import Convolution, block_means
from nst_jax.networks.style_predictors import EMBEDDING_SIZE
from nst_jax.ops.convolution import Precision, convolve_depthwise
from nst_jax.ops.parameters import Initializer, parameter

PAINTING_STEP = 32
"""The sides of a painting are multiples of so many pixels: the trunk halves them five times."""

_Map = Float[Array, "batch _ _ _"]  # convolutions change sides and channels

_STEM = 32
_LAST = 1280


class Stage(NamedTuple):
    """Blocks that follow one another; the first may halve the sides.

    Attributes:
        expansion: The inner channels of a block, as a multiple of its input's.
        channels: Of the blocks' outputs.
        blocks: How many there are.
        stride: Of the first block.
    """

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
"""The trunk: Sandler et al. 2018, table 2, without its first and its last convolution."""


class MobilePredictor(nn.Module):
    """The embedding of a painting from MobileNet-v2: the mean of its 1,280 maps, then linear.

    `predictor.apply(variables, paintings)` returns (batch, 100). Its batch normalisations are part
    of the convolutions. Strided convolutions are padded below and on the right alone, as TensorFlow
    pads even sides. There are 2,334,916 parameters with the biases.

    Fields:
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Sandler et al. 2018, arXiv 1801.04381, table 2; in the place of Inception-v3 in
    Ghiasi et al. 2017.
    """

    precision: Precision = "float32"

    if TYPE_CHECKING:

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, paintings: Float[Array, "batch height width _"]) -> Float[Array, "batch _"]:
        """Return the embeddings.

        Args:
            paintings: RGB in [0, 1], whose sides are multiples of 32 pixels; a fourth channel, if
                any, says from 0 to 1 how much of each pixel counts.

        Raises:
            ValueError: The sides are others.
        """
        height, width = paintings.shape[1:3]
        if height % PAINTING_STEP or width % PAINTING_STEP or height == 0 or width == 0:
            raise ValueError(
                f"paintings: wanted sides that are multiples of {PAINTING_STEP} pixels, got shape "
                f"{paintings.shape}; enlarge them"
            )
        x = _pad_for_halving(paintings[..., :3])
        x = _relu6(self._convolve(x, "stem", _STEM, kernel_size=3, stride=2, padding="valid"))
        for number, (stride, expansion, channels) in enumerate(_blocks()):
            x = self._block(x, f"block{number}", stride, expansion, channels)
        x = _relu6(self._convolve(x, "last", _LAST))
        counted = jnp.ones((*x.shape[:3], 1), jnp.float32)
        if paintings.shape[-1] > 3:
            counted = block_means(paintings[..., 3:], PAINTING_STEP)
        total = jnp.maximum(counted.sum((1, 2)), 1e-6)
        mean = (x * counted).sum((1, 2)) / total
        return nn.Dense(EMBEDDING_SIZE, precision=lax.Precision.HIGHEST, name="embedding")(mean)

    def _block(self, x: _Map, name: str, stride: int, expansion: int, channels: int) -> _Map:
        """An inverted residual: wider by 1×1, depthwise 3×3, narrower by 1×1 without ReLU."""
        y = x
        if expansion > 1:
            y = _relu6(self._convolve(y, f"{name}_expand", expansion * x.shape[-1]))
        y = _relu6(_DepthwiseConvolution(stride=stride, name=f"{name}_depthwise")(y))
        y = self._convolve(y, f"{name}_project", channels)
        return x + y if y.shape == x.shape else y

    def _convolve(self, x: _Map, name: str, features: int, **options: Any) -> _Map:
        options = {"kernel_size": 1, **options}
        return Convolution(features, precision=self.precision, name=name, **options)(x)


class _DepthwiseConvolution(nn.Module):
    """A 3×3 convolution of each channel by itself, with a bias."""

    stride: int = 1
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: _Map) -> _Map:
        channels = x.shape[-1]
        kernel = parameter(self, "kernel", self.kernel_init, (3, 3, channels))
        bias = parameter(self, "bias", nn.initializers.zeros_init(), (channels,))
        padded = (
            _pad_for_halving(x)
            if self.stride == 2
            else jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        )
        return convolve_depthwise(padded, kernel, stride=self.stride) + bias.reshape(1, 1, 1, -1)


def _blocks() -> list[tuple[int, int, int]]:
    """Stride, expansion and channels of each block, from the first on."""
    return [
        (stage.stride if number == 0 else 1, stage.expansion, stage.channels)
        for stage in STAGES
        for number in range(stage.blocks)
    ]


def _pad_for_halving(x: _Map) -> _Map:
    return jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))


def _relu6(x: _Map) -> _Map:
    return jnp.clip(x, 0, 6)
