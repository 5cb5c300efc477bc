"""Layers that the feed-forward networks share: convolutions with weights, instance normalisation.

How to convolve is nst_jax.ops.convolution's business; here the weights get their names and first
values. Kernels and biases are named as in linen's own layers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

from nst_jax.array_types import FeatureMap, Image, check_images
from nst_jax.ops import convolution
from nst_jax.ops.convolution import Padding, Precision
from nst_jax.ops.moments import region_moments
from nst_jax.ops.parameters import Initializer, parameter

_NOWHERE = 1e-3  # of a pixel in all regions together, below which it belongs to none


def uniform_within(bound: float) -> Initializer:
    """Return what draws uniformly in ±bound: Torch's first weights and biases for 1/√fan_in.

    Args:
        bound: The most that a value is.
    """

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def _draw_around_one(key, shape, dtype=jnp.float32):
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


around_one: Initializer = _draw_around_one
"""First scales of a normalisation: normal around 1 with a deviation of 0.02."""


class _Weighted(nn.Module):
    """What the convolutions have in common: a square kernel and, unless told otherwise, a bias."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros_init()
    precision: Precision = "float32"

    def _weights(self, x: FeatureMap, side: int) -> tuple[Array, Array | None]:
        shape = (side, side, x.shape[-1], self.features)
        kernel = parameter(self, "kernel", self.kernel_init, shape)
        if not self.use_bias:
            return kernel, None
        return kernel, parameter(self, "bias", self.bias_init, (self.features,))


class Convolution(_Weighted):
    """A convolution: nst_jax.ops.convolution.convolve with weights of its own."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "zero"

    @nn.compact
    def __call__(self, x: FeatureMap) -> Float[Array, "batch _ _ _"]:
        """Return the convolution of x with this layer's kernel, plus its bias."""
        kernel, bias = self._weights(x, self.kernel_size)
        return convolution.convolve(
            x, kernel, bias, stride=self.stride, padding=self.padding, precision=self.precision
        )


class TransposedConvolution(_Weighted):
    """A fractionally strided convolution with bias, by 3×3 or 4×4, which doubles both sides."""

    kernel_size: int = 3

    @nn.compact
    def __call__(self, x: FeatureMap) -> Float[Array, "batch _ _ _"]:
        """Return nst_jax.ops.convolution.convolve_transposed of x with this layer's weights."""
        kernel, bias = self._weights(x, self.kernel_size)
        return convolution.convolve_transposed(x, kernel, bias, precision=self.precision)


class UpsampledConvolution(_Weighted):
    """Nearest upsampling by two, then a 3×3 convolution with bias; padding as for Convolution."""

    padding: Padding = "reflect"

    @nn.compact
    def __call__(self, x: FeatureMap) -> Float[Array, "batch _ _ _"]:
        """Return nst_jax.ops.convolution.upsample_convolve of x with this layer's weights."""
        kernel, bias = self._weights(x, 3)
        return convolution.upsample_convolve(
            x, kernel, bias, padding=self.padding, precision=self.precision
        )


