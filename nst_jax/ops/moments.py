"""Means and deviations of a feature map over its positions, of all or of each region."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, check_feature_map


def channel_moments(
    features: FeatureMap, *, eps: float = 1e-5
) -> tuple[Float[Array, "batch channels"], Float[Array, "batch channels"]]:
    """Return each channel's mean and standard deviation over positions.

    μ = Σ_k F_k / M and σ = √(Σ_k (F_k − μ)² / M + eps): the variance is the biased one.

    Args:
        features: One layer's answer.
        eps: Added to the variance, so that a flat channel has a finite gradient.

    Returns:
        The means and the standard deviations.

    Reference: Huang and Belongie 2017, eqs. (5) and (6).
    """
    check_feature_map("features", features)
    mean = features.mean((1, 2))
    deviations = features - mean[:, None, None, :]
    return mean, jnp.sqrt(jnp.square(deviations).mean((1, 2)) + eps)


def region_moments(
    features: FeatureMap, regions: Float[Array, "#batch height width regions"]
) -> tuple[Float[Array, "batch regions channels"], Float[Array, "batch regions channels"]]:
    """Return each channel's mean and biased variance within each of a picture's regions.

    μ_r = Σ_k m_rk x_k / Σ_k m_rk and v_r = Σ_k m_rk (x_k − μ_r)² / Σ_k m_rk. A region that is empty
    has moments 0.

    Args:
        features: One layer's answer, x.
        regions: How much each position belongs to each region, m, from 0 to 1.
    """
    total = regions.sum((1, 2))[:, None, None]
    empty = total < 1e-3  # of one position
    weights = regions / jnp.where(empty, 1, total)
    rough = _mean_over(weights, features)
    moments = [
        _about(rough[:, r, None], features, weights[..., r, None]) for r in range(regions.shape[-1])
    ]
    mean, variance = (jnp.concatenate(each, axis=1) for each in zip(*moments, strict=True))
    return jnp.where(empty[:, 0].swapaxes(1, 2), 0, mean), variance


def _about(rough: Array, features: Array, weights: Array) -> tuple[Array, Array]:
    """A region's mean and variance, with all their digits, given its mean but for rounding.

    About the region's own mean, since a flat region that is far from the others has no digits left
    about theirs.
    """
    deviations = features - rough[:, None]
    shift = _mean_over(weights, deviations)
    variance = _mean_over(weights, jnp.square(deviations)) - jnp.square(shift)
    return rough + shift, jnp.maximum(variance, 0)


def _mean_over(weights: Array, x: Array) -> Float[Array, "batch regions channels"]:
    weights = jnp.broadcast_to(weights, (*x.shape[:3], weights.shape[-1]))
    return jnp.einsum("bhwr,bhwc->brc", weights, x, precision=lax.Precision.HIGHEST)
