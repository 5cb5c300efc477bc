"""Means and covariances of a feature map over its positions, and taking them off and on."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap

Weights = Float[Array, "#batch height width"]
"""How much each position counts, from 0 to 1."""

Matrices = Float[Array, "#batch channels channels"]

WHITENING_EPS = 0.1
"""What is added to each eigenvalue, as a share of their mean. Layers have directions in which there
is next to nothing, and more channels than a small picture has positions: without it whitening makes
noise of them that is as strong as the picture."""

_LEAST = 1e-5  # added as well: of a flat picture all eigenvalues are 0


def mean_and_covariance(
    features: FeatureMap, *, weights: Weights | None = None
) -> tuple[Float[Array, "batch channels"], Float[Array, "batch channels channels"]]:
    """Return a feature map's mean and its biased covariance over positions.

    μ = Σ_k w_k F_k / Σ_k w_k and Σ = Σ_k w_k (F_k − μ) (F_k − μ)ᵀ / Σ_k w_k. Where all weights are
    0 both are 0.

    Args:
        features: One layer's answer, F.
        weights: Of the positions, w; all count alike if None.
    """
    batch, height, width, channels = features.shape
    given = jnp.ones((1, 1, 1), features.dtype) if weights is None else weights
    shares = jnp.broadcast_to(given, (batch, height, width)).reshape(batch, -1)
    shares = shares / jnp.maximum(shares.sum(1, keepdims=True), 1e-6)
    rows = features.reshape(batch, -1, channels)
    mean = jnp.einsum("bk,bkc->bc", shares, rows, precision=lax.Precision.HIGHEST)
    weighted = (rows - mean[:, None]) * jnp.sqrt(shares)[..., None]
    return mean, jnp.einsum("bkc,bkd->bcd", weighted, weighted, precision=lax.Precision.HIGHEST)


def covariance_power(
    covariance: Matrices, exponent: float, *, eps: float = WHITENING_EPS
) -> Float[Array, "_ channels channels"]:
    """Return a power of a covariance matrix whose eigenvalues are first raised a little.

    E (D + (eps · tr D / C + 1e-5) I)^p Eᵀ with Σ = E D Eᵀ: p = −1/2 whitens, p = 1/2 colours.

    Args:
        covariance: Σ.
        exponent: p.
        eps: As WHITENING_EPS; 0 leaves the 1e-5 alone.
    """
    values, vectors = jnp.linalg.eigh(covariance)
    values = jnp.maximum(values, 0)  # rounding may leave less
    raised = values + eps * values.mean(-1, keepdims=True) + _LEAST
    return jnp.einsum(
        "bij,bj,bkj->bik", vectors, raised**exponent, vectors, precision=lax.Precision.HIGHEST
    )


def whiten(
    features: FeatureMap, *, weights: Weights | None = None, eps: float = WHITENING_EPS
) -> FeatureMap:
    """Return features without their mean and covariance: Σ^−½ (F − μ).

    Args:
        features: One layer's answer, F.
        weights: Of the positions in μ and Σ; all count alike if None.
        eps: As for covariance_power.

    Reference: Li et al. 2017, eq. (2), where a picture's small eigenvalues are left out instead.
    """
    mean, covariance = mean_and_covariance(features, weights=weights)
    return _map(features - mean[:, None, None], covariance_power(covariance, -0.5, eps=eps))


def color(
    whitened: FeatureMap, mean: Float[Array, "#batch channels"], root: Matrices
) -> FeatureMap:
    """Return whitened features with another mean and covariance: Σ'^½ F + μ'.

    It is linear in μ' and Σ'^½: their mixtures give mixtures.

    Args:
        whitened: F, such as whiten returns.
        mean: μ'.
        root: Σ'^½, such as covariance_power returns.

    Reference: Li et al. 2017, eq. (3).
    """
    return _map(whitened, root) + mean[:, None, None]


def _map(features: FeatureMap, matrices: Array) -> FeatureMap:
    matrices = jnp.broadcast_to(matrices, (features.shape[0], *matrices.shape[1:]))
    return jnp.einsum("bhwc,bcd->bhwd", features, matrices, precision=lax.Precision.HIGHEST)
