"""Distances that match each patch, or each feature vector, with its nearest in a painting."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Scalar

Points = Float[Array, "#batch _ dimensions"]
_UNIT_EPS = 1e-6
# The nearest of so many is looked for, for each of so many: more is cut by a stride.
_MOST_POINTS = 4096
_PATCH = 3  # Li and Wand 2016: patches of 3 × 3


def patches(
    features: FeatureMap, *, stride: int = 1
) -> Float[Array, "batch patches channels_times_9"]:
    """Return the patches of 3 × 3 positions of a feature map, each as one vector.

    Args:
        features: One layer's answer, of at least 3 × 3 positions.
        stride: From one patch to the next, in positions.

    Raises:
        ValueError: The map is smaller than a patch.
    """
    batch, height, width, channels = features.shape
    if min(height, width) < _PATCH:
        raise ValueError(
            f"style_loss: mrf compares patches of {_PATCH} x {_PATCH} positions, and a layer has "
            f"only {height} x {width} of the picture or the painting; make both larger (--size, "
            "--style-size, --scales 1) or take layers that are less deep (--style-layers)"
        )
    rows, columns = height - _PATCH + 1, width - _PATCH + 1
    shifted = [
        features[:, row : row + rows : stride, column : column + columns : stride]
        for row in range(_PATCH)
        for column in range(_PATCH)
    ]
    return jnp.concatenate(shifted, axis=-1).reshape(batch, -1, _PATCH**2 * channels)


def thinned_patches(features: FeatureMap) -> Float[Array, "batch patches channels_times_9"]:
    """Return the patches of a feature map, with a stride that leaves at most 4,096.

    Args:
        features: One layer's answer, of at least 3 × 3 positions.

    Raises:
        ValueError: The map is smaller than a patch.
    """
    return patches(features, stride=_stride(features))


def patch_distance(features: FeatureMap, target: Points) -> Scalar:
    """Return the mean squared difference of a picture's patches from their nearest in a painting.

    L = Σ_i ‖Ψ_i − Ψ'_NN(i)‖² / (batch · patches · 9 N), where NN(i) is the patch of the painting
    with the largest Ψ_i · Ψ'_j / (‖Ψ_i‖ ‖Ψ'_j‖).

    Args:
        features: A picture's. If it has more than 4,096 positions, only every other patch counts
            in each direction, or every third and so on.
        target: The painting's patches.

    Reference: Li and Wand 2016, eqs. (2) and (3). Differs: the paper's is the sum.
    """
    own = patches(features, stride=_stride(features))
    fixed, target = lax.stop_gradient(own), jnp.broadcast_to(target, (len(own), *target.shape[1:]))
    nearest = jnp.argmax(_products(fixed, _unit(target)), axis=-1)
    return jnp.square(own - jnp.take_along_axis(target, nearest[..., None], axis=1)).mean()


def relaxed_transport_distance(features: FeatureMap, target: Points) -> Scalar:
    """Return the relaxed earth mover's distance of a picture's feature vectors from a painting's.

    L = max(mean_i min_j C_ij, mean_j min_i C_ij) with C_ij = 1 − a_i · b_j / (‖a_i‖ ‖b_j‖),
    averaged over the batch.

    Args:
        features: A picture's, thinned as thinned_vectors does.
        target: Unit vectors of the painting's.

    Reference: Kolkin et al. 2019. Differs: layer by layer instead of on all
    layers' features side by side, on a grid of positions instead of randomly drawn ones, and
    without the paper's terms on moments and on colour.
    """
    cost = 1 - _products(thinned_vectors(features), target)
    there, back = cost.min(2).mean(1), cost.min(1).mean(1)
    return jnp.maximum(there, back).mean()


def thinned_vectors(features: FeatureMap) -> Float[Array, "batch points channels"]:
    """Return the features at up to 4,096 positions, on a regular grid, as unit vectors.

    Args:
        features: One layer's answer.
    """
    stride = _stride(features)
    kept = features[:, ::stride, ::stride]
    return _unit(kept.reshape(kept.shape[0], -1, kept.shape[-1]))


def _unit(vectors: Array) -> Array:
    return vectors / jnp.sqrt(jnp.square(vectors).sum(-1, keepdims=True) + _UNIT_EPS)


def _products(a: Array, b: Array) -> Array:
    return jnp.einsum("bic,bjc->bij", a, b, precision=lax.Precision.HIGHEST)


def _stride(features: FeatureMap) -> int:
    """The least one that leaves at most _MOST_POINTS positions."""
    height, width = features.shape[1:3]
    stride = 1
    while -(-height // stride) * -(-width // stride) > _MOST_POINTS:
        stride += 1
    return stride
