"""The one place that knows how to convolve, pool and upsample fast on each backend.

GPU and TPU get XLA's own operations: their libraries are good at them. On the CPU some of XLA's
operations are several times slower than an equal arrangement of others, so this module rearranges
them there. Every function returns, and differentiates to, what the plain `jax.lax` operation does;
tests hold it to that on all branches.

What is rearranged on the CPU, and why (measured with `experiments/benchmark.py` and before it):

- Max pooling by `reduce_window` spends its time in the gradient (`select_and_scatter`, one
  thread). Four strided views and a remembered argmax take a tenth of it.
- An unpadded convolution is about three times slower than a zero-padded one. Reflection padding
  therefore convolves with zero padding and crops.
- A large kernel on three channels keeps the processor's lanes empty: the picture is folded into
  blocks of 2×2 pixels, twelve channels, first.
- A fractionally strided convolution spends nine tenths of its gradient on zeros, and one of an
  enlarged map more than half of everything on repeated values: both are 2×2 convolutions to four
  times the channels, which are then unfolded.
- A mask is recomputed rather than kept, which keeps its larger operand alive; here it is kept.
- bfloat16 operands gain nothing in XLA's convolution but double the rate of its matrix products,
  so wide 3×3 layers become products in that precision.
"""

from functools import partial
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Precision = Literal["float32", "bfloat16"]
Padding = Literal["zero", "reflect", "valid"]

_NHWC = ("NHWC", "HWIO", "NHWC")
# Below this many channels on either side a product of bfloat16 operands no longer pays for the
# copies that it needs.
_WIDE = 256
# Up to this many channels a large kernel is faster on blocks of pixels.
_THIN = 4


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
            2⁻⁸ each) and products added up in float32. On the CPU only wide 3×3 layers are
            rounded, because narrow ones would become slower.

    Raises:
        ValueError: A kernel of even side with padding, or a reflection wider than x.
    """
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
    on_cpu = jax.default_backend() == "cpu"
    top, left = height // 2, width // 2
    if padding == "reflect":
        x = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), mode="reflect")
    if on_cpu and stride == 1 and height % 2 and width % 2:
        y = cast(Array, _convolve_same(x, kernel, precision))
        if padding != "zero":
            y = y[:, top : y.shape[1] - top, left : y.shape[2] - left]
    elif on_cpu and stride == 2 and (height, width) == (3, 3):
        if padding == "zero":
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        y = cast(Array, _convolve_halving(x, kernel))
    else:
        pads = ((top, top), (left, left)) if padding == "zero" else ((0, 0), (0, 0))
        y = _convolve_plainly(x, kernel, precision, stride=stride, pads=pads)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def convolve_transposed(
    x: Float[Array, "batch height width channels_in"],
    kernel: Float[Array, "3 3 channels_in channels_out"],
    bias: Float[Array, " channels_out"] | None = None,
    *,
    precision: Precision = "float32",
) -> Float[Array, "batch _ _ channels_out"]:
    """Return the fractionally strided 3×3 convolution of x, of twice its height and width.

    y[b, 2i + u − 1, 2j + v − 1, o] += Σ_c x[b, i, j, c] · kernel[u, v, c, o], plus the bias: what
    PyTorch's ConvTranspose2d(kernel_size=3, stride=2, padding=1, output_padding=1) computes.

    Args:
        x: Input, channels last.
        kernel: Not turned around: its first row acts above the position that it belongs to.
        bias: Added to every position.
        precision: As for convolve.

    Reference: the layers of stride ½ in Johnson et al. 2016, supplement, table 1.
    """
    if jax.default_backend() == "cpu":
        y = _spread(x, kernel)[:, 2:, 2:]
    else:
        # A convolution of x with zeros between its positions; that one wants the kernel turned.
        y = _convolve_plainly(
            x, kernel[::-1, ::-1], precision, stride=1, pads=((1, 2), (1, 2)), spread=2
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

    convolve(upsample_nearest(x), kernel, bias, padding=padding, precision=precision).

    Reference: Dumoulin et al. 2017, appendix, table 1; after Odena et al. 2016.
    """
    if jax.default_backend() != "cpu" or padding == "valid":
        return convolve(upsample_nearest(x), kernel, bias, padding=padding, precision=precision)
    # Each output sees two neighbouring positions along either side, one of them repeated. The
    # reflection of an enlarged map repeats its edge, so that the small map is padded with its edge.
    mode = "edge" if padding == "reflect" else "constant"
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
    for axis in (0, 1):
        first, middle, last = jnp.split(kernel, 3, axis=axis)
        near = jnp.stack([first + middle, first], axis=-1)
        far = jnp.stack([last, middle + last], axis=-1)
        kernel = jnp.concatenate([near, far], axis=axis)
    y = _unfold(_to_four_times_the_channels(x, kernel))[:, 1:-1, 1:-1]
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


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


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_same(x, kernel, precision: Precision) -> Array:
    """Zero-padded convolution of stride 1 by a kernel of odd sides, on the CPU."""
    *sides, channels_in, channels_out = kernel.shape
    if precision == "bfloat16" and sides == [3, 3] and min(channels_in, channels_out) >= _WIDE:
        return _convolve_by_products(x, kernel)
    return _arrangement(x, kernel)(x, kernel)


