"""Pictures moved along a field of displacements, such as optical flow.

A flow f is (batch, height, width, 2) in pixels: f[..., 0] to the right and f[..., 1] down. Warping
gathers: the result at x is the picture at x + f(x), so that f leads from the result to the picture.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from nst_jax.array_types import FeatureMap

Flow = Float[Array, "batch height width 2"]
"""Displacements in pixels: to the right, and down."""

Sampling = Literal["nearest", "bilinear", "cubic", "lanczos"]
"""How a picture is read between its pixels: from 1, 4, 16 or 36 of them."""


def warp(
    image: FeatureMap,
    flow: Float[Array, "batch height width 2"],
    *,
    sampling: Sampling = "bilinear",
) -> FeatureMap:
    """Return the picture read at x + f(x), where the picture's edge goes on for ever.

    W(x) = Σ_ij k(d_y − i) k(d_x − j) image(⌊p⌋ + (i, j)), with p = x + f(x) and d = p − ⌊p⌋. The
    kernel k is a box, a triangle, Keys' cubic (a = −1/2) or Lanczos' of three lobes. The weights of
    the last are divided by their sum. The last two are sharper and may leave the picture's range.

    Args:
        image: Pictures, or maps of any number of channels.
        flow: In pixels, from each position of the result to where it is read.
        sampling: The kernel. "nearest" has no gradient with respect to flow.

    Reference: Keys 1981, eq. (15), for the cubic.
    """
    height, width = image.shape[1:3]
    x = jnp.arange(width, dtype=flow.dtype).reshape(1, 1, -1) + flow[..., 0]
    y = jnp.arange(height, dtype=flow.dtype).reshape(1, -1, 1) + flow[..., 1]
    if sampling == "nearest":
        return _read(image, jnp.floor(y + 0.5), jnp.floor(x + 0.5))
    kernel, reach = _KERNELS[sampling]
    base_y, base_x = jnp.floor(y), jnp.floor(x)
    taps = range(1 - reach, reach + 1)
    down, across = (
        [kernel(jnp.abs(place - base - tap)) for tap in taps]
        for place, base in ((y, base_y), (x, base_x))
    )
    total = jnp.zeros_like(image)
    for tap_y, weight_y in zip(taps, down, strict=True):
        row = jnp.zeros_like(image)
        for tap_x, weight_x in zip(taps, across, strict=True):
            row += weight_x[..., None] * _read(image, base_y + tap_y, base_x + tap_x)
        total += weight_y[..., None] * row
    if sampling == "lanczos":
        total /= (jnp.stack(down).sum(0) * jnp.stack(across).sum(0))[..., None]
    return total


def lands_inside(flow: Float[Array, "batch height width 2"]) -> Bool[Array, "batch height width"]:
    """Return where x + f(x) lies within the picture.

    Args:
        flow: In pixels.
    """
    height, width = flow.shape[1:3]
    x = jnp.arange(width, dtype=flow.dtype).reshape(1, 1, -1) + flow[..., 0]
    y = jnp.arange(height, dtype=flow.dtype).reshape(1, -1, 1) + flow[..., 1]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def _read(image: Array, y: Array, x: Array) -> Array:
    """The pixels at whole positions, of the nearest edge for those outside."""
    batch, height, width, channels = image.shape
    rows = jnp.clip(y, 0, height - 1).astype(jnp.int32)
    columns = jnp.clip(x, 0, width - 1).astype(jnp.int32)
    places = (rows * width + columns).reshape(batch, -1, 1)
    flat = image.reshape(batch, height * width, channels)
    return jnp.take_along_axis(flat, places, axis=1).reshape(*y.shape, channels)


def _triangle(distance: Array) -> Array:
    return jnp.maximum(1 - distance, 0)


def _keys_cubic(distance: Array) -> Array:
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return jnp.where(distance < 1, near, jnp.where(distance < 2, far, 0))


def _lanczos(distance: Array) -> Array:
    return jnp.where(distance < 3, jnp.sinc(distance) * jnp.sinc(distance / 3), 0)


_KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "bilinear": (_triangle, 1),
    "cubic": (_keys_cubic, 2),
    "lanczos": (_lanczos, 3),
}
