"""Colours of one picture on another: maps of RGB values that give them wanted statistics."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize


def match_covariance_by_pca(
    image: Image, target: ImageOfAnySize, *, regularization: float = 1e-5
) -> Image:
    """Return a picture recoloured so that its colours' mean and covariance are the target's.

    x' = A (x − μ) + μ_t with A = Σ_t^½ Σ^−½, the symmetric square roots, so that A Σ Aᵀ = Σ_t; then
    clipped to [0, 1]. Of a painting before it is transferred, with a photograph as the target, it
    keeps the photograph's colours.

    Args:
        image: Pictures to recolour.
        target: Whose colours they get: one picture for all, or one for each.
        regularization: Added to the diagonals of both covariances, so that a picture of one hue
            has an inverse.

    Reference: Gatys et al. 2017, §5.2, the variant of Image Analogies. Differs: for the same end
    Huang and Belongie's code standardises the channels and adds 1 to the diagonals.
    """
    mean, covariance = _color_moments(image, regularization)
    wanted_mean, wanted_covariance = _color_moments(target, regularization)
    matrix = _power(wanted_covariance, 0.5) @ _power(covariance, -0.5)
    changed = jnp.einsum("bij,bhwj->bhwi", matrix, image - _everywhere(mean), precision=_EXACT)
    return (changed + _everywhere(wanted_mean)).clip(0, 1)


_EXACT = lax.Precision.HIGHEST


def _color_moments(
    image: ImageOfAnySize, regularization: float
) -> tuple[Float[Array, "_ 3"], Float[Array, "_ 3 3"]]:
    mean = image.mean((1, 2))
    centred = image - _everywhere(mean)
    count = image.shape[1] * image.shape[2]
    covariance = jnp.einsum("bhwi,bhwj->bij", centred, centred, precision=_EXACT) / count
    return mean, covariance + regularization * jnp.eye(3)[None]


def _everywhere(colors: Float[Array, "_ 3"]) -> Float[Array, "_ 1 1 3"]:
    return colors[:, None, None, :]


def _power(matrices: Float[Array, "_ 3 3"], exponent: float) -> Float[Array, "_ 3 3"]:
    values, vectors = jnp.linalg.eigh(matrices)
    # Rounding may make the smallest of a nearly singular matrix negative.
    powers = jnp.maximum(values, 1e-10) ** exponent
    return jnp.einsum("bij,bj,bkj->bik", vectors, powers, vectors, precision=_EXACT)
