"""The one place that knows how to convolve, pool and upsample fast on each backend.

GPU and TPU get XLA's own operations: their libraries are good at them. On the CPU some of XLA's
operations are several times slower than an equal arrangement of others, so this module rearranges
them there: convolution_on_cpu.py and pooling_on_cpu.py say how. Every function returns what the
plain `jax.lax` operation does, and so do its derivatives in forward and reverse mode, up to
rounding. Rounding may differ between a value alone and one that is differentiated. Tests check both
branches.

Each operation is a jitted function, so that JAX traces and lowers it once for all layers of one
shape, and not once a layer: a network of equal blocks is sooner ready.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax.ops import convolution_on_cpu, pooling_on_cpu
from nst_jax.ops.convolution_on_cpu import Precision as Precision

Padding = Literal["zero", "reflect", "valid"]

_NHWC = ("NHWC", "HWIO", "NHWC")


_PORTABLE: ContextVar[bool] = ContextVar("portable", default=False)


def _is_cpu() -> bool:
    return not _PORTABLE.get() and jax.default_backend() == "cpu"


@contextmanager
def portable_operations() -> Iterator[None]:
    """Trace XLA's own operations inside the block, whatever runs here: for other machines.

    What is arranged for this CPU also wants to know the sizes, which exported programs do not.
    """
    token = _PORTABLE.set(True)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


def convolve(
    x: Float[Array, "batch height width channels_in"],
    kernel: Float[Array, "kernel_height kernel_width channels_in channels_out"],
    bias: Float[Array, " channels_out"] | None = None,
    *,
    stride: int = 1,
    padding: Padding = "zero",
    precision: Precision = "float32",
) -> Float[Array, "batch _ _ channels_out"]:
    """Return the cross-correlation of x with kernel (what deep learning calls a convolution).

    y[b, i, j, o] = bias[o] + Σ_{u,v,c} x[b, s·i + u − p, s·j + v − p, c] · kernel[u, v, c, o],
    with stride s, and p = k // 2 for kernels of odd side k or p = 0 for 'valid'.

    Args:
        x: Input, channels last.
        kernel: Odd sides for the paddings 'zero' and 'reflect'.
        bias: Added to every position.
        stride: Step between outputs, the same in both directions.
        padding: What lies outside x: zeros, its reflection without the edge, or nothing.
        precision: 'float32', or 'bfloat16': operands rounded to bfloat16 (relative error up to
            2⁻⁸ each) and products added up in float32. On the CPU wide 3×3 layers are rounded, and
            strided kernels other than 3×3; others would become slower.

    Raises:
        ValueError: A kernel of even side with padding, or a reflection wider than x.
    """
    check_precision(precision)
    height, width = kernel.shape[:2]
    if padding != "valid" and (height % 2 == 0 or width % 2 == 0):
        raise ValueError(
            f"kernel: padding {padding!r} wants odd sides, got {height} by {width}; use 'valid'"
        )
    if padding == "reflect" and (x.shape[1] <= height // 2 or x.shape[2] <= width // 2):
        raise ValueError(
            f"x: {x.shape[1]} by {x.shape[2]} positions are too few to reflect "
            f"{height // 2} by {width // 2}; use a larger input or zero padding"
        )
    return _convolve(
        x, kernel, bias, stride=stride, padding=padding, precision=precision, on_cpu=_is_cpu()
    )


@partial(jax.jit, static_argnames=("stride", "padding", "precision", "on_cpu"))
def _convolve(
    x, kernel, bias, *, stride: int, padding: Padding, precision: Precision, on_cpu: bool
):
    height, width = kernel.shape[:2]
    top, left = height // 2, width // 2
    if padding == "reflect":
        x = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), mode="reflect")
    if on_cpu and stride == 1 and height % 2 and width % 2:
        y: Any = convolution_on_cpu.convolve_same(x, kernel, precision)
        if padding != "zero":
            y = y[:, top : y.shape[1] - top, left : y.shape[2] - left]
    elif on_cpu and stride == 2 and (height, width) == (3, 3):
        if padding == "zero":
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        y = convolution_on_cpu.convolve_halving(x, kernel)
    else:
        pads = ((top, top), (left, left)) if padding == "zero" else ((0, 0), (0, 0))
        y = _convolve_plainly(x, kernel, precision, stride=stride, pads=pads)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def check_precision(precision: Any) -> None:
    """Raise a ValueError unless precision is one that convolutions know."""
    known = get_args(Precision)
    if not (isinstance(precision, str) and precision in known):
        raise ValueError(f"precision: wanted {' or '.join(known)}, got {precision!r}")


def convolve_transposed(
    x: Float[Array, "batch height width channels_in"],
    kernel: Float[Array, "side side channels_in channels_out"],
    bias: Float[Array, " channels_out"] | None = None,
    *,
    precision: Precision = "float32",
) -> Float[Array, "batch _ _ channels_out"]:
    """Return the fractionally strided convolution of x, of twice its height and width.

    y[b, 2i + u − 1, 2j + v − 1, o] += Σ_c x[b, i, j, c] · kernel[u, v, c, o], plus the bias: what
    PyTorch's ConvTranspose2d(kernel_size=3, stride=2, padding=1, output_padding=1) computes, or
    with kernel_size=4 and output_padding=0.

    Args:
        x: Input, channels last.
        kernel: Of 3 × 3 or 4 × 4. Not turned around: its first row acts above the position that it
            belongs to.
        bias: Added to every position.
        precision: As for convolve; always float32 on the CPU.

    Raises:
        ValueError: The kernel has other sides.

    Reference: the layers of stride ½ in Johnson et al. 2016, supplement, table 1; those of 4 × 4
    are in Li and Wand's (2016) generators.
    """
    if kernel.shape[:2] not in ((3, 3), (4, 4)):
        wanted = "kernel: wanted 3 by 3 or 4 by 4 to double the sides"
        raise ValueError(f"{wanted}, got {kernel.shape[0]} by {kernel.shape[1]}")
    return _convolve_transposed(x, kernel, bias, precision=precision, on_cpu=_is_cpu())


@partial(jax.jit, static_argnames=("precision", "on_cpu"))
def _convolve_transposed(x, kernel, bias, *, precision: Precision, on_cpu: bool):
    if on_cpu:
        y = convolution_on_cpu.convolve_transposed(x, kernel)
    else:
        # A convolution of x with zeros between its positions; that one wants the kernel turned.
        pads = (kernel.shape[0] - 2, 2)
        y = _convolve_plainly(
            x, kernel[::-1, ::-1], precision, stride=1, pads=(pads, pads), spread=2
        )
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def upsample_convolve(
    x: Float[Array, "batch height width channels_in"],
    kernel: Float[Array, "3 3 channels_in channels_out"],
    bias: Float[Array, " channels_out"] | None = None,
    *,
    padding: Padding = "reflect",
    precision: Precision = "float32",
) -> Float[Array, "batch _ _ channels_out"]:
    """Return the 3×3 convolution of x enlarged twice by repetition.

    convolve(upsample_nearest(x), kernel, bias, padding=padding, precision=precision), but always in
    float32 on the CPU.

    Reference: Dumoulin et al. 2017, appendix, table 1; after Odena et al. 2016.
    """
    if not _is_cpu() or padding == "valid":
        return convolve(upsample_nearest(x), kernel, bias, padding=padding, precision=precision)
    return _upsample_convolve_on_cpu(x, kernel, bias, padding=padding)


@partial(jax.jit, static_argnames=("padding",))
def _upsample_convolve_on_cpu(x, kernel, bias, *, padding: Padding):
    y = convolution_on_cpu.upsample_convolve(x, kernel, padding=padding)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def convolve_depthwise(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels"],
    *,
    stride: int = 1,
) -> Float[Array, "batch _ _ channels"]:
    """Return the unpadded cross-correlation of each channel with a kernel of its own.

    y[b, i, j, c] = Σ_{u,v} x[b, s·i + u, s·j + v, c] · kernel[u, v, c], with stride s. The sum is
    written out, which XLA fuses into one loop; a grouped convolution is slow on the CPU.

    Args:
        x: Input, channels last, at least as large as the kernel.
        kernel: Of any sides.
        stride: Step between outputs, the same in both directions.
    """
    sides = kernel.shape[:2]
    height, width = ((x.shape[i + 1] - sides[i]) // stride + 1 for i in (0, 1))
    total = jnp.zeros((x.shape[0], height, width, x.shape[3]), x.dtype)
    for u in range(sides[0]):
        for v in range(sides[1]):
            rows = slice(u, u + stride * (height - 1) + 1, stride)
            columns = slice(v, v + stride * (width - 1) + 1, stride)
            total = total + x[:, rows, columns] * kernel[u, v].reshape(1, 1, 1, -1)
    return total


def _convolve_plainly(x, kernel, precision: Precision, *, stride: int, pads, spread: int = 1):
    """XLA's own convolution; HIGHEST, since an accelerator's default is lower than float32."""
    if precision == "bfloat16":
        # Both operands and the result: XLA's gradient wants one dtype. cuDNN and the MXU
        # accumulate in float32 inside.
        x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    y = lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        lhs_dilation=(spread, spread),
        dimension_numbers=_NHWC,
        precision=lax.Precision.HIGHEST,
    )
    return y.astype(jnp.float32)


def relu(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width channels"]:
    """Return max(x, 0); its derivative at 0 is 0."""
    return _relu_on_cpu(x) if _is_cpu() else jax.nn.relu(x)


_relu_on_cpu = jax.jit(pooling_on_cpu.relu_keeping_signs)


def max_pool(
    x: Float[Array, "batch height width channels"], *, ceil_mode: bool = False
) -> Float[Array, "batch _ _ channels"]:
    """Return the maxima over 2×2 windows with stride 2.

    The gradient goes to the first maximum of a window in row order, as XLA's and PyTorch's do.

    Args:
        x: Input, channels last.
        ceil_mode: A last odd row or column forms windows of its own instead of being dropped.
    """
    return _max_pool(x, ceil_mode=ceil_mode, on_cpu=_is_cpu())


@partial(jax.jit, static_argnames=("ceil_mode", "on_cpu"))
def _max_pool(x, *, ceil_mode: bool, on_cpu: bool):
    x = _even(x, ceil_mode=ceil_mode, fill=-jnp.inf)
    if on_cpu:
        return pooling_on_cpu.max_pool_even(x)
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average_pool(
    x: Float[Array, "batch height width channels"], *, ceil_mode: bool = False
) -> Float[Array, "batch _ _ channels"]:
    """Return the means over 2×2 windows with stride 2.

    Args:
        x: Input, channels last.
        ceil_mode: A last odd row or column forms windows of its own, whose mean is over the
            positions that lie inside x, instead of being dropped.
    """
    return _average_pool(x, ceil_mode=ceil_mode)


@partial(jax.jit, static_argnames=("ceil_mode",))
def _average_pool(x, *, ceil_mode: bool):
    _, height, width, _ = x.shape
    a, b, c, d = pooling_on_cpu.quarters(_even(x, ceil_mode=ceil_mode, fill=0.0))
    total = a + b + c + d
    if not ceil_mode:
        return total / 4
    rows = jnp.minimum(2, height - 2 * jnp.arange((height + 1) // 2)).reshape(1, -1, 1, 1)
    columns = jnp.minimum(2, width - 2 * jnp.arange((width + 1) // 2)).reshape(1, 1, -1, 1)
    return total / (rows * columns).astype(x.dtype)


def upsample_nearest(
    x: Float[Array, "batch height width channels"], factor: int = 2
) -> Float[Array, "batch _ _ channels"]:
    """Return x with every position repeated factor times along height and width."""
    batch, height, width, channels = x.shape
    shape = (batch, height, factor, width, factor, channels)
    repeated = jnp.broadcast_to(x[:, :, None, :, None, :], shape)
    return repeated.reshape(batch, height * factor, width * factor, channels)


def _even(x, *, ceil_mode: bool, fill: float):
    """Bring both sides to an even number, by dropping the last row or column or by filling."""
    height, width = x.shape[1:3]
    if ceil_mode:
        return jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=fill)
    return x[:, : height - height % 2, : width - width % 2]
