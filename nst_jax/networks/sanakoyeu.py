"""The networks of Sanakoyeu et al. 2018: one that paints like a painter, and its discriminator.

Training is in nst_jax.papers.sanakoyeu_2018.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, check_images
from nst_jax.networks.layers import Convolution, InstanceNorm, UpsampledConvolution, around_one
from nst_jax.ops.convolution import Precision, relu

TILE_MARGIN = 352
"""How far an output sees besides the statistics, in pixels, rounded up to a multiple of 16."""

LEAST_SIDE = 32
"""Of pictures, in pixels: two positions after four halvings, which a reflection wants."""

_PADDING = 15  # what one unpadded convolution and four of stride 2 take away again
_NUM_RESIDUAL_BLOCKS = 9
_KERNEL = nn.initializers.truncated_normal(0.02)
_SLOPE = 0.2
_HEADS = {0: 5, 1: 10, 3: 10, 5: 6, 6: 3}  # layers of the discriminator, and kernels after them


class SanakoyeuNetwork(nn.Module):
    """A network that paints every picture like the painter that it is trained on.

    `network.apply(variables, images)` returns pictures of the same size, in [0, 1];
    `network.apply(variables, images, method="encode")` what the encoder keeps of pictures, a
    sixteenth of their size: what style-aware content loss compares.

    The encoder: instance normalisation of the picture, a convolution to width maps, and four of
    stride 2 to width, 2, 4 and 8 width. The decoder: nine residual blocks, four enlargements to the
    nearest neighbour, each before a convolution to 8, 4, 2 and width maps, and one of 7 × 7 to a
    sigmoid. All others are of 3 × 3, with instance normalisation and a ReLU, and without a bias.

    Fields:
        width: The authors have 32.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Sanakoyeu et al. 2018, section 3 and supplement, by their code (module.py).
    """

    width: int = 32
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def setup(self) -> None:
        """Name the parts."""
        self.encoder = _Encoder(width=self.width, precision=self.precision)
        self.decoder = _Decoder(width=self.width, precision=self.precision)

    def __call__(self, images: Image) -> Image:
        """Return the pictures painted.

        Args:
            images: RGB in [0, 1]; sides are multiples of 16 and at least 32.

        Raises:
            ValueError: images are not such pictures.
        """
        return self.decoder(self.encode(images))

    def encode(self, images: Image) -> Float[Array, "batch _ _ _"]:
        """Return what the encoder keeps of pictures.

        Args:
            images: As for __call__.

        Raises:
            ValueError: images are not such pictures.
        """
        check_images("images", images)
        height, width = images.shape[1:3]
        if height % 16 or width % 16 or min(height, width) < LEAST_SIDE:
            raise ValueError(
                f"images: wanted sides that are multiples of 16 and at least {LEAST_SIDE} pixels, "
                f"got {height} by {width}; pad the pictures and crop the result, or enlarge them"
            )
        return self.encoder(images)


class _Encoder(nn.Module):
    width: int
    precision: Precision

    @nn.compact
    def __call__(self, images: Array) -> Array:
        x = InstanceNorm(scale_init=around_one, name="input_norm")(images)
        around = ((0, 0), (_PADDING, _PADDING), (_PADDING, _PADDING), (0, 0))
        x = jnp.pad(x, around, mode="reflect")
        for number, times in enumerate((1, 1, 2, 4, 8), 1):
            layer = Convolution(
                times * self.width,
                stride=1 if number == 1 else 2,
                padding="valid",
                use_bias=False,
                kernel_init=_KERNEL,
                precision=self.precision,
                name=f"contract{number}",
            )
            x = relu(InstanceNorm(scale_init=around_one, name=f"contract{number}_norm")(layer(x)))
        return x


class _Decoder(nn.Module):
    width: int
    precision: Precision

    @nn.compact
    def __call__(self, x: Array) -> Array:
        common: Any = {"use_bias": False, "kernel_init": _KERNEL, "precision": self.precision}
        for number in range(1, _NUM_RESIDUAL_BLOCKS + 1):
            y = x
            for part in ("a", "b"):
                y = relu(y) if part == "b" else y
                name = f"residual{number}{part}"
                y = Convolution(x.shape[-1], padding="reflect", name=name, **common)(y)
                y = InstanceNorm(scale_init=around_one, name=f"{name}_norm")(y)
            x = x + y
        for number, times in enumerate((8, 4, 2, 1), 1):
            name = f"expand{number}"
            x = UpsampledConvolution(times * self.width, padding="zero", name=name, **common)(x)
            x = relu(InstanceNorm(scale_init=around_one, name=f"{name}_norm")(x))
        return nn.sigmoid(
            Convolution(3, kernel_size=7, padding="reflect", name="output", **common)(x)
        )


class SanakoyeuDiscriminator(nn.Module):
    """Says of patches of five sizes whether they are the painter's.

    Convolutions of 5 × 5 and stride 2 to 2, 2, 4, 8, 8, 16 and 16 width maps, with instance
    normalisation and a leaky ReLU. After the first, second, fourth, sixth and seventh one there is
    a map of logits, by kernels of 5, 10, 10, 6 and 3 positions. No convolution has a bias.

    Fields:
        width: The authors have 64.
        num_layers: 7, or fewer for pictures of less than 256 pixels, with the logits up to there.
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Sanakoyeu et al. 2018, by their code (module.py).
    """

    width: int = 64
    num_layers: int = 7
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @nn.compact
    def __call__(self, images: Image) -> tuple[Float[Array, "batch _ _ 1"], ...]:
        """Return a map of logits for each size of patches, the smallest first.

        Args:
            images: RGB in [0, 1], of sides of at least 2^(1 + num_layers) pixels.

        Raises:
            ValueError: images are not such pictures.
        """
        check_images("images", images)
        least = 2 ** (1 + self.num_layers)
        height, width = images.shape[1:3]
        if min(height, width) < least:
            raise ValueError(
                f"images: wanted sides of at least {least} pixels, got {height} by {width}; give "
                "larger pictures, or a discriminator of fewer layers"
            )
        x, found = 2 * images - 1, []
        for number, times in enumerate((2, 2, 4, 8, 8, 16, 16)[: self.num_layers]):
            x = self._convolve(x, f"convolution{number}", times * self.width, 5, stride=2)
            x = InstanceNorm(scale_init=around_one, name=f"convolution{number}_norm")(x)
            x = nn.leaky_relu(x, _SLOPE)
            if number in _HEADS:
                found.append(self._convolve(x, f"logits{number}", 1, _HEADS[number]))
        return tuple(found)

    def _convolve(
        self, x: Array, name: str, features: int, side: int, *, stride: int = 1
    ) -> Float[Array, "batch _ _ _"]:
        """With zeros around as TensorFlow has them: one more after than before, where uneven."""
        pads = [(0, 0)] * 4
        for axis in (1, 2):
            out = -(-x.shape[axis] // stride)
            total = max((out - 1) * stride + side - x.shape[axis], 0)
            pads[axis] = (total // 2, total - total // 2)
        layer = Convolution(
            features,
            kernel_size=side,
            stride=stride,
            padding="valid",
            use_bias=False,
            kernel_init=_KERNEL,
            precision=self.precision,
            name=name,
        )
        return layer(jnp.pad(x, pads))
