"""Distributions of a feature map's channels as quantile functions, and taking on another's."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import FeatureMap

Weights = Float[Array, "#batch height width"]
"""How much each position counts, from 0 to 1."""

Levels = Float[Array, "#batch levels channels"]
"""Quantile functions as steps of equal width, sorted: level g is the mean over [g/G, (g+1)/G]."""


def quantile_levels(
    features: FeatureMap, *, count: int, weights: Weights | None = None
) -> Float[Array, "batch levels channels"]:
    """Return each channel's quantile function, averaged over so many steps of equal width.

    q_g = G ∫ Q(t) dt over [g/G, (g+1)/G], where Q(t) is the least value that a share t of the
    positions does not exceed. As many levels as positions are the sorted values.

    Args:
        features: One layer's answer.
        count: How many levels, G.
        weights: Of the positions; all count alike if None.
    """
    mean = features.mean((1, 2))[:, None]
    values, shares, _ = _sort(_rows(features) - mean, _weights(features, weights))
    reached = jnp.cumsum(shares, axis=1)
    reached = reached / jnp.maximum(reached[:, -1:], _NOTHING)
    steps = jnp.diff(reached, axis=1, prepend=0)
    integral = jnp.cumsum(values * steps, axis=1)
    start = ((0, 0), (1, 0), (0, 0))
    ends = _interpolate(
        jnp.linspace(0, 1, count + 1), jnp.pad(reached, start), jnp.pad(integral, start)
    )
    return count * jnp.diff(ends, axis=1) + mean


def set_quantiles(
    features: FeatureMap, levels: Levels, *, weights: Weights | None = None
) -> FeatureMap:
    """Return features with each channel's distribution replaced by one given as levels.

    A value that a share a of the positions is below, and a share b does not exceed, becomes
    ∫ Q'(t) dt / (b − a) over [a, b]. So order is kept, equal values stay equal, and numbers of
    positions and of levels may differ. It is linear in the levels: their mixtures give mixtures.

    Args:
        features: One layer's answer.
        levels: What quantile_levels returns, or sorted values; for each picture or for all.
        weights: Of the positions in a and b; all count alike if None.

    Reference: Zhang et al. 2022, section 3, whose sort-matching this is where no values are equal
    and there are as many of both. Differs: they rank equal values by chance, which would put a
    pattern on flat ground.
    """
    count = levels.shape[1]
    levels = jnp.broadcast_to(levels, (features.shape[0], *levels.shape[1:]))
    values, shares, order = _sort(_rows(features), _weights(features, weights))
    reached = jnp.cumsum(shares, axis=1)
    before = jnp.pad(reached[:, :-1], ((0, 0), (1, 0), (0, 0)))
    is_new = values[:, 1:] != values[:, :-1]
    first = jnp.pad(is_new, ((0, 0), (1, 0), (0, 0)), constant_values=True)
    last = jnp.pad(is_new, ((0, 0), (0, 1), (0, 0)), constant_values=True)
    to_levels = count / jnp.maximum(reached[:, -1:], _NOTHING)
    lower = lax.cummax(jnp.where(first, before, 0), axis=1) * to_levels
    upper = lax.cummin(jnp.where(last, reached, jnp.inf), axis=1, reverse=True) * to_levels
    found = _mean_between(lower, upper, levels)
    _, found = lax.sort((order, found), dimension=1, num_keys=1)
    return found.reshape(features.shape)


_NOTHING = 1e-6  # of one position


def _mean_between(lower: Array, upper: Array, levels: Array) -> Array:
    """The mean of step functions over intervals, whose ends count levels.

    Within one level it is that level, without a difference of sums that would cost digits.
    """
    top = levels.shape[1] - 1
    low = jnp.clip(jnp.floor(lower).astype(jnp.int32), 0, top)
    high = jnp.clip(jnp.ceil(upper).astype(jnp.int32) - 1, low, top)
    centre = levels.mean(1, keepdims=True)
    centred = levels - centre
    sums = jnp.pad(jnp.cumsum(centred, axis=1), ((0, 0), (1, 0), (0, 0)))
    take = partial(jnp.take_along_axis, axis=1)
    at_low, at_high = take(centred, low), take(centred, high)
    between = take(sums, high) - take(sums, jnp.minimum(low + 1, high))
    below = (low + 1).astype(lower.dtype) - lower
    above = upper - high.astype(upper.dtype)
    whole = below * at_low + between + above * at_high
    width = jnp.where(high > low, upper - lower, 1)
    return jnp.where(high > low, whole / width, at_low) + centre


def _rows(features: FeatureMap) -> Float[Array, "batch positions channels"]:
    return features.reshape(features.shape[0], -1, features.shape[-1])


def _weights(features: FeatureMap, weights: Weights | None) -> Float[Array, "batch positions 1"]:
    batch, height, width, _ = features.shape
    weights = jnp.ones((1, 1, 1), features.dtype) if weights is None else weights
    return jnp.broadcast_to(weights, (batch, height, width)).reshape(batch, -1, 1)


def _sort(rows: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Values, weights and places, by the values of each channel."""
    places = lax.broadcasted_iota(jnp.int32, rows.shape, 1)
    weights = jnp.broadcast_to(weights, rows.shape)
    values, weights, order = lax.sort((rows, weights, places), dimension=1, num_keys=1)
    return values, weights, order


@partial(jax.vmap, in_axes=(None, 0, 0))
@partial(jax.vmap, in_axes=(None, 1, 1), out_axes=1)
def _interpolate(at: Array, x: Array, y: Array) -> Array:
    return jnp.interp(at, x, y)
