"""Means over squares around every position."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def moving_mean(
    x: Float[Array, "batch height width channels"], side: int
) -> Float[Array, "batch height width channels"]:
    """Return the means over squares, of those positions that lie within x.

    y[i, j] is the mean of x over rows i − (side − 1) // 2 to i + side // 2, and columns likewise.
    Sums over a row or column are differences of cumulative ones, whatever the side.

    Args:
        x: Pictures or feature maps.
        side: Of the squares.
    """
    for axis in (1, 2):
        length = x.shape[axis]
        first = jnp.maximum(jnp.arange(length) - (side - 1) // 2, 0)
        last = jnp.minimum(jnp.arange(length) + side // 2 + 1, length)
        around = [(0, 0)] * 4
        around[axis] = (1, 0)
        sums = jnp.pad(jnp.cumsum(x, axis), around)
        count = (last - first).astype(x.dtype)
        shape = [1] * 4
        shape[axis] = length
        x = (sums.take(last, axis) - sums.take(first, axis)) / count.reshape(shape)
    return x
