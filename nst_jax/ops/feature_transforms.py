"""Maps from feature maps to feature maps that put one picture's statistics on another's layout."""

from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap
from nst_jax.ops.moments import channel_moments


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
