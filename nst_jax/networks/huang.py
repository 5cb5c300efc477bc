"""The networks of Huang and Belongie 2017: the decoder, and the whole that paints in any style.

Training is in nst_jax.papers.huang_2017.
"""

from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, Params, check_images
from nst_jax.encoders.vgg import VGG, Architecture, channels_of, kernel_shapes
from nst_jax.networks.layers import (
    Convolution,
    RegionMoments,
    UpsampledConvolution,
    block_means,
    spread,
)
from nst_jax.ops.convolution import Precision, relu
from nst_jax.ops.moments import channel_moments, region_moments

LAYER = "relu4_1"
"""The encoder's layer whose features are decoded, an eighth of the picture's size."""

_FIRST, LAST = "conv4_1", "conv1_1"


class Decoder(nn.Module):
    """A VGG up to relu4_1 run backwards: features of relu4_1 in, pictures of 8 times the size out.

    `decoder.apply(variables, features)`. Every layer has the name of the encoder's convolution
    that it undoes, from conv4_1 (512 to 256 channels) to conv1_1 (64 to 3). All are 3×3 with
    reflection padding, and followed by a ReLU but for the last, whose output is the picture and
    may leave [0, 1]. Where the encoder pools, the decoder enlarges to the nearest neighbour. There
    is no normalisation: it would give all pictures one style.

    Fields:
        architecture: The encoder's: 3,505,219 parameters for "vgg19", 2,915,139 for "vgg16".
        precision: As for nst_jax.ops.convolution.convolve.

    Reference: Huang and Belongie 2017, §6; the authors' train.lua mirrors the encoder.
    """

    architecture: Architecture = "vgg19"
    precision: Precision = "float32"

    def __call__(self, features: Float[Array, "batch height width _"]) -> ImageOfAnySize:
        """Return the pictures of features.

        Args:
            features: Of relu4_1, at least 2 by 2 positions; 512 channels, or what a variant takes.

        Raises:
            ValueError: There are fewer positions, which reflection padding cannot do with.
        """
        if features.shape[1] < 2 or features.shape[2] < 2:
            raise ValueError(
                f"features: wanted at least 2 by 2 positions, got {features.shape[1]} by "
                f"{features.shape[2]}; give pictures of 16 pixels a side or more"
            )
        return self.run_layers(features, first=_FIRST, last=LAST)

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
            x = self.apply_layer(x, name, channels[name])
            x = x if name == LAST else relu(x)
        return x

    def apply_layer(
        self, x: Float[Array, "batch _ _ _"], name: str, channels: int
    ) -> Float[Array, "batch _ _ {channels}"]:
        """Return a layer's answer before its ReLU: what a variant of the decoder may override.

        Args:
            x: What enters it, before it is enlarged.
            name: The layer's.
            channels: How many it answers with.
        """
        init = _small if name == LAST else _KERNEL_INIT
        if name in enlarging_layers(self.architecture):  # the pooling is undone first
            enlarge = UpsampledConvolution(
                channels, kernel_init=init, precision=self.precision, name=name
            )
            return enlarge(x)
        convolve = Convolution(
            channels, kernel_init=init, precision=self.precision, padding="reflect", name=name
        )
        return convolve(x)


TILE_MARGIN = 72
"""How far an output sees, in pixels: 70 with VGG-19, rounded up to a multiple of 8."""


