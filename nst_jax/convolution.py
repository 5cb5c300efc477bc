"""The one place that knows how to convolve, pool and upsample fast on each backend."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Precision = Literal["float32", "bfloat16"]
Padding = Literal["zero", "reflect", "valid"]

Map = Float[Array, "batch height width channels"]


def convolve(
    x: Float[Array, "batch height width channels_in"],
    kernel: Float[Array, "kernel_height kernel_width channels_in channels_out"],
    bias: Float[Array, " channels_out"] | None = None,
    *,
    stride: int = 1,
    padding: Padding = "zero",
    precision: Precision = "float32",
) -> Float[Array, "batch _ _ channels_out"]:
    """Return the cross-correlation of x with kernel (what deep learning calls a convolution)."""
    del precision
    if padding == "reflect":
        top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
        x = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), mode="reflect")
    y = lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME" if padding == "zero" else "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    return y if bias is None else y + bias


def max_pool(x: Map, *, ceil_mode: bool = False) -> Float[Array, "batch _ _ channels"]:
    """Return the maxima over 2×2 windows, stride 2; ceil_mode keeps a last odd row or column."""
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME" if ceil_mode else "VALID"
    )


def average_pool(x: Map, *, ceil_mode: bool = False) -> Float[Array, "batch _ _ channels"]:
    """Return the means over 2×2 windows, stride 2; ceil_mode keeps a last odd row or column."""
    del ceil_mode
    total = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return total / 4


def upsample_nearest(x: Map, factor: int = 2) -> Float[Array, "batch _ _ channels"]:
    """Return x with every position repeated factor times along height and width."""
    return jax.numpy.repeat(jnp.repeat(x, factor, axis=1), factor, axis=2)
