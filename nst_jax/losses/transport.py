"""Transport distances between distributions of features: as normal ones, and along directions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Scalar
from nst_jax.ops.gram import gram_matrix

Quantiles = Float[Array, "#batch _ directions"]

# On the diagonal of covariances: those of deep layers are singular, with fewer positions than
# channels, and have neither Cholesky factors nor a root with a gradient. The first is that of
# crowsonkb/style-transfer-pytorch, the second, a part of the trace, is what float32 wants.
_COVARIANCE_EPS = 1e-4
_COVARIANCE_SHARE = 1e-6


def gaussian_moments(
    features: FeatureMap,
) -> tuple[Float[Array, "batch channels"], Float[Array, "batch channels channels"]]:
    """Return the mean and the covariance matrix of a feature map over its positions.

    Σ = C + (1e-4 + 1e-6 tr C) · I, with the biased covariance C = E[(F − μ) (F − μ)ᵀ].

    Args:
        features: One layer's answer.
    """
    mean = features.mean((1, 2))
    covariance = gram_matrix(features - mean[:, None, None, :])
    trace = jnp.trace(covariance, axis1=1, axis2=2)[:, None, None]
    identity = jnp.eye(features.shape[-1], dtype=features.dtype)[None]
    return mean, covariance + (_COVARIANCE_EPS + _COVARIANCE_SHARE * trace) * identity


def wasserstein_distance(
    features: FeatureMap,
    target: tuple[Float[Array, "#batch channels"], Float[Array, "#batch channels channels"]],
) -> Scalar:
    """Return the squared 2-Wasserstein distance of two normal distributions, a channel.

    L = (‖μ − μ'‖² + tr Σ + tr Σ' − 2 tr (Σ'^½ Σ Σ'^½)^½) / N, averaged over the batch; never
    negative.

    Args:
        features: A picture's, with mean μ and covariance Σ.
        target: μ' and Σ', as gaussian_moments returns them.

    Reference: Vacher et al. 2020; as a style loss in crowsonkb/style-transfer-pytorch.
    """
    (mean, covariance), (target_mean, target_covariance) = gaussian_moments(features), target
    traces = jnp.trace(covariance, axis1=1, axis2=2) + jnp.trace(
        target_covariance, axis1=1, axis2=2
    )
    shared = shared_deviation(covariance, jnp.broadcast_to(target_covariance, covariance.shape))
    squared = jnp.square(mean - target_mean).sum(-1) + traces - 2 * shared
    # Of equal distributions the traces cancel, but for rounding that may leave less than nothing.
    # The gradient is the formula's own everywhere: at 0 it is as small as it should be.
    squared += lax.stop_gradient(jnp.maximum(squared, 0) - squared)
    return squared.mean() / features.shape[-1]


@jax.custom_jvp
def shared_deviation(
    covariance: Float[Array, "batch n n"], target: Float[Array, "batch n n"]
) -> Float[Array, " batch"]:
    """Return tr (Σ'^½ Σ Σ'^½)^½ of two covariance matrices, differentiable by the first.

    With Σ = C Cᵀ and Σ' = L Lᵀ it is the sum of the singular values of K = Cᵀ L, since KᵀK = Lᵀ Σ L
    has the same eigenvalues as Σ'^½ Σ Σ'^½. Roots of that product's eigenvalues would lose half of
    float32's digits. With K = U S Vᵀ the derivative by Σ is ½ L V S⁻¹ Vᵀ Lᵀ, also where singular
    values are equal.

    Args:
        covariance: Σ, positive definite.
        target: Σ', positive definite; it is a constant to a derivative.
    """
    return _shared_and_gradient(covariance, target)[0]


@shared_deviation.defjvp
def _shared_deviation_jvp(primals: tuple, tangents: tuple) -> tuple:
    shared, gradient = _shared_and_gradient(*primals)
    return shared, jnp.einsum("bij,bij->b", gradient, tangents[0])


def _shared_and_gradient(covariance: Array, target: Array) -> tuple[Array, Array]:
    own, factor = jnp.linalg.cholesky(covariance), jnp.linalg.cholesky(target)
    product = jnp.einsum("bji,bjk->bik", own, factor, precision=lax.Precision.HIGHEST)
    _, values, vectors = jnp.linalg.svd(product)
    directions = jnp.einsum("bij,bkj->bik", factor, vectors, precision=lax.Precision.HIGHEST)
    gradient = jnp.einsum(
        "bik,bk,bjk->bij", directions, 0.5 / values, directions, precision=lax.Precision.HIGHEST
    )
    return values.sum(-1), gradient


def sorted_projections(
    features: FeatureMap, directions: Float[Array | np.ndarray, "channels directions"]
) -> Float[Array, "batch positions directions"]:
    """Return the projections of a feature map on some directions, each sorted over its positions.

    Args:
        features: One layer's answer.
        directions: Unit vectors, in columns.
    """
    return jnp.sort(_project(features, directions), axis=1)


def quantile_distance(
    features: FeatureMap,
    target: Quantiles,
    directions: Float[Array | np.ndarray, "channels directions"],
) -> Scalar:
    """Return the squared 2-Wasserstein distance of projections, averaged over directions.

    L = Σ_d Σ_k (p_d,(k) − q_d,(k))² / (batch · D · M): on each direction the k-th smallest of the
    picture's M projections is compared with the k-th of as many quantiles of the painting's.

    Args:
        features: A picture's.
        target: The painting's sorted projections, of as many positions as it has.
        directions: Those that target was made with.

    Reference: Heitz et al. 2021.
    """
    projected = _project(features, directions)
    quantiles = resample_quantiles(target, projected.shape[1])
    quantiles = jnp.broadcast_to(quantiles, projected.shape)
    # To each position the quantile of its rank. Ranks are held fixed, as almost everywhere they
    # are: the gradient then needs no sorting. One sort and a scatter are faster than two sorts.
    order = jnp.argsort(lax.stop_gradient(projected).swapaxes(1, 2), axis=-1)
    matched = _put_at(order, quantiles.swapaxes(1, 2)).swapaxes(1, 2)
    return jnp.square(projected - matched).mean()


def resample_quantiles(
    values: Quantiles, number: int
) -> Float[Array, "#batch positions directions"]:
    """Return sorted values at another number of evenly spaced ranks, between ranks by a line.

    Args:
        values: Sorted over the second axis.
        number: How many are wanted.
    """
    count = values.shape[1]
    if count == number:
        return values
    # Rank k of M stands for the quantile (k + ½) / M.
    places = np.clip((np.arange(number) + 0.5) * count / number - 0.5, 0, count - 1)
    below = np.floor(places).astype(np.int32)
    above = np.minimum(below + 1, count - 1)
    share = jnp.asarray(places - below, values.dtype)[None, :, None]
    return (1 - share) * values[:, below] + share * values[:, above]


def orthogonal_directions(channels: int) -> Float[np.ndarray, "channels channels"]:
    """Return as many unit vectors as channels, at right angles to each other and always the same.

    Heitz et al. draw new ones at every step. That makes another function of the picture at each,
    which L-BFGS cannot follow, so here they are drawn once; at right angles they leave out nothing.

    Args:
        channels: N.
    """
    drawn = np.random.default_rng(channels).standard_normal((channels, channels))
    return np.linalg.qr(drawn)[0].astype(np.float32)


def _project(features: FeatureMap, directions: Array | np.ndarray) -> Array:
    rows = features.reshape(features.shape[0], -1, features.shape[-1])
    directions = jnp.asarray(directions, rows.dtype)
    return jnp.einsum("bmc,cd->bmd", rows, directions, precision=lax.Precision.HIGHEST)


@jax.vmap
@jax.vmap
def _put_at(places: Array, values: Array) -> Array:
    return jnp.zeros_like(values).at[places].set(values, unique_indices=True)
