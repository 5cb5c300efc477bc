"""The feed-forward network of Li and Wand 2016 (MGAN): a decoder of an encoder's features.

Training is in nst_jax.papers.li_wand_2016.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.encoders.preprocessing import SIGNED, EncoderInput
from nst_jax.encoders.vgg import VGG, Architecture
from nst_jax.networks.huang import LAYER, require_sides
from nst_jax.networks.layers import Convolution, TransposedConvolution, around_one
from nst_jax.ops.convolution import Precision, relu

TILE_MARGIN = 80
"""How far an output sees, in pixels, rounded up to a multiple of 8: with VGG-19, the deeper one."""


class LiWandDecoder(nn.Module):
    """Features of relu4_1 in, pictures of 8 times the size in one style out.

    A convolution of 3 × 3 to 8 width maps and three fractionally strided ones of 4 × 4 to 4 width,
    2 width and 3, with batch normalisation and a ReLU between, and a tanh. variables are
    {"params": ..., "batch_stats": ...}; with train=True normalisation uses, and moves by, the
    batch's own statistics: `apply(..., train=True, mutable=["batch_stats"])`.

    Fields:
        width: The authors have 64.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Li and Wand 2016, by their code (MGANs, MGAN_wrapper.lua: netG). Differs: the last
        layer has a bias; the authors set it to 0 before each step, and others are taken out by the
        normalisation.
    """

    width: int = 64
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch height width 512"], *, train: bool = False
    ) -> ImageOfAnySize:
        """Return pictures in [0, 1].

        Args:
            features: Of relu4_1.
            train: Whether normalisation uses, and moves by, the batch's own statistics.
        """
        common: Any = {"kernel_init": nn.initializers.normal(0.02), "precision": self.precision}
        x = Convolution(8 * self.width, name="decode1", **common)(features)
        for number, channels in ((2, 4 * self.width), (3, 2 * self.width), (4, 3)):
            x = relu(self._normalize(x, f"decode{number - 1}", train=train))
            x = TransposedConvolution(channels, kernel_size=4, name=f"decode{number}", **common)(x)
        return (jnp.tanh(x) + 1) / 2

    def _normalize(self, x: Array, name: str, *, train: bool) -> Array:
        layer = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,  # Torch says 0.1: the new value's share
            epsilon=1e-5,
            scale_init=around_one,
            use_fast_variance=False,  # E[x²] − E[x]² cancels where a mean is large
            name=f"{name}_norm",
        )
        return layer(x)


class LiWandNetwork(nn.Module):
    """A network that paints every picture in the one style that its decoder is trained for.

    `network.apply(variables, images)` returns pictures of the same size, a multiple of 8, in
    [0, 1]. variables are {"params": {"encoder": ..., "decoder": ...}, "batch_stats": ...}.

    Fields:
        encoder: A VGG, whose parameters are fixed.
        width: The decoder's.
        precision: The decoder's.

    Reference: Li and Wand 2016, section 4 (MGANs).
    """

    encoder: VGG
    width: int = 64
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @property
    def architecture(self) -> Architecture:
        """The encoder's."""
        return self.encoder.architecture

    @property
    def encoder_input(self) -> EncoderInput:
        """What the encoder is given."""
        return "signed" if self.encoder.preprocessing == SIGNED else "weights"

    def setup(self) -> None:
        """Name the decoder."""
        self.decoder = LiWandDecoder(width=self.width, precision=self.precision)

    def __call__(self, images: Image) -> Image:
        """Return the pictures painted.

        Args:
            images: RGB in [0, 1]; sides are multiples of 8 and at least 16.

        Raises:
            ValueError: images have other sides.
        """
        require_sides(images, num_regions=0)
        return self.decoder(self.encoder(images, layers=(LAYER,))[LAYER])
