"""What style losses compare: statistics of a feature map over its positions.

Each function takes feature maps and returns arrays without positions, one entry an image of the
batch. Distances between statistics are in losses.py.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Gram


def gram_matrix(features: FeatureMap) -> Gram:
    """Return the Gram matrix of a feature map, averaged over positions.

    G = FᵀF / M, where row k of F (M × N) holds the N channels at position k and M = height · width.
    The mean keeps G comparable between pictures of different sizes. Sums are float32 throughout.

    Args:
        features: One layer's answer.

    Returns:
        One symmetric N × N matrix an image.

    Reference: Gatys et al. 2016, eq. (3). Differs: the paper's G is M times ours.
    """
    batch, height, width, channels = features.shape
    return _second_moment(features.reshape(batch, height * width, channels))


@jax.custom_jvp
def _second_moment(rows: Float[Array, "batch rows channels"]) -> Gram:
    return _mean_of_products(rows, rows)


@_second_moment.defjvp
def _second_moment_jvp(primals: tuple, tangents: tuple) -> tuple:
    # d(FᵀF) = FᵀdF + (FᵀdF)ᵀ. Left alone, autodiff multiplies F by the cotangent and by its
    # transpose, two products of the Gram matrix's own cost; written so, the gradient needs one.
    (rows,), (rows_dot,) = primals, tangents
    half = _mean_of_products(rows, rows_dot)
    return _second_moment(rows), half + half.swapaxes(1, 2)


def _mean_of_products(
    a: Float[Array, "batch rows channels"], b: Float[Array, "batch rows channels"]
) -> Gram:
    products = jnp.einsum("bmi,bmj->bij", a, b, precision=lax.Precision.HIGHEST)
    return products / a.shape[1]


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
    mean = features.mean((1, 2))
    deviations = features - mean[:, None, None, :]
    return mean, jnp.sqrt(jnp.square(deviations).mean((1, 2)) + eps)
