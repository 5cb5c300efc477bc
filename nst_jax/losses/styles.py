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
from jaxtyping import Float

from nst_jax.array_types import FeatureMap, Scalar
from nst_jax.losses.basic import TracedLayerWeights, gram_loss, moment_loss, sum_over_layers
from nst_jax.losses.nearest import (
    Points,
    patch_distance,
    relaxed_transport_distance,
    thinned_patches,
    thinned_vectors,
)
from nst_jax.losses.transport import (
    Quantiles,
    gaussian_moments,
    orthogonal_directions,
    quantile_distance,
    resample_quantiles,
    sorted_projections,
    wasserstein_distance,
)
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.moments import channel_moments

StyleLossName = Literal[
    "gram",
    "moments",
    "wasserstein",
    "histogram",
    "sliced_wasserstein",
    "mrf",
    "relaxed_transport",
]


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
    return sum_over_layers(distance, features, targets, layer_weights)


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
    return gram_loss(gram_matrix(features), target)


def _moment_distance(features: FeatureMap, target: Any) -> Scalar:
    moments = channel_moments(features)
    target = jax.tree.map(lambda one: jnp.broadcast_to(one, moments[0].shape), target)
    return moment_loss(moments, target)


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
    "mrf": StyleLoss(thinned_patches, patch_distance, _all_together),
    "relaxed_transport": StyleLoss(thinned_vectors, relaxed_transport_distance, _all_together),
}
"""By name; the module's table says what each holds fixed."""

POSITION_LOSSES: frozenset[StyleLossName] = frozenset(
    ("histogram", "sliced_wasserstein", "mrf", "relaxed_transport")
)
"""Those that keep something of each position: what they keep of a painting grows with its size."""

UNWEIGHTED_LOSSES: frozenset[StyleLossName] = frozenset(("mrf", "relaxed_transport"))
"""Those that take the nearest of any painting: several paintings have no shares there."""
