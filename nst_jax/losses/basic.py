"""Distances on features and pictures that style transfer minimises.

Every loss on features is a mean, so that a weight keeps its meaning when a picture changes size.
published.py converts weights that were published for other conventions.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import (
    FeatureMap,
    Features,
    Gram,
    Image,
    Scalar,
    check_feature_map,
    check_images,
)
from nst_jax.ops.whitening import mean_and_covariance

Grams = Mapping[str, Float[Array, "_ _ _"]]
"""Layer name, such as 'relu4_1', to that layer's Gram matrices."""

GuidedGrams = Mapping[str, Float[Array, "_ _ _ _"]]
"""The same of pictures with regions: (batch, regions, channels, channels)."""

LayerWeights = tuple[tuple[str, float], ...]
"""Pairs of a layer's name and its weight; hashable, so fit for a frozen config."""

Weight = float | np.float32 | Scalar
"""A constant of a program, or data for it."""

TracedLayerWeights = tuple[tuple[str, Weight], ...]
"""The same where a weight may be data of a compiled program."""

Moments = tuple[Float[Array, "batch channels"], Float[Array, "batch channels"]]
"""Means and standard deviations, as channel_moments returns them."""

_Value = TypeVar("_Value")
_Target = TypeVar("_Target")


def content_loss(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Return the mean squared difference of two feature maps.

    L = Σ (F − P)² / (batch · M · N), over M positions and N channels.

    Args:
        features: The picture's features, F.
        target: The content image's features, P.

    Returns:
        The loss.

    Reference: Gatys et al. 2016, eq. (1). Differs: the paper's is ½ Σ (F − P)²; see
    CONTENT_NORMALIZATIONS.
    """
    for name, each in (("features", features), ("target", target)):
        check_feature_map(name, each)
    if features.shape != target.shape:
        raise ValueError(
            f"target: wanted the shape of features, {features.shape}, got {target.shape}"
        )
    return jnp.square(features - target).mean()


def gram_loss(gram: Gram, target_gram: Float[Array, "#batch channels channels"]) -> Scalar:
    """Return the mean squared difference of Gram matrices, over their entries and the batch.

    L = Σ (G − A)² / (batch · N²), with G = FᵀF / M as gram_matrix returns it.

    Args:
        gram: The picture's Gram matrices, G.
        target_gram: The style's, A; one for the whole batch or one for each of its images.

    Returns:
        The loss, four times the paper's E_l.

    Reference: Gatys et al. 2016, eq. (4). Differs: no factor ¼; see GRAM_NORMALIZATIONS.
    """
    for name, each in (("gram", gram), ("target_gram", target_gram)):
        if getattr(each, "ndim", None) != 3 or each.shape[1:] != gram.shape[1:]:
            got = getattr(each, "shape", type(each).__name__)
            raise ValueError(
                f"{name}: wanted Gram matrices, (N, C, C), of equal C, got {got}; gram_matrix "
                "makes them of features"
            )
    return jnp.square(gram - target_gram).mean()


def guided_gram_loss(
    grams: Float[Array, "batch regions channels channels"],
    target_grams: Float[Array, "#batch regions channels channels"],
) -> Scalar:
    """Return the mean over regions of the mean squared difference of their Gram matrices.

    L = Σ_r λ_r Σ (G_r − A_r)² / (batch · N²) with λ_r = 1/R, so that a picture of one region has
    gram_loss.

    Args:
        grams: The picture's, G, as guided_gram_matrices returns them.
        target_grams: The styles', A: each region's own.

    Returns:
        The loss, four times the paper's E_l.

    Reference: Gatys et al. 2017, §4; λ_r is the authors' code's. Differs: no factor ¼.
    """
    return jnp.square(grams - target_grams).mean()


def relative_content_loss(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Return the squared difference of two feature maps as a share of the target's own square.

    L = mean over the batch of Σ (F − P)² / Σ P², the sums over positions and channels. It is 1 for
    features of 0, whatever the layer and the picture.

    Args:
        features: The picture's features, F.
        target: The content image's features, P; not all 0.

    Reference: ours.
    """
    difference = jnp.square(features - target).sum((1, 2, 3))
    return (difference / jnp.square(target).sum((1, 2, 3))).mean()


def log_relative_gram_loss(
    gram: Gram, target_gram: Float[Array, "#batch channels channels"]
) -> Scalar:
    """Return the logarithm of how far Gram matrices differ as a share of the target's own square.

    L = mean over the batch of log(1 + Σ (G − A)² / Σ A²), the sums over entries. Paintings of high
    and of low contrast count alike, and one that is far off does not outweigh the others.

    Args:
        gram: The picture's Gram matrices, G.
        target_gram: The style's, A, not all 0; one for the whole batch or one for each picture.

    Reference: ours.
    """
    difference = jnp.square(gram - target_gram).sum((1, 2))
    return jnp.log1p(difference / jnp.square(target_gram).sum((1, 2))).mean()


def log_relative_color_loss(
    image: Image, target: Float[Array, "#batch target_height target_width 3"]
) -> Scalar:
    """Return the logarithms of how far the colours' mean and covariance are from a painting's.

    L = mean over the batch of log(1 + ‖μ − μ'‖² / (tr Σ' + 1e-3))
    + log(1 + ‖Σ − Σ'‖² / (‖Σ'‖² + 1e-6)), with the mean μ and the covariance Σ of RGB over pixels,
    and the Frobenius norm. Second moments about 0, as Gram matrices are, say mostly how bright a
    picture is. Covariances say how its colours vary.

    Args:
        image: The picture, RGB in [0, 1].
        target: The painting, RGB in [0, 1]; one for the whole batch or one for each picture.

    Reference: ours.
    """
    (mean, covariance), (wanted_mean, wanted) = map(mean_and_covariance, (image, target))
    spread = jnp.trace(wanted, axis1=1, axis2=2) + 1e-3
    of_means = jnp.square(mean - wanted_mean).sum(1) / spread
    difference = jnp.square(covariance - wanted).sum((1, 2))
    of_covariances = difference / (jnp.square(wanted).sum((1, 2)) + 1e-6)
    return (jnp.log1p(of_means) + jnp.log1p(of_covariances)).mean()


def moment_loss(moments: Moments, target_moments: Moments) -> Scalar:
    """Return the mean squared difference of means plus that of standard deviations.

    L = Σ ((μ − μ')² + (σ − σ')²) / (batch · N), over N channels.

    Args:
        moments: The picture's channel means and standard deviations.
        target_moments: The style's.

    Returns:
        The loss.

    Reference: Huang and Belongie 2017, eq. (13). Differs: the paper has Euclidean distances, the
    authors' code sums over channels; see MOMENT_NORMALIZATIONS.
    """
    (mean, deviation), (target_mean, target_deviation) = moments, target_moments
    return jnp.square(mean - target_mean).mean() + jnp.square(deviation - target_deviation).mean()


def log_relative_moment_loss(moments: Moments, target_moments: Moments) -> Scalar:
    """Return the logarithm of how far moments differ as a share of the target's own square.

    L = mean over the batch of log(1 + (‖μ − μ'‖² + ‖σ − σ'‖²) / (‖μ'‖² + ‖σ'‖²)), the norms over
    channels. Layers and paintings count alike, whatever their scale, and one that is far off does
    not outweigh the others.

    Args:
        moments: The picture's channel means and standard deviations, μ and σ.
        target_moments: The style's, μ' and σ'.

    Reference: ours.
    """

    def squares(first: Array, second: Array) -> Array:
        return jnp.square(first).sum(-1) + jnp.square(second).sum(-1)

    (mean, deviation), (target_mean, target_deviation) = moments, target_moments
    difference = squares(mean - target_mean, deviation - target_deviation)
    return jnp.log1p(difference / squares(target_mean, target_deviation)).mean()


def total_variation_loss(image: Image) -> Scalar:
    """Return the mean squared step between vertical neighbours plus that between horizontal ones.

    L = mean (x[i+1, j] − x[i, j])² + mean (x[i, j+1] − x[i, j])², each mean over every such pair,
    the colour channels and the batch: independent of the picture's size, 2 for a checkerboard.

    Args:
        image: Pictures of at least 2 × 2 pixels.

    Returns:
        The loss.

    Raises:
        ValueError: The picture has a side of 1 pixel.
    """
    _require_neighbours(image)
    vertical, horizontal = jnp.diff(image, axis=1), jnp.diff(image, axis=2)
    return jnp.square(vertical).mean() + jnp.square(horizontal).mean()


def half_sum_total_variation_loss(image: Image) -> Scalar:
    """Return half the sum of squared steps to the right and lower neighbours, averaged over images.

    L = ½ Σ ((x[i+1, j] − x[i, j])² + (x[i, j+1] − x[i, j])²) over the (H−1)(W−1) pixels that have
    both neighbours, and the colour channels. It grows with the picture's area. Its gradient is
    what jcjohnson/neural-style adds to the image's, there on pixels from 0 to 256.

    Args:
        image: Pictures of at least 2 × 2 pixels.

    Returns:
        The loss.

    Raises:
        ValueError: The picture has a side of 1 pixel.
    """
    _require_neighbours(image)
    vertical = jnp.diff(image, axis=1)[:, :, :-1]
    horizontal = jnp.diff(image, axis=2)[:, :-1]
    return (jnp.square(vertical) + jnp.square(horizontal)).sum() / (2 * image.shape[0])


TOTAL_VARIATION_LOSSES: Mapping[str, Callable[[Image], Scalar]] = {
    "mean": total_variation_loss,
    "half_sum": half_sum_total_variation_loss,
}
"""By the names that configurations have for them."""


def _require_neighbours(image: Image) -> None:
    check_images("image", image)
    _, height, width, _ = image.shape
    if min(height, width) < 2:
        raise ValueError(
            "image: total variation needs at least 2 pixels a side, "
            f"got height {height} and width {width}; resize the picture or leave the term out"
        )


def feature_loss(
    features: Features, target_features: Features, *, layer_weights: TracedLayerWeights
) -> Scalar:
    """Return the weighted sum over layers of content_loss.

    Args:
        features: The picture's features, by layer.
        target_features: The content image's.
        layer_weights: The layers to compare, each with its weight.

    Returns:
        The loss.

    Raises:
        ValueError: layer_weights names a layer that the features lack.
    """
    return sum_over_layers(content_loss, features, target_features, layer_weights)


def guided_style_loss(
    grams: GuidedGrams, target_grams: GuidedGrams, *, layer_weights: TracedLayerWeights
) -> Scalar:
    """Return the weighted sum over layers of guided_gram_loss.

    Args:
        grams: The Gram matrices of the picture's regions, by layer.
        target_grams: The styles'.
        layer_weights: The layers to compare, each with its weight.

    Returns:
        The loss.

    Raises:
        ValueError: layer_weights names a layer that the Gram matrices lack.

    Reference: Gatys et al. 2017, §4.
    """
    return sum_over_layers(guided_gram_loss, grams, target_grams, layer_weights)


def moments_loss(
    moments: Mapping[str, Moments],
    target_moments: Mapping[str, Moments],
    *,
    layer_weights: LayerWeights,
) -> Scalar:
    """Return the weighted sum over layers of moment_loss.

    Args:
        moments: The picture's channel means and standard deviations, by layer.
        target_moments: The style's.
        layer_weights: The layers to compare, each with its weight.

    Returns:
        The loss.

    Raises:
        ValueError: layer_weights names a layer that the moments lack.

    Reference: Huang and Belongie 2017, eq. (13).
    """
    return sum_over_layers(moment_loss, moments, target_moments, layer_weights)


def sum_over_layers(
    loss: Callable[[_Value, _Target], Scalar],
    values: Mapping[str, _Value],
    targets: Mapping[str, _Target],
    layer_weights: TracedLayerWeights,
) -> Scalar:
    """Return the weighted sum of a loss of one layer, Σ_l w_l · loss(values_l, targets_l).

    Args:
        loss: Compares one layer's value with its target.
        values: Of the picture, by layer.
        targets: What they are compared with.
        layer_weights: The layers to compare, each with its weight.

    Raises:
        ValueError: layer_weights names a layer that the values or targets lack.
    """
    total = jnp.zeros((), jnp.float32)
    for layer, weight in layer_weights:
        for found in (values, targets):
            if layer not in found:
                raise ValueError(
                    f"layer_weights: no layer {layer!r} among {', '.join(found) or 'none'}; "
                    "ask the encoder for it or leave it out"
                )
        total += weight * loss(values[layer], targets[layer])
    return total