class _InstanceStatistics(nn.Module):
    """What the instance normalisations have in common: x's own statistics, or given ones."""

    eps: float = 1e-5

    def _exchanged(self, mean: Array, var: Array) -> tuple[Array, Array]:
        """The statistics to use for these, x's own, which are noted if asked for."""
        if self.has_variable("pooled_statistics", "mean"):
            mean, var = _pooled(mean, var)
        # Unused where statistics are given and not recorded: jit drops them then.
        if self.is_mutable_collection("statistics") and not self.is_initializing():
            self.put_variable("statistics", "mean", mean)
            self.put_variable("statistics", "var", var)
        if self.has_variable("given_statistics", "mean"):
            mean = self.get_variable("given_statistics", "mean")
            var = self.get_variable("given_statistics", "var")
        return mean, var

    def _own(self, x: FeatureMap) -> tuple[Array, Array]:
        """The moments of x over its positions, or over those of them that count."""
        if not self.has_variable("counted", "rows"):
            mean = x.mean((1, 2))
            return mean, jnp.square(x - _at_each_position(mean)).mean((1, 2))
        rows = self.get_variable("counted", "rows")
        stride = rows.shape[0] // x.shape[1]
        columns = self.get_variable("counted", "columns")[::stride]
        counted = jnp.asarray(rows[::stride, None] * columns[None])
        mean, var = region_moments(x, counted[None, :, :, None])
        return mean[:, 0], var[:, 0]

    def _normalized(self, x: FeatureMap) -> FeatureMap:
        mean, var = self._exchanged(*self._own(x))
        return (x - _at_each_position(mean)) * lax.rsqrt(_at_each_position(var) + self.eps)

    def _styled(self, x: FeatureMap, scale: Array, bias: Array, shares: Array | None) -> FeatureMap:
        """The map normalised, scaled and shifted: alike everywhere, or by shares of regions."""
        if shares is None:
            return self._normalized(x) * _at_each_position(scale) + _at_each_position(bias)
        shares = block_means(shares, shares.shape[1] // x.shape[1])
        return self._normalized(x) * spread(shares, scale) + spread(shares, bias)


def _pooled(mean: Array, var: Array) -> tuple[Array, Array]:
    """A batch's statistics as those of one picture that has all its positions."""
    pooled = mean.mean(0, keepdims=True)
    spread_out = (var + jnp.square(mean - pooled)).mean(0, keepdims=True)
    return jnp.broadcast_to(pooled, mean.shape), jnp.broadcast_to(spread_out, var.shape)


class RegionMoments(_InstanceStatistics):
    """The channels' means and standard deviations within each of a picture's regions.

    μ_r = Σ_k m_rk x_k / Σ_k m_rk and σ_r = √(Σ_k m_rk (x_k − μ_r)² / Σ_k m_rk + eps), where m_rk is
    how much position k belongs to region r. The statistics, and their two collections, are
    InstanceNorm's, (batch, regions, channels) each. A region that is empty has moments 0 and √eps.
    """

    @nn.compact
    def __call__(
        self, x: FeatureMap, regions: Float[Array, "batch height width regions"]
    ) -> tuple[Float[Array, "batch regions channels"], Float[Array, "batch regions channels"]]:
        """Return the means and the standard deviations.

        Args:
            x: Feature maps.
            regions: How much each position belongs to each region, from 0 to 1.
        """
        mean, var = self._exchanged(*region_moments(x, regions))
        return mean, jnp.sqrt(var + self.eps)


class InstanceNorm(_InstanceStatistics):
    """Instance normalisation with a scale and a bias for each channel.

    z = γ (x − μ) / √(σ² + eps) + β, with μ and the biased σ² over the positions of each picture and
    channel. Where the collection "given_statistics" holds this layer's "mean" and "var", each
    (batch, channels), they replace x's own; where the collection "statistics" is mutable, x's own
    are put there. So what one call of a network records, another can be given, and the tiles of a
    large picture agree. Where the collection "pooled_statistics" holds a "mean" for this layer,
    whatever it is, x's own statistics are those of the whole batch: of frames of a clip. Where the
    collection "counted" holds its "rows" and "columns", 1 for pixels of the picture that count and
    0 for others, x's own statistics are those of these positions alone: of a part of a tile.

    Reference: Ulyanov et al. 2016, arXiv 1607.08022.
    """

    scale_init: Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: FeatureMap) -> FeatureMap:
        """Return x normalised, scaled and shifted."""
        scale = parameter(self, "scale", self.scale_init, (x.shape[-1],))
        bias = parameter(self, "bias", nn.initializers.zeros_init(), (x.shape[-1],))
        return self._normalized(x) * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)


class ConditionalInstanceNorm(_InstanceStatistics):
    """Instance normalisation whose scale and bias are chosen, or mixed, among those of N styles.

    z = γ_s (x − μ) / √(σ² + eps) + β_s, where γ_s = Σ_k w_k γ_k and β_s = Σ_k w_k β_k for a
    picture's weights w: 1 for one of the N styles and 0 for the others, or a mixture. The
    statistics, and their two collections, are InstanceNorm's.

    A picture may have regions, of which each has weights of its own: γ and β then differ from
    position to position, Σ_r m_r γ_r for its shares m_r of the regions. The statistics stay the
    whole picture's: they say what the photograph is, not how it is painted; a network is trained
    with them; and those of a region alone would stretch the faintest grain of an even sky to the
    contrast of a whole photograph. What shares are the same everywhere is a mixture of styles.

    Reference: Dumoulin et al. 2017, section 2.2. Weights need not sum to 1. Regions are ours.
    """

    num_styles: int = 1

    @nn.compact
    def __call__(
        self,
        x: FeatureMap,
        style_weights: Float[Array, "batch ... num_styles"],
        *,
        shares: Float[Array, "batch picture_height picture_width regions"] | None = None,
    ) -> FeatureMap:
        """Return x normalised, then scaled and shifted as the weighted styles want.

        Args:
            x: Feature maps.
            style_weights: Each picture's weights over the styles, (batch, num_styles); with shares
                each region's, (batch, regions, num_styles).
            shares: How much each position belongs to each region; of x's size, or the picture's.
        """
        shape = (self.num_styles, x.shape[-1])
        scales = parameter(self, "scale", nn.initializers.ones_init(), shape)
        biases = parameter(self, "bias", nn.initializers.zeros_init(), shape)
        scale, bias = (
            jnp.matmul(style_weights, table, precision=lax.Precision.HIGHEST)
            for table in (scales, biases)
        )
        return self._styled(x, scale, bias, shares)


