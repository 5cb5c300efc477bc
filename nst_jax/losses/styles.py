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

A record StyleLoss says everything that belongs to one loss. STYLE_LOSSES has ours by name; wherever
a name is wanted, a record of your own serves too.

Kept of several paintings, means are averaged and so are covariances: the covariance of the mixture
would have the means' spread besides, which is no texture.

- Vacher, Davila, Kohn, Coen-Cagli: Texture Interpolation for Probing Visual Perception.
- Risser, Wilmot, Barnes: Stable and Controllable Neural Texture Synthesis and Style Transfer.
- Heitz, Vanhoey, Chambon, Belcour: A Sliced Wasserstein Loss for Neural Texture Synthesis.
- Li, Wand: Combining Markov Random Fields and Convolutional Neural Networks.
- Kolkin, Salavon, Shakhnarovich: Style Transfer by Relaxed Optimal Transport and Self-Similarity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap, Scalar
from nst_jax.losses.basic import (
    LayerWeights,
    TracedLayerWeights,
    gram_loss,
    guided_gram_loss,
    moment_loss,
    sum_over_layers,
)
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
from nst_jax.ops.gram import gram_matrix, guided_gram_matrices
from nst_jax.ops.moments import channel_moments, region_moments

StyleLossName = Literal[
    "gram",
    "moments",
    "wasserstein",
    "histogram",
    "sliced_wasserstein",
    "mrf",
    "relaxed_transport",
]

LayerGuide = Float[Array, "1 height width regions"]
"""The guidance channels of one layer, one a region; each has Σ T² = 1, or is 0."""

_VARIANCE_EPS = 1e-5  # of channel_moments
_LAYERS: LayerWeights = tuple((f"relu{block}_1", 0.2) for block in range(1, 6))


class Guided(NamedTuple):
    """How a style loss compares region by region, at one layer."""

    measure: Callable[[FeatureMap, LayerGuide], Any]
    """Features and guides to what is kept of each region: arrays (batch, regions, ...)."""
    distance: Callable[[FeatureMap, Any, LayerGuide], Scalar]
    """Features of a picture, what was kept of the styles, and the picture's guides to the loss."""


def mean_of_measures(measured: Sequence[Any], shares: Sequence[float]) -> Any:
    """Return the mean of what was kept of several paintings, array by array.

    Args:
        measured: Pytrees of equal shapes, one a painting.
        shares: Of sum 1.
    """
    return jax.tree.map(
        lambda *leaves: sum(share * leaf for share, leaf in zip(shares, leaves, strict=True)),
        *measured,
    )


