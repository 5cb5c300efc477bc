"""Maps from feature maps to feature maps that put one picture's statistics on another's layout."""

from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap
from nst_jax.feature_statistics import channel_moments


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
    content_mean, content_deviation = channel_moments(content_features, eps=eps)
    style_mean, style_deviation = channel_moments(style_features, eps=eps)
    scale = (style_deviation / content_deviation)[:, None, None, :]
    centred = content_features - content_mean[:, None, None, :]
    return scale * centred + style_mean[:, None, None, :]