class _Affine(nn.Module):
    """W e + a of embeddings, with arrays named as in linen's Dense."""

    features: int
    bias_init: Initializer

    @nn.compact
    def __call__(self, embeddings: Float[Array, "batch ... size"]) -> Float[Array, "batch ... _"]:
        shape = (embeddings.shape[-1], self.features)
        kernel = parameter(self, "kernel", nn.initializers.normal(0.03), shape)
        bias = parameter(self, "bias", self.bias_init, (self.features,))
        product = jnp.matmul(embeddings, kernel, precision=lax.Precision.HIGHEST)
        return product + jnp.broadcast_to(bias, product.shape)


class PredictedInstanceNorm(_InstanceStatistics):
    """Instance normalisation whose scale and bias are linear in an embedding of a painting.

    z = γ (x − μ) / √(σ² + eps) + β with γ = W e + a and β = V e + b for the picture's embedding e.
    The first a is 1 and the first b is 0. The statistics, and their two collections, are
    InstanceNorm's.

    A picture may have regions, each with an embedding of its own: γ and β then differ from
    position to position, as in ConditionalInstanceNorm.

    Reference: Ghiasi et al. 2017, section 2. Regions are ours.
    """

    @nn.compact
    def __call__(
        self,
        x: FeatureMap,
        embeddings: Float[Array, "batch ... size"],
        *,
        shares: Float[Array, "batch picture_height picture_width regions"] | None = None,
    ) -> FeatureMap:
        """Return x normalised, then scaled and shifted as the embeddings want.

        Args:
            x: Feature maps.
            embeddings: Each picture's, (batch, size); with shares each region's, (batch, regions,
                size).
            shares: How much each position belongs to each region; of x's size, or the picture's.
        """
        scale, bias = (
            _Affine(x.shape[-1], bias_init=bias_init, name=name)(embeddings)
            for name, bias_init in (
                ("scale", nn.initializers.ones_init()),
                ("bias", nn.initializers.zeros_init()),
            )
        )
        return self._styled(x, scale, bias, shares)


def spread(
    shares: Float[Array, "batch height width regions"],
    of_regions: Float[Array, "batch regions channels"],
) -> FeatureMap:
    """Return what regions have, at each position by its shares of them: Σ_r m_r v_r."""
    return jnp.einsum("bhwr,brc->bhwc", shares, of_regions, precision=lax.Precision.HIGHEST)


def region_shares(
    masks: Float[Array, "batch height width regions"],
) -> Float[Array, "batch height width regions"] | None:
    """Return each pixel's shares of the regions, which sum to 1; None where there are no regions.

    A pixel that belongs to none gets equal shares.

    Args:
        masks: How much each pixel belongs to each region, from 0 to 1.
    """
    regions = masks.shape[-1]
    if regions == 0:
        return None
    total = masks.sum(-1, keepdims=True)
    return jnp.where(total > _NOWHERE, masks / jnp.maximum(total, _NOWHERE), 1 / regions)


def mix_uncovered(
    painted: Image, pictures: Image, masks: Float[Array, "batch height width regions"]
) -> Image:
    """Return painted pictures with the original ones back where no region is.

    y = c · painted + (1 − c) · picture with c = min(1, Σ_r m_r); painted itself without regions.

    Args:
        painted: What the network answers.
        pictures: What it was given.
        masks: How much each pixel belongs to each region, from 0 to 1.
    """
    if masks.shape[-1] == 0:
        return painted
    covered = jnp.minimum(masks.sum(-1, keepdims=True), 1)
    return covered * painted + (1 - covered) * pictures


def block_means(
    masks: Float[Array, "batch height width regions"], side: int
) -> Float[Array, "batch _ _ regions"]:
    """Return masks as a layer of so many times fewer rows and columns has them.

    Args:
        masks: Of a picture whose sides are multiples of side.
        side: What a position of the layer stands for, in pixels along each axis.
    """
    batch, height, width, regions = masks.shape
    blocks = masks.reshape(batch, height // side, side, width // side, side, regions)
    return blocks.mean((2, 4))


def _at_each_position(per_channel: Float[Array, "batch channels"]) -> Float[Array, "batch 1 1 _"]:
    return per_channel[:, None, None, :]


def require_pictures(images: Shaped[Array, "..."], *, least: int) -> None:
    """Raise a ValueError unless images are RGB pictures of a size that the networks can halve.

    Two convolutions of stride 2 and two upsamplings come back to the same size only from sides that
    are multiples of 4.

    Args:
        images: What should be floating point, (batch, height, width, 3).
        least: The shortest side allowed.

    Raises:
        ValueError: They are not.
    """
    check_images("images", images)
    height, width = images.shape[1:3]
    if height % 4 or width % 4 or height < least or width < least:
        raise ValueError(
            f"images: wanted sides that are multiples of 4 and at least {least} pixels, "
            f"got {height} by {width}; pad the pictures and crop the result, or enlarge them"
        )