@dataclass(frozen=True)
class StyleLoss:
    """One way to compare styles: the loss of a layer, and every default that belongs to it.

    STYLE_LOSSES["gram"] is Gatys'; gram_loss has its equation.

    Attributes:
        name: What records, saved runs and reports call it. A saved run is resumed with a loss of
            the same name only.
        measure: measure(features) returns what is kept of a painting, a pytree of arrays.
        distance: distance(features, kept) returns the loss, a scalar: how far a picture's features
            are from what was kept of a painting.
        blend: blend(measured, shares) returns what stands for several paintings, whose shares have
            the sum 1.
        guided: measure and distance for regions; None where masks cannot guide it.
        of_gram: Of a loss whose measure is gram_matrix, the distance of a Gram matrix from what was
            kept: what parts of a picture that are seen one at a time are compared by. None where a
            loss needs more than Gram matrices.
        weight: The style weight that suits it, in parts of the content weight.
        layers: The layers that suit it, each with its weight.
        longest_step: The root mean square that a step of L-BFGS may have, in units of the
            picture's range.
        least_side: The height and width, in positions, that a layer must have at least.
        keeps_positions: Whether what is kept of a painting grows with the painting's size.
        takes_shares: Whether several paintings may have unequal shares.
        is_mean: Whether the loss is a mean over positions, so that it keeps its scale when a
            picture changes size. Otherwise Adam begins afresh at each size.
    """

    name: str
    measure: Callable[[FeatureMap], Any]
    distance: Callable[[FeatureMap, Any], Scalar]
    blend: Callable[[Sequence[Any], Sequence[float]], Any] = mean_of_measures
    guided: Guided | None = None
    of_gram: Callable[[Any, Any], Scalar] | None = None
    weight: float = 1.0
    layers: LayerWeights = _LAYERS
    longest_step: float = float("inf")
    least_side: int = 1
    keeps_positions: bool = False
    takes_shares: bool = True
    is_mean: bool = True

    def __post_init__(self) -> None:
        """Refuse what no run can use.

        Raises:
            ValueError: One line that names the field.
        """
        for field in ("measure", "distance", "blend"):
            if not callable(getattr(self, field)):
                raise ValueError(f"{field}: wanted a function, got {getattr(self, field)!r}")
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: wanted some text, got {self.name!r}")
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight: wanted a finite number, 0 or more, got {self.weight}")
        if not self.longest_step > 0:
            raise ValueError(f"longest_step: wanted a number above 0, got {self.longest_step}")

    def __str__(self) -> str:
        """Return the name, as reports and errors show it."""
        return self.name

    def require_guided(self) -> Guided:
        """Return how regions are compared.

        Raises:
            ValueError: Masks cannot guide this loss.
        """
        if self.guided is None:
            raise ValueError(
                "style_loss: wanted one that compares region by region where there are masks, "
                f"{' or '.join(guided_names())}, got {self}"
            )
        return self.guided


def guided_names() -> tuple[str, ...]:
    """Return the names of the losses that masks can guide."""
    return tuple(name for name, loss in STYLE_LOSSES.items() if loss.guided is not None)


def find_style_loss(loss: Any) -> StyleLoss:
    """Return the record of a style loss, given its name or itself.

    Args:
        loss: A name in STYLE_LOSSES, or a StyleLoss.

    Raises:
        ValueError: STYLE_LOSSES has no such name, or has another loss by the record's name.
    """
    if isinstance(loss, StyleLoss):
        if STYLE_LOSSES.get(cast(StyleLossName, loss.name), loss) != loss:
            raise ValueError(
                f"style_loss: {loss.name} is the name of another loss; give yours a name of its own"
            )
        return loss
    if not isinstance(loss, str) or loss not in STYLE_LOSSES:
        raise ValueError(
            f"style_loss: wanted {', '.join(STYLE_LOSSES)}, got {loss!s}; or a StyleLoss of your "
            "own"
        )
    return STYLE_LOSSES[cast(StyleLossName, loss)]


def style_loss(
    loss: StyleLossName | StyleLoss,
    features: Mapping[str, FeatureMap],
    targets: Mapping[str, Any],
    *,
    layer_weights: TracedLayerWeights,
) -> Scalar:
    """Return the weighted sum over layers of a style's distance.

    L = Σ_l w_l · distance(features_l, targets_l).

    Args:
        loss: A name in STYLE_LOSSES, or a record of your own.
        features: The picture's, by layer.
        targets: What its measure returned of the painting's features, by layer.
        layer_weights: The layers to compare, each with its weight.

    Raises:
        ValueError: layer_weights names a layer that the features or targets lack.
    """
    distance = find_style_loss(loss).distance
    return sum_over_layers(distance, features, targets, layer_weights)


def _mean_of_quantiles(measured: Sequence[Quantiles], shares: Sequence[float]) -> Quantiles:
    number = max(values.shape[1] for values in measured)
    return mean_of_measures([resample_quantiles(values, number) for values in measured], shares)


def _all_together(measured: Sequence[Points], shares: Sequence[float]) -> Points:
    if len(set(shares)) > 1:
        raise ValueError(
            f"style_blend: wanted none where a style loss takes the nearest of any painting, got "
            f"shares {', '.join(f'{share:g}' for share in shares)}; leave them out or take another"
        )
    return jnp.concatenate(measured, axis=1)


