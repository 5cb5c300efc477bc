"""Gram matrices of a feature map over its positions: of all, or of each region.

Each function returns arrays without positions, one entry an image of the batch. Distances between
them are in nst_jax.losses.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Gram, check_feature_map


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
    check_feature_map("features", features)
    batch, height, width, channels = features.shape
    return _second_moment(features.reshape(batch, height * width, channels))


def guided_gram_matrices(
    features: FeatureMap, guides: Float[Array, "#batch height width regions"]
) -> Float[Array, "batch regions channels channels"]:
    """Return a Gram matrix for each of a picture's regions.

    G_r = F_rᵀF_r with F_r = T_r ∘ F: a region's guidance channel times every channel of F. With
    Σ_k T_rk² = 1 that is a mean over positions, weighted by T_r². One guide that is the same
    everywhere gives gram_matrix.

    Args:
        features: One layer's answer, F.
        guides: The guidance channels, T, each of squares that sum to 1 (guidance.make_guides).

    Returns:
        One symmetric N × N matrix a region and image.

    Reference: Gatys et al. 2017, §4.
    """
    batch, height, width, channels = features.shape
    guided = [
        _second_moment((features * guides[..., r, None]).reshape(batch, height * width, channels))
        for r in range(guides.shape[-1])
    ]
    return height * width * jnp.stack(guided, axis=1)


def guided_sums(
    features: FeatureMap, guides: Float[Array, "#batch height width regions"]
) -> Float[Array, "batch channels_and_regions channels_and_regions"]:
    """Return one Gram matrix of the features and a picture's guidance channels together.

    G = F'ᵀF' / M for the N + R channels F' = [F, √M T_1, …, √M T_R], where Σ_k T_rk² = 1. Besides
    the Gram matrix of the whole picture it holds, in column N + r, the sum of each channel within
    region r; √M brings that to the channels' own scale. It costs about one Gram matrix where guided
    ones cost R, and says less: of regions it knows first moments alone. gram_loss compares two.

    Args:
        features: One layer's answer, F.
        guides: The guidance channels, T, as for guided_gram_matrices.

    Reference: Gatys et al. 2017, §4, on efficiency.
    """
    batch, height, width, _ = features.shape
    shape = (batch, height, width, guides.shape[-1])
    channels = jnp.broadcast_to((height * width) ** 0.5 * guides, shape)
    return gram_matrix(jnp.concatenate([features, channels], axis=-1))


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
