"""What of a painting's features a picture is to share: the Gram matrix, and what came after it.

Each way to compare styles measures a painting once, layer by layer, and then says how far a
picture's features are from that. They differ in how much of the distribution of a layer's features,
taken as points in N dimensions, they hold fixed:

| name | holds fixed | of several paintings | after |
|---|---|---|---|
| gram | second moments | the mean | Gatys et al. 2016, eqs. (3) to (5) |
| moments | each channel's mean and deviation | the mean | Huang and Belongie 2017, eq. (13) |
| wasserstein | means and covariances, as two normal distributions | the mean | Vacher et al. 2020 |
| histogram | each channel's histogram | the mean of quantiles | Risser et al. 2017 |
| sliced_wasserstein | histograms along N directions | the mean of quantiles | Heitz et al. 2021 |
| mrf | patches of 3 × 3, each by its nearest | patches of any | Li and Wand 2016 |
| relaxed_transport | points, each by its nearest, both ways | points of any | Kolkin et al. 2019 |

All are means over what they sum, so that a weight keeps its meaning when a picture changes size.

Kept of several paintings, means are averaged and so are covariances: the covariance of the mixture
would have the means' spread besides, which is no texture.

- Vacher, Davila, Kohn, Coen-Cagli: Texture Interpolation for Probing Visual Perception.
- Risser, Wilmot, Barnes: Stable and Controllable Neural Texture Synthesis and Style Transfer.
- Heitz, Vanhoey, Chambon, Belcour: A Sliced Wasserstein Loss for Neural Texture Synthesis.
- Li, Wand: Combining Markov Random Fields and Convolutional Neural Networks.
- Kolkin, Salavon, Shakhnarovich: Style Transfer by Relaxed Optimal Transport and Self-Similarity.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax import losses
from nst_jax.array_types import FeatureMap, Scalar
from nst_jax.feature_statistics import channel_moments, gram_matrix
from nst_jax.losses import TracedLayerWeights

StyleLossName = Literal[
    "gram",
    "moments",
    "wasserstein",
    "histogram",
    "sliced_wasserstein",
    "mrf",
    "relaxed_transport",
]

Quantiles = Float[Array, "#batch _ directions"]
Points = Float[Array, "#batch _ dimensions"]

# On the diagonal of covariances: those of deep layers are singular, with fewer positions than
# channels, and have neither Cholesky factors nor a root with a gradient. The first is that of
# crowsonkb/style-transfer-pytorch, the second, a part of the trace, is what float32 wants.
_COVARIANCE_EPS = 1e-4
_COVARIANCE_SHARE = 1e-6
_UNIT_EPS = 1e-6
# The nearest of so many is looked for, for each of so many: more is cut by a stride.
_MOST_POINTS = 4096
_PATCH = 3  # Li and Wand 2016: patches of 3 × 3


class StyleLoss(NamedTuple):
    """One way to compare styles, at one layer."""

    measure: Callable[[FeatureMap], Any]
    """Features of a painting to what is kept of it."""
    distance: Callable[[FeatureMap, Any], Scalar]
    """Features of a picture and what was kept of a painting to the loss."""
    blend: Callable[[Sequence[Any], Sequence[float]], Any]
    """What was kept of several paintings and their shares, of sum 1, to one that stands for all."""


def style_loss(
    name: StyleLossName,
    features: Mapping[str, FeatureMap],
    targets: Mapping[str, Any],
    *,
    layer_weights: TracedLayerWeights,
) -> Scalar:
    """Return the weighted sum over layers of a style's distance.

    L = Σ_l w_l · distance(features_l, targets_l).

    Args:
        name: A name in STYLE_LOSSES.
        features: The picture's, by layer.
        targets: What its measure returned of the painting's features, by layer.
        layer_weights: The layers to compare, each with its weight.

    Raises:
        ValueError: layer_weights names a layer that the features or targets lack.
    """
    distance = STYLE_LOSSES[name].distance
    return losses.sum_over_layers(distance, features, targets, layer_weights)


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

    L = (‖μ − μ'‖² + tr Σ + tr Σ' − 2 tr (Σ'^½ Σ Σ'^½)^½) / N, averaged over the batch.

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


def _project(features: FeatureMap, directions: Array | np.ndarray) -> Array:
    rows = features.reshape(features.shape[0], -1, features.shape[-1])
    directions = jnp.asarray(directions, rows.dtype)
    return jnp.einsum("bmc,cd->bmd", rows, directions, precision=lax.Precision.HIGHEST)


@jax.vmap
@jax.vmap
def _put_at(places: Array, values: Array) -> Array:
    return jnp.zeros_like(values).at[places].set(values, unique_indices=True)


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


def _mean(measured: Sequence[Any], shares: Sequence[float]) -> Any:
    return jax.tree.map(
        lambda *leaves: sum(share * leaf for share, leaf in zip(shares, leaves, strict=True)),
        *measured,
    )


def _mean_of_quantiles(measured: Sequence[Quantiles], shares: Sequence[float]) -> Quantiles:
    number = max(values.shape[1] for values in measured)
    return _mean([resample_quantiles(values, number) for values in measured], shares)


def _all_together(measured: Sequence[Points], shares: Sequence[float]) -> Points:
    if len(set(shares)) > 1:
        raise ValueError(
            f"style_blend: wanted none where a style loss takes the nearest of any painting, got "
            f"shares {', '.join(f'{share:g}' for share in shares)}; leave them out or take another"
        )
    return jnp.concatenate(measured, axis=1)


def _gram_distance(features: FeatureMap, target: Any) -> Scalar:
    return losses.gram_loss(gram_matrix(features), target)


def _moment_distance(features: FeatureMap, target: Any) -> Scalar:
    moments = channel_moments(features)
    target = jax.tree.map(lambda one: jnp.broadcast_to(one, moments[0].shape), target)
    return losses.moment_loss(moments, target)


def _channels_themselves(channels: int) -> Float[np.ndarray, "channels channels"]:
    return np.eye(channels, dtype=np.float32)


def _along(directions: Callable[[int], np.ndarray]) -> StyleLoss:
    return StyleLoss(
        lambda features: sorted_projections(features, directions(features.shape[-1])),
        lambda features, target: quantile_distance(
            features, target, directions(features.shape[-1])
        ),
        _mean_of_quantiles,
    )


STYLE_LOSSES: Mapping[StyleLossName, StyleLoss] = {
    "gram": StyleLoss(gram_matrix, _gram_distance, _mean),
    "moments": StyleLoss(channel_moments, _moment_distance, _mean),
    "wasserstein": StyleLoss(gaussian_moments, wasserstein_distance, _mean),
    "histogram": _along(_channels_themselves),
    "sliced_wasserstein": _along(orthogonal_directions),
    "mrf": StyleLoss(
        lambda features: patches(features, stride=_stride(features)), patch_distance, _all_together
    ),
    "relaxed_transport": StyleLoss(thinned_vectors, relaxed_transport_distance, _all_together),
}
"""By name; the module's table says what each holds fixed."""

POSITION_LOSSES: frozenset[StyleLossName] = frozenset(
    ("histogram", "sliced_wasserstein", "mrf", "relaxed_transport")
)
"""Those that keep something of each position: what they keep of a painting grows with its size."""

UNWEIGHTED_LOSSES: frozenset[StyleLossName] = frozenset(("mrf", "relaxed_transport"))
"""Those that take the nearest of any painting: several paintings have no shares there."""