def _gram_distance(features: FeatureMap, target: Any) -> Scalar:
    return gram_loss(gram_matrix(features), target)


def _guided_gram_distance(features: FeatureMap, target: Any, guides: LayerGuide) -> Scalar:
    return guided_gram_loss(guided_gram_matrices(features, guides), target)


def _moment_distance(features: FeatureMap, target: Any) -> Scalar:
    moments = channel_moments(features)
    target = jax.tree.map(lambda one: jnp.broadcast_to(one, moments[0].shape), target)
    return moment_loss(moments, target)


def _guided_moments(features: FeatureMap, guides: LayerGuide) -> tuple[Any, Any]:
    """Means and deviations under the weights T², which sum to 1, as guided Gram matrices have."""
    mean, variance = region_moments(features, jnp.square(guides))
    return mean, jnp.sqrt(variance + _VARIANCE_EPS)


def _guided_moment_distance(features: FeatureMap, target: Any, guides: LayerGuide) -> Scalar:
    (mean, deviation), (wanted_mean, wanted) = _guided_moments(features, guides), target
    return jnp.square(mean - wanted_mean).mean() + jnp.square(deviation - wanted).mean()


def _channels_themselves(channels: int) -> Float[np.ndarray, "channels channels"]:
    return np.eye(channels, dtype=np.float32)


def _along(name: str, directions: Callable[[int], np.ndarray], *, weight: float) -> StyleLoss:
    return StyleLoss(
        name,
        lambda features: sorted_projections(features, directions(features.shape[-1])),
        lambda features, target: quantile_distance(
            features, target, directions(features.shape[-1])
        ),
        _mean_of_quantiles,
        weight=weight,
        keeps_positions=True,
    )


# The weights were tried on the bundled pictures, against Gram matrices of weight 50.
STYLE_LOSSES: Mapping[StyleLossName, StyleLoss] = MappingProxyType(
    {
        cast(StyleLossName, loss.name): loss
        for loss in (
            StyleLoss(
                *("gram", gram_matrix, _gram_distance),
                guided=Guided(guided_gram_matrices, _guided_gram_distance),
                of_gram=gram_loss,
                weight=50.0,
            ),
            StyleLoss(
                *("moments", channel_moments, _moment_distance),
                guided=Guided(_guided_moments, _guided_moment_distance),
                weight=150.0,
            ),
            StyleLoss("wasserstein", gaussian_moments, wasserstein_distance, weight=25.0),
            _along("histogram", _channels_themselves, weight=120.0),
            _along("sliced_wasserstein", orthogonal_directions, weight=250.0),
            StyleLoss(
                *("mrf", thinned_patches, patch_distance, _all_together),
                weight=6.0,
                layers=(("relu3_1", 0.5), ("relu4_1", 0.5)),  # Li and Wand 2016
                least_side=3,
                keeps_positions=True,
                takes_shares=False,
            ),
            StyleLoss(
                *("relaxed_transport", thinned_vectors, relaxed_transport_distance, _all_together),
                weight=600.0,
                # Kolkin et al. 2019 take layers of all blocks. Of large pictures the first two
                # would be thinned so far that pixels are in no point's receptive field.
                layers=tuple((f"relu{block}_1", 1 / 3) for block in (3, 4, 5)),
                # L-BFGS takes the length of its second step from how the gradient changed along its
                # first, which moves a pixel by some 1e-5. Where a position's nearest point changes
                # on that way the second may come out at 0.1 to 0.2, and covers the picture with
                # grain that the rest of the run does not get rid of. From a photograph all other
                # steps were below 0.006.
                longest_step=0.01,
                keeps_positions=True,
                takes_shares=False,
            ),
        )
    }
)
"""Ours by name; the module's table says what each holds fixed. Give your own as a record instead of
a name."""