def _convolve_same_forward(x, kernel, precision: Precision):
    return _convolve_same(x, kernel, precision), (x, kernel)


def _convolve_same_backward(precision: Precision, residuals, dy):
    x, kernel = residuals
    dx = _convolve_same(dy, kernel[::-1, ::-1].swapaxes(2, 3), precision)
    # In float32 always: products of bfloat16 operands over positions gain nothing.
    (dkernel,) = jax.vjp(partial(_arrangement(x, kernel), x), kernel)[1](dy)
    return dx, dkernel


_convolve_same.defvjp(_convolve_same_forward, _convolve_same_backward)


def _arrangement(x, kernel):
    """The faster of the two ways to convolve in float32."""
    height, width = x.shape[1:3]
    *sides, channels_in, channels_out = kernel.shape
    thin = channels_in <= _THIN or (channels_out <= _THIN and channels_in <= 4 * _THIN)
    if thin and min(sides) >= 5 and height % 2 == 0 and width % 2 == 0:
        return _convolve_in_blocks
    return _convolve_directly


def _convolve_directly(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_NHWC)


def _convolve_in_blocks(x, kernel):
    """The same on blocks of 2×2 pixels, whose pixels become channels."""
    for axis in (0, 1):
        kernel = _to_blocks(kernel, axis)
    # (blocks, blocks, in, out, row in, row out, column in, column out)
    blocks, _, channels_in, channels_out = kernel.shape[:4]
    kernel = kernel.transpose(0, 1, 4, 6, 2, 5, 7, 3)
    kernel = kernel.reshape(blocks, -1, 4 * channels_in, 4 * channels_out)
    return _unfold(_convolve_directly(_fold(x), kernel))


def _to_blocks(kernel, axis: int):
    """One axis of an odd kernel as blocks of two, by the pixel within the block in and out.

    Pixel a of an output block sees pixel b of the block t away by kernel[2t + b − a + half].
    """
    side = kernel.shape[axis]
    half = side // 2
    reach = (half + 1) // 2
    block = np.arange(-reach, reach + 1)[:, None, None]
    place = 2 * block + np.arange(2)[None, :, None] - np.arange(2)[None, None, :] + half
    inside = (place >= 0) & (place < side)
    taken = jnp.moveaxis(kernel, axis, -1)[..., place.clip(0, side - 1)]
    taken = jnp.where(inside, taken, 0)
    return jnp.moveaxis(taken, -3, axis)


def _fold(x):
    """Blocks of 2×2 positions, their members along the channels in row order."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def _unfold(x):
    """Undo _fold."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


@jax.custom_vjp
def _convolve_halving(x, kernel) -> Array:
    """Unpadded 3×3 convolution of stride 2, on the CPU."""
    return _convolve_plainly(x, kernel, "float32", stride=2, pads=((0, 0), (0, 0)))


def _convolve_halving_forward(x, kernel):
    return _convolve_halving(x, kernel), (x, kernel)


def _convolve_halving_backward(residuals, dy):
    x, kernel = residuals
    plain = partial(_convolve_plainly, precision="float32", stride=2, pads=((0, 0), (0, 0)))
    (dkernel,) = jax.vjp(lambda kernel: plain(x, kernel), kernel)[1](dy)
    dx = _spread(dy, kernel.swapaxes(2, 3))[:, 1 : 1 + x.shape[1], 1 : 1 + x.shape[2]]
    missing = ((0, max(0, x.shape[i] - dx.shape[i])) for i in (1, 2))  # that no window reached
    return jnp.pad(dx, ((0, 0), *missing, (0, 0))), dkernel


_convolve_halving.defvjp(_convolve_halving_forward, _convolve_halving_backward)


