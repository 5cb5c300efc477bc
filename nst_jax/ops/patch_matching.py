"""Feature maps put together from the patches of another that are most like their own."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from nst_jax.array_types import FeatureMap

Source = Float[Array, "#batch source_height source_width channels"]

SourceWeights = Float[Array, "#batch source_height source_width"]
"""How much each of its positions counts, from 0 to 1."""

_UNIT_EPS = 1e-6


def nearest_patches(
    features: FeatureMap, source: Source, *, size: int, weights: SourceWeights | None = None
) -> Int[Array, "batch _ _"]:
    """Return, for each patch of size × size positions, the number of the patch most like it.

    argmax_j ⟨Φ_i(x), Φ_j(y)⟩ / ‖Φ_j(y)‖, where patches overlap and are counted along rows. Products
    of patches are sums of products of positions: each is computed once, a row of x at a time, so
    that the memory is that of size rows against all of y.

    Args:
        features: x.
        source: y; for each picture or for all.
        size: Of a patch.
        weights: Of the positions of y: patches count that have at least half the weight of the
            heaviest; all of them if None.

    Raises:
        ValueError: A map is smaller than a patch.

    Reference: Chen and Schmidt 2016, eq. (1); Sheng et al. 2018, section 3.1.
    """
    if min(*features.shape[1:3], *source.shape[1:3]) < size:
        raise ValueError(
            f"patches: wanted maps of at least {size} by {size} positions, got "
            f"{features.shape[1]} by {features.shape[2]} and {source.shape[1]} by "
            f"{source.shape[2]}; give larger pictures"
        )
    batch = features.shape[0]
    source = jnp.broadcast_to(source, (batch, *source.shape[1:]))
    given = jnp.ones((1, 1, 1), source.dtype) if weights is None else weights
    weight = _window_sums(jnp.broadcast_to(given, source.shape[:3]), size)
    counts = weight >= 0.5 * weight.max((1, 2), keepdims=True)
    norms = jnp.sqrt(_window_sums(jnp.square(source).sum(-1), size) + _UNIT_EPS)
    return _search(size, features, source, jnp.where(counts, 1 / norms, 0), counts)


def assemble_patches(
    source: Source, nearest: Int[Array, "batch rows columns"], *, size: int
) -> Float[Array, "batch height width channels"]:
    """Return a map put together from patches of another; where they overlap, their mean.

    Args:
        source: What the patches are taken from; for each picture or for all.
        nearest: The number of each patch, as nearest_patches returns it.
        size: Of a patch.

    Returns:
        A map of size − 1 rows and columns more than nearest has.
    """
    batch, rows, columns = nearest.shape
    source = jnp.broadcast_to(source, (batch, *source.shape[1:]))
    across = source.shape[2] - size + 1
    shape = (rows + size - 1, columns + size - 1)
    total, cover = jnp.zeros((batch, *shape, source.shape[-1]), source.dtype), jnp.zeros(shape)
    pick = jax.vmap(lambda picture, row, column: picture[row, column])
    for i in range(size):
        for j in range(size):
            here = (slice(i, i + rows), slice(j, j + columns))
            picked = pick(source, nearest // across + i, nearest % across + j)
            total = total.at[:, *here].add(picked)
            cover = cover.at[here].add(1)
    return total / cover[None, ..., None]


@partial(jax.vmap, in_axes=(None, 0, 0, 0, 0))
def _search(size: int, features: Array, source: Array, scale: Array, counts: Array) -> Array:
    columns = features.shape[1] - size + 1
    rows, across = counts.shape

    def products(row: Array) -> Array:
        return jnp.einsum("wc,ijc->wij", row, source, precision=lax.Precision.HIGHEST)

    def step(before: Array, row: Array) -> tuple[Array, Array]:
        window = jnp.concatenate([before, products(row)[None]])
        likeness = sum(
            window[i, j : j + columns, i : i + rows, j : j + across]
            for i in range(size)
            for j in range(size)
        )
        likeness = jnp.where(counts[None], likeness * scale[None], -jnp.inf).reshape(columns, -1)
        return window[1:], likeness.argmax(-1).astype(jnp.int32)

    first = lax.map(products, features[: size - 1])
    return lax.scan(step, first, features[size - 1 :])[1]


def _window_sums(values: Float[Array, "batch height width"], size: int) -> Array:
    rows, columns = (side - size + 1 for side in values.shape[1:])
    return sum(
        (values[:, i : i + rows, j : j + columns] for i in range(size) for j in range(size)),
        start=jnp.zeros((values.shape[0], rows, columns), values.dtype),
    )
