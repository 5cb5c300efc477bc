"""Maps from feature maps to feature maps that put one picture's statistics on another's layout."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, check_feature_map
from nst_jax.ops.moments import channel_moments
from nst_jax.ops.patch_matching import assemble_patches, nearest_patches
from nst_jax.ops.quantiles import set_quantiles
from nst_jax.ops.whitening import (
    WHITENING_EPS,
    color,
    covariance_power,
    mean_and_covariance,
    whiten,
)

PATCH_SIZE = 5
"""Positions along each side of the patches of decorate, as the authors of Avatar-Net have it."""


def adain(
    content_features: FeatureMap,
    style_features: Float[Array, "#batch style_height style_width channels"],
    *,
    eps: float = 1e-5,
) -> FeatureMap:
    """Return the content's features with each channel's mean and deviation taken from the style.

    AdaIN(x, y) = σ(y) · (x − μ(x)) / σ(x) + μ(y), moments over positions as in channel_moments.

    Args:
        content_features: The layout to keep, x.
        style_features: The moments to take, y; of any height and width, one for the whole batch
            or one for each of its images.
        eps: Added to both variances, so that adain(x, x) is x and a flat channel divides by √eps.

    Returns:
        Features of the content's shape.

    Reference: Huang and Belongie 2017, eq. (8). Differs: the authors' code adds eps to σ(x)
    alone, so that its AdaIN(x, x) shrinks faint channels.
    """
    check_feature_map("content_features", content_features)
    check_feature_map("style_features", style_features)
    if content_features.shape[3] != style_features.shape[3]:
        raise ValueError(
            f"style_features: wanted {content_features.shape[3]} channels, as content_features "
            f"has, got {style_features.shape[3]}; take both from one layer"
        )
    return set_moments(content_features, *channel_moments(style_features, eps=eps), eps=eps)


def set_moments(
    features: FeatureMap,
    mean: Float[Array, "#batch channels"],
    deviation: Float[Array, "#batch channels"],
    *,
    eps: float = 1e-5,
) -> FeatureMap:
    """Return features with each channel's mean and deviation replaced: adain, given the moments.

    σ' · (x − μ(x)) / σ(x) + μ'. It is affine in (μ', σ'), so that the moments of several styles,
    averaged with weights, give the average of what each style alone would give.

    Args:
        features: The layout to keep, x.
        mean: The means to give, μ', for each image or for all of them.
        deviation: The standard deviations to give, σ'.
        eps: Added to the variance of x, so that a flat channel divides by √eps.

    Reference: Huang and Belongie 2017, eqs. (8) and (15).
    """
    own_mean, own_deviation = channel_moments(features, eps=eps)
    scale = (deviation / own_deviation)[:, None, None, :]
    return scale * (features - own_mean[:, None, None, :]) + mean[:, None, None, :]


def match_distributions(
    content_features: FeatureMap,
    style_features: Float[Array, "#batch style_height style_width channels"],
) -> FeatureMap:
    """Return the content's features with each channel's whole distribution taken from the style.

    Each value becomes the style's value of the same rank: EFDM(x, y)_τ(i) = y_κ(i), with τ and κ
    the orders of x and y. Where numbers of positions differ, or values of x are equal, it is the
    mean of the ranks that they share (set_quantiles).

    Args:
        content_features: The layout to keep, x.
        style_features: The values to take, y; of any height and width, one for the whole batch or
            one for each of its images.

    Returns:
        Features of the content's shape.

    Reference: Zhang et al. 2022, section 3.
    """
    rows = style_features.reshape(style_features.shape[0], -1, style_features.shape[-1])
    return set_quantiles(content_features, jnp.sort(rows, axis=1))


def whiten_and_color(
    content_features: FeatureMap,
    style_features: Float[Array, "#batch style_height style_width channels"],
    *,
    eps: float = WHITENING_EPS,
) -> FeatureMap:
    """Return the content's features with their mean and covariance taken from the style.

    WCT(x, y) = Σ_y^½ Σ_x^−½ (x − μ_x) + μ_y.

    Args:
        content_features: The layout to keep, x.
        style_features: The moments to take, y; of any height and width, one for the whole batch or
            one for each of its images.
        eps: As for covariance_power, on both sides, so that whiten_and_color(x, x) is x.

    Returns:
        Features of the content's shape.

    Reference: Li et al. 2017, eqs. (2) and (3). Differs: small eigenvalues are raised by eps, where
    the authors leave them out.
    """
    mean, covariance = mean_and_covariance(style_features)
    return color(
        whiten(content_features, eps=eps), mean, covariance_power(covariance, 0.5, eps=eps)
    )


def decorate(
    content_features: FeatureMap,
    style_features: Float[Array, "#batch style_height style_width channels"],
    *,
    patch_size: int = PATCH_SIZE,
    eps: float = WHITENING_EPS,
) -> FeatureMap:
    """Return features put together from the style's patches, where each is most like the content.

    Both are whitened; each patch of the content's is replaced by the style's that is most like it,
    and where patches overlap they are averaged; the result is coloured as the style is.

    Args:
        content_features: The layout to keep, x.
        style_features: What to take patches from, y; of any height and width, one for the whole
            batch or one for each of its images.
        patch_size: Positions along each side of a patch. The larger, the larger the strokes.
        eps: As for covariance_power.

    Returns:
        Features of the content's shape.

    Raises:
        ValueError: A map is smaller than a patch.

    Reference: Sheng et al. 2018, section 3.1: the style decorator.
    """
    whitened = whiten(style_features, eps=eps)
    nearest = nearest_patches(whiten(content_features, eps=eps), whitened, size=patch_size)
    mean, covariance = mean_and_covariance(style_features)
    return color(
        assemble_patches(whitened, nearest, size=patch_size),
        mean,
        covariance_power(covariance, 0.5, eps=eps),
    )