def _spread(x, kernel):
    """y[2i + u − 1] += x[i] kernel[u] along both sides, its rows and columns counted from −2 on."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for axis in (0, 1):
        first, middle, last = jnp.split(kernel, 3, axis=axis)
        near = jnp.stack([middle, last], axis=-1)
        far = jnp.stack([jnp.zeros_like(first), first], axis=-1)
        kernel = jnp.concatenate([near, far], axis=axis)
    return _unfold(_to_four_times_the_channels(x, kernel))


def _to_four_times_the_channels(x, kernel):
    """Unpadded convolution by (2, 2, in, out, row out, column out)."""
    channels_in, channels_out = kernel.shape[2:4]
    kernel = kernel.transpose(0, 1, 2, 4, 5, 3).reshape(2, 2, channels_in, 4 * channels_out)
    return _convolve_plainly(x, kernel, "float32", stride=1, pads=((0, 0), (0, 0)))


def _convolve_by_products(x, kernel):
    """3×3 zero-padded convolution as three products, one a kernel row, with bfloat16 operands.

    The three horizontal neighbours lie side by side along the channels; the vertical shift is
    applied to the products, so that the wide operand is copied once.
    """
    batch, height, width, channels_in = x.shape
    channels_out = kernel.shape[-1]
    padded = jnp.pad(x.astype(jnp.bfloat16), ((0, 0), (0, 0), (1, 1), (0, 0)))
    neighbours = jnp.concatenate([padded[:, :, j : j + width] for j in range(3)], axis=-1)
    rows = kernel.astype(jnp.bfloat16).reshape(3, 3 * channels_in, channels_out)
    above, same, below = (
        lax.dot_general(
            neighbours.reshape(batch * height * width, 3 * channels_in),
            row,
            (((1,), (0,)), ((), ())),
            preferred_element_type=jnp.float32,
        ).reshape(batch, height, width, channels_out)
        for row in rows
    )
    above = jnp.pad(above[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
    below = jnp.pad(below[:, 1:], ((0, 0), (0, 1), (0, 0), (0, 0)))
    return same + above + below


def relu(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height width channels"]:
    """Return max(x, 0); its derivative at 0 is 0."""
    return _relu_keeping_signs(x) if jax.default_backend() == "cpu" else jax.nn.relu(x)


@jax.custom_vjp
def _relu_keeping_signs(x):
    """ReLU whose backward pass keeps one byte a value, the sign, and not x itself."""
    return jnp.maximum(x, 0)


def _relu_forward(x):
    y = jnp.maximum(x, 0)
    positive = _materialized(lambda y: y > 0, y)
    return y, positive


def _relu_backward(positive, dy):
    return (jnp.where(positive, dy, 0),)


_relu_keeping_signs.defvjp(_relu_forward, _relu_backward)


def _materialized(function, x):
    """function(x), kept in memory instead of being computed again from x where it is used.

    XLA on the CPU fuses a cheap function into its users and keeps x for them; it ignores
    optimization_barrier there, but does not look into a branch. For VGG-16 at 1024 x 1024 this
    lowers the memory of a value and gradient from 1758 to 1126 MiB.
    """
    return lax.cond(x[0, 0, 0, 0] < jnp.inf, function, function, x)


def max_pool(
    x: Float[Array, "batch height width channels"], *, ceil_mode: bool = False
) -> Float[Array, "batch _ _ channels"]:
    """Return the maxima over 2×2 windows with stride 2.

    The gradient goes to the first maximum of a window in row order, as XLA's and PyTorch's do.

    Args:
        x: Input, channels last.
        ceil_mode: A last odd row or column forms windows of its own instead of being dropped.
    """
    x = _even(x, ceil_mode=ceil_mode, fill=-jnp.inf)
    if jax.default_backend() == "cpu":
        return _max_pool_even(x)
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
    _, height, width, _ = x.shape
    a, b, c, d = _quarters(_even(x, ceil_mode=ceil_mode, fill=0.0))
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


def _quarters(x):
    """The four members of every 2×2 window, in row order."""
    return tuple(x[:, i::2, j::2] for i in (0, 1) for j in (0, 1))


@jax.custom_vjp
def _max_pool_even(x):
    """Max pooling of even sides on the CPU."""
    a, b, c, d = _quarters(x)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


def _max_pool_even_forward(x):
    a, b, c, d = _quarters(x)
    y = jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    # One byte an output instead of the whole input, which would otherwise live until here.
    first = _materialized(_first_maximum, x)
    return y, first


def _first_maximum(x):
    a, b, c, d = _quarters(x)
    y = jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    first = jnp.where(a == y, 0, jnp.where(b == y, 1, jnp.where(c == y, 2, 3)))
    return first.astype(jnp.uint8)


def _max_pool_even_backward(first, dy):
    batch, height, width, channels = dy.shape
    members = jnp.arange(4, dtype=jnp.uint8).reshape(1, 1, 2, 1, 2, 1)
    here = first[:, :, None, :, None, :] == members
    dx = jnp.where(here, dy[:, :, None, :, None, :], 0)
    return (dx.reshape(batch, 2 * height, 2 * width, channels),)


_max_pool_even.defvjp(_max_pool_even_forward, _max_pool_even_backward)
