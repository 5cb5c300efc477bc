"""The encoder and decoder of Huang and Belongie with other transforms of features than AdaIN.

Nothing is trained for them: whatever a transform makes of relu4_1 is decoded.
"""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Image
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.huang import LAYER, Decoder, require_sides
from nst_jax.networks.layers import block_means
from nst_jax.ops.convolution import Precision
from nst_jax.ops.feature_transforms import PATCH_SIZE
from nst_jax.ops.patch_matching import assemble_patches, nearest_patches
from nst_jax.ops.quantiles import quantile_levels, set_quantiles
from nst_jax.ops.whitening import color, covariance_power, mean_and_covariance, whiten

Transform = Literal["adain", "efdm", "wct", "decorator"]
"""How a photograph's features take on a painting's: by the means and deviations of channels, by
channels' whole distributions, by means and covariance, or patch by patch."""

LEVELS = 1024
"""Steps of the quantile functions that are kept of a painting. One of 512 pixels has some 3,000
positions; a fixed number makes one program do for all sizes."""

Weights = Float[Array, "#batch height width"]


class QuantileStyle(NamedTuple):
    """A painting as exact feature distribution matching knows it (ops.quantiles)."""

    levels: Float[Array, "batch 1024 channels"]

    @classmethod
    def of(cls, features: FeatureMap, weights: Weights | None) -> "QuantileStyle":
        """Return a painting's, of the positions that count."""
        return cls(quantile_levels(features, count=LEVELS, weights=weights))

    @property
    def deviation(self) -> Float[Array, "batch channels"]:
        """Each channel's standard deviation."""
        return self.levels.std(1)

    def transform(self, features: FeatureMap, weights: Weights | None) -> FeatureMap:
        """Return features with the painting's distributions, by ranks within a region."""
        return set_quantiles(features, self.levels, weights=weights)


class GaussianStyle(NamedTuple):
    """A painting as whitening and colouring knows it: mean, and root of the covariance."""

    mean: Float[Array, "batch channels"]
    root: Float[Array, "batch channels channels"]

    @classmethod
    def of(cls, features: FeatureMap, weights: Weights | None) -> "GaussianStyle":
        """Return a painting's, of the positions that count."""
        mean, covariance = mean_and_covariance(features, weights=weights)
        return cls(mean, covariance_power(covariance, 0.5))

    @property
    def deviation(self) -> Float[Array, "batch channels"]:
        """Each channel's standard deviation."""
        return jnp.sqrt(jnp.square(self.root).sum(-1))

    def transform(self, features: FeatureMap, weights: Weights | None) -> FeatureMap:
        """Return features with the painting's moments, in place of their own within a region."""
        return color(whiten(features, weights=weights), self.mean, self.root)


class PatchStyle(NamedTuple):
    """A painting as the style decorator knows it: its features whitened, and what colours them.

    Attributes:
        whitened: Where patches are taken from.
        weights: How much each position counts.
        colors: Mean and root of the covariance of the features.
    """

    whitened: Float[Array, "batch height width channels"]
    weights: Float[Array, "batch height width"]
    colors: GaussianStyle

    @classmethod
    def of(cls, features: FeatureMap, weights: Weights | None) -> "PatchStyle":
        """Return a painting's, of the positions that count."""
        counted = jnp.ones(features.shape[:3], features.dtype) if weights is None else weights
        colors = GaussianStyle.of(features, weights)
        return cls(whiten(features, weights=weights), counted, colors)

    @property
    def deviation(self) -> Float[Array, "batch channels"]:
        """Each channel's standard deviation."""
        return self.colors.deviation

    def transform(self, features: FeatureMap, weights: Weights | None) -> FeatureMap:
        """Return features put together from the painting's patches; smaller ones where few fit."""
        size = min(PATCH_SIZE, *features.shape[1:3], *self.whitened.shape[1:3])
        nearest = nearest_patches(
            whiten(features, weights=weights), self.whitened, size=size, weights=self.weights
        )
        together = assemble_patches(self.whitened, nearest, size=size)
        return color(together, *self.colors)


FeatureStyle = QuantileStyle | GaussianStyle | PatchStyle

STYLES: dict[Transform, type[FeatureStyle]] = {
    "efdm": QuantileStyle,
    "wct": GaussianStyle,
    "decorator": PatchStyle,
}
"""What each transform keeps of a painting; AdaIN's is HuangNetwork, whose moments tiles pool."""


class FeatureTransformNetwork(nn.Module):
    """A network that paints after paintings by one of STYLES, with a HuangNetwork's variables.

    `network.apply(variables, images, styles, amounts)` answers pictures of the same size, a
    multiple of 8. A style is what `network.apply(variables, paintings, method="encode_style")`
    answers. Several are mixed everywhere, or each has a region, as for HuangNetwork: every further
    channel of images is then one.

    The features that are decoded are x + Σ_r s_r (T_r(x) − x), where the shares s_r are amounts,
    within regions those times what each position has of them: a mixture is the mean of what its
    styles make. Unlike AdaIN's, the statistics of a picture cannot be had of its tiles.

    Fields:
        encoder: A VGG with reflection padding.
        transform: Which of STYLES.
        precision: The decoder's, as for nst_jax.ops.convolution.convolve.

    Reference: Zhang et al. 2022 for "efdm"; Li et al. 2017, eqs. (2) to (4), at one layer, for
    "wct"; Sheng et al. 2018, section 3.1, without their decoder, for "decorator".
    """

    encoder: VGG
    transform: Transform
    precision: Precision = "float32"

    if TYPE_CHECKING:  # linen's own apply promises a tuple, were mutable given

        def apply(self, *args: Any, **kwargs: Any) -> Any:
            """Linen's, which is what runs."""

    def setup(self) -> None:
        """Name the parts as HuangNetwork does."""
        self.decoder = Decoder(architecture=self.encoder.architecture, precision=self.precision)

    def __call__(
        self,
        images: Float[Array, "batch height width _"],
        styles: tuple[FeatureStyle, ...],
        amounts: Float[Array, "batch regions"],
    ) -> Image:
        """Return the pictures painted.

        Args:
            images: As for HuangNetwork.
            styles: One or several, for each picture.
            amounts: How much of each: 0 leaves the photograph; with regions they do not add up.

        Raises:
            ValueError: images have other sides, or other channels than regions want.
        """
        require_sides(images, num_regions=len(styles))
        x = self.encoder(images[..., :3], layers=(LAYER,))[LAYER]
        shares = jnp.broadcast_to(amounts[:, None, None], (*x.shape[:3], len(styles)))
        regions = None
        if images.shape[-1] > 3:
            regions = block_means(images[..., 3:], 8)
            shares = shares * regions / jnp.maximum(regions.sum(-1, keepdims=True), 1)
        changed = x
        for number, style in enumerate(styles):
            own = None if regions is None else regions[..., number]
            changed += shares[..., number, None] * (style.transform(x, own) - x)
        return self.decoder(changed)

    def encode_style(self, paintings: Float[Array, "batch height width _"]) -> FeatureStyle:
        """Return what a painting is to the network.

        Args:
            paintings: As for HuangNetwork.style_moments: a fourth channel says what counts.
        """
        x = self.encoder(paintings[..., :3], layers=(LAYER,))[LAYER]
        weights = None if paintings.shape[-1] == 3 else block_means(paintings[..., 3:], 8)[..., 0]
        return STYLES[self.transform].of(x, weights)