class HuangNetwork(nn.Module):
    """A network that paints pictures after any paintings, which it is given as channel moments.

    `network.apply(variables, images, mean, deviation, alpha)` answers pictures of the same size, a
    multiple of 8. The moments are those of a painting's features in relu4_1, from
    `network.apply(variables, paintings, method="style_moments")`, with an axis of regions added;
    averages of several paintings' mix their styles. variables are
    {"params": {"encoder": ..., "decoder": ...}}.

    Pictures may have regions, each painted after a style of its own: every further channel of
    images says how much each pixel belongs to a region. Where regions overlap, the result is
    between theirs; what belongs to none takes no style.

    On a tile whose sides begin at multiples of 8, the output is that part of the whole picture's,
    except within 72 pixels (TILE_MARGIN) of sides that are not the picture's, if all tiles get one
    set of given_statistics (see InstanceNorm in nst_jax.networks.layers).

    Fields:
        encoder: A VGG with reflection padding; its parameters are fixed.
        precision: The decoder's, as for nst_jax.ops.convolution.convolve.

    Reference: Huang and Belongie 2017, eqs. (8), (14) and (15), and their spatial control.
    """

    encoder: VGG
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    @property
    def architecture(self) -> Architecture:
        """The encoder's, which the decoder mirrors."""
        return self.encoder.architecture

    def setup(self) -> None:
        """Name the parts."""
        self.content = RegionMoments()
        self.decoder = Decoder(architecture=self.encoder.architecture, precision=self.precision)

    def __call__(
        self,
        images: Float[Array, "batch height width _"],
        mean: Float[Array, "batch regions 512"],
        deviation: Float[Array, "batch regions 512"],
        alpha: Float[Array, "batch 1"],
    ) -> Image:
        """Return the pictures painted: g((1 − α) f(x) + α AdaIN(f(x), style)).

        Args:
            images: RGB in [0, 1], and where there are several regions a channel for each of them,
                from 0 to 1; sides are multiples of 8 and at least 16.
            mean: Each region's style, as the means of its features' channels.
            deviation: Their standard deviations, as channel_moments has them.
            alpha: How much of the style each picture takes: 0 reconstructs it, 1 paints.

        Raises:
            ValueError: images have other sides, or other channels than regions want.
        """
        check_images("images", images[..., :3])
        if images.shape[-1] == 3 and mean.shape[1] > 1:
            raise ValueError(
                f"images: wanted 3 channels and one for each of {mean.shape[1]} regions, got 3"
            )
        require_sides(images, num_regions=mean.shape[1])
        x = self.encoder(images[..., :3], layers=(LAYER,))[LAYER]
        regions = jnp.ones((*x.shape[:3], 1), x.dtype)
        if images.shape[-1] > 3:
            regions = block_means(images[..., 3:], 8)
        own_mean, own_deviation = self.content(x, regions)
        scale = deviation / own_deviation
        shares = alpha[:, None, None] * regions / jnp.maximum(regions.sum(-1, keepdims=True), 1)
        # AdaIN is affine in x, and so is its mixture over regions: x + Σ_r s_r (a_r x + b_r − x).
        changed = spread(shares, scale - 1) * x + spread(shares, mean - scale * own_mean)
        return self.decoder(x + changed)

    def style_moments(
        self, paintings: Float[Array, "batch height width _"]
    ) -> tuple[Float[Array, "batch 512"], Float[Array, "batch 512"]]:
        """Return what a painting is to the network: its features' channel moments in relu4_1.

        Args:
            paintings: RGB in [0, 1], of any size from 16 pixels on; a fourth channel, whose sides
                are then multiples of 8, says from 0 to 1 which part of a painting counts.
        """
        x = self.encoder(paintings[..., :3], layers=(LAYER,))[LAYER]
        if paintings.shape[-1] == 3:
            return channel_moments(x)
        mean, variance = region_moments(x, block_means(paintings[..., 3:], 8))
        return mean[:, 0], jnp.sqrt(variance[:, 0] + self.content.eps)


def require_sides(images: Float[Array, "batch height width channels"], *, num_regions: int) -> None:
    """Raise a ValueError unless images have sides to encode, and no regions or so many.

    Args:
        images: RGB, and a channel for each region.
        num_regions: How many are known.

    Raises:
        ValueError: They have not.
    """
    _, height, width, channels = images.shape
    if height % 8 or width % 8 or height < 16 or width < 16:
        raise ValueError(
            f"images: wanted sides that are multiples of 8 and at least 16 pixels, got "
            f"{height} by {width}; pad the pictures and crop the result, or enlarge them"
        )
    if channels not in (3, 3 + num_regions):
        raise ValueError(
            f"images: wanted 3 channels and one for each of {num_regions} regions, got {channels}"
        )


def conditions_shapes(*, num_regions: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the shapes of a HuangNetwork's arguments besides images, for one of these."""
    moments = jax.ShapeDtypeStruct((1, num_regions, channels_of(LAYER)), jnp.float32)
    return moments, moments, jax.ShapeDtypeStruct((1, 1), jnp.float32)


def encoder_params_up_to_layer(encoder_params: Params) -> Params:
    """Return the part of an encoder's variables that relu4_1 is computed by."""
    last = LAYER.replace("relu", "conv")
    kept = {name: arrays for name, arrays in encoder_params["params"].items() if name <= last}
    return {"params": kept}


def decoder_channels(architecture: Architecture) -> dict[str, int]:
    """Return the channels that each layer of a decoder answers with, in the order of computation.

    Raises:
        ValueError: There is no such architecture.
    """
    shapes = kernel_shapes(architecture)
    names = [name for name in shapes if name <= "conv4_1"]
    return {name: shapes[name][2] for name in reversed(names)}


def enlarging_layers(architecture: Architecture) -> set[str]:
    """The last convolutions of the encoder's first three blocks."""
    last = {name[:5]: name for name in kernel_shapes(architecture)}
    return {last[block] for block in ("conv1", "conv2", "conv3")}


_KERNEL_INIT = nn.initializers.he_normal()


def _small(key, shape, dtype=jax.numpy.float32) -> Array:
    """He's values by 0.05: colours begin near one another, not hundreds of steps away."""
    return 0.05 * _KERNEL_INIT(key, shape, dtype)
