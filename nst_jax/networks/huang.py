"""The decoder of Huang and Belongie 2017, which turns an encoder's features back into a picture.

Training, and the way from a photograph and a painting to a picture, are in
nst_jax.papers.huang_2017.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from nst_jax.array_types import ImageOfAnySize
from nst_jax.convolution import Precision, relu
from nst_jax.encoders.vgg import Architecture, kernel_shapes
from nst_jax.networks.layers import Convolution, UpsampledConvolution

LAYER = "relu4_1"
"""The encoder's layer whose features are decoded, an eighth of the picture's size."""

_FIRST, _LAST = "conv4_1", "conv1_1"


class Decoder(nn.Module):
    """A VGG up to relu4_1 run backwards: features of relu4_1 in, pictures of 8 times the size out.

    `decoder.apply(variables, features)`. Every layer has the name of the encoder's convolution
    that it undoes, from conv4_1 (512 to 256 channels) to conv1_1 (64 to 3). All are 3×3 with
    reflection padding, and followed by a ReLU but for the last, whose output is the picture and
    may leave [0, 1]. Where the encoder pools, the decoder enlarges to the nearest neighbour. There
    is no normalisation: it would give all pictures one style.

    Fields:
        architecture: The encoder's: 3,505,219 parameters for "vgg19", 2,915,139 for "vgg16".
        precision: As for nst_jax.convolution.convolve.

    Reference: Huang and Belongie 2017, §6; the authors' train.lua mirrors the encoder.
    """

    architecture: Architecture = "vgg19"
    precision: Precision = "float32"

    def __call__(self, features: Float[Array, "batch height width 512"]) -> ImageOfAnySize:
        """Return the pictures of features.

        Args:
            features: Of relu4_1, at least 2 by 2 positions.

        Raises:
            ValueError: There are fewer positions, which reflection padding cannot do with.
        """
        if min(features.shape[1:3]) < 2:
            raise ValueError(
                f"features: wanted at least 2 by 2 positions, got {features.shape[1]} by "
                f"{features.shape[2]}; give pictures of 16 pixels a side or more"
            )
        return self.run_layers(features, first=_FIRST, last=_LAST)

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def run_layers(
        self, x: Float[Array, "batch height width _"], *, first: str, last: str
    ) -> Float[Array, "batch _ _ _"]:
        """Run a part of the decoder alone, such as one that is trained apart from the others.

        `decoder.apply(variables, x, first="conv3_1", last="conv2_2", method="run_layers")` takes
        what is like the encoder's relu3_1 and answers what is to be like its relu2_1.

        Args:
            x: What enters the layer called first, before it is enlarged.
            first: A layer's name.
            last: That layer's, or a later one's.

        Raises:
            ValueError: There are no such layers in this order.
        """
        channels = decoder_channels(self.architecture)
        names = list(channels)
        if not {first, last} <= set(names) or names.index(first) > names.index(last):
            raise ValueError(
                f"layers: wanted two of {', '.join(names)}, in this order, got {first} and {last}"
            )
        for name in names[names.index(first) : names.index(last) + 1]:
            x = self._layer(x, name, channels[name])
            x = x if name == _LAST else relu(x)
        return x

    def _layer(self, x: Array, name: str, channels: int) -> Array:
        init = _small if name == _LAST else _KERNEL_INIT
        if name in _before_pooling(self.architecture):  # the pooling is undone first
            enlarge = UpsampledConvolution(
                channels, kernel_init=init, precision=self.precision, name=name
            )
            return enlarge(x)
        convolve = Convolution(
            channels, kernel_init=init, precision=self.precision, padding="reflect", name=name
        )
        return convolve(x)


def decoder_channels(architecture: Architecture) -> dict[str, int]:
    """Return the channels that each layer of a decoder answers with, in the order of computation.

    Raises:
        ValueError: There is no such architecture.
    """
    shapes = kernel_shapes(architecture)
    names = [name for name in shapes if name <= "conv4_1"]
    return {name: shapes[name][2] for name in reversed(names)}


def _before_pooling(architecture: Architecture) -> set[str]:
    """The last convolutions of the encoder's first three blocks."""
    last = {name[:5]: name for name in kernel_shapes(architecture)}
    return {last[block] for block in ("conv1", "conv2", "conv3")}


_KERNEL_INIT = nn.initializers.he_normal()


def _small(key, shape, dtype=jax.numpy.float32) -> Array:
    """He's values by 0.05: colours begin near one another, not hundreds of steps away."""
    return 0.05 * _KERNEL_INIT(key, shape, dtype)
