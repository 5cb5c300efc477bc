"""How convolutions and their gradients are rearranged for the CPU.

nst_jax.ops.convolution decides when; everything here equals the plain `jax.lax` operation.

What is rearranged, and why (`python -m experiments.speed.gatys` measures it):

- An unpadded convolution is about three times slower than a zero-padded one. Reflection padding
  therefore convolves with zero padding and crops.
- Winograd's minimal filtering has 4 products in place of 9 for each output of a wide 3×3 layer, or
  in tiles of 4×4 outputs 36 in place of 144. On two AVX2 cores the latter take half of the plain
  convolution's time for 256 channels at 64², seven tenths for 128 at 256², the kernel's transform
  counted. But they round: what is 0 outside a region is no longer exactly so, and on flat ground,
  where max pooling's ties fall by the last bit, two programs may part. Tiles of 4×4
  therefore compute only values that are not differentiated, and kernels' gradients. Differentiated
  values use the 2×2 tiles, whose coefficients, but for the kernel's, are 0 and ±1. So a feature and
  its target may differ in the last bits.
- A large kernel on three channels keeps the processor's lanes empty: the picture is folded into
  blocks of 2×2 pixels, twelve channels, first.
- A fractionally strided convolution spends nine tenths of its gradient on zeros, and one of an
  enlarged map more than half of everything on repeated values: both are 2×2 convolutions to four
  times the channels, which are then unfolded.
- The gradient with respect to a kernel takes several times the convolution. For 3×3 kernels it is
  Winograd's products over the tiles, two to seven tenths of the time of nine products of x
  shifted and dy over positions, which it is elsewhere; where few channels come out, one product of
  x and all shifted dy side by side. In strided layers, and on the four times as many channels of
  the above, such products take a fifth to nine tenths of what XLA's gradient takes.
- bfloat16 operands gain nothing in XLA's convolution but double the rate of its matrix products,
  so wide 3×3 layers become products in that precision.
"""

from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax.ops import winograd
from nst_jax.ops.bilinear import Bilinear

Precision = Literal["float32", "bfloat16"]

_Maps = Float[Array, "_ _ _ _"]
_Kernel = Float[Array, "_ _ _ _"]

_NHWC = ("NHWC", "HWIO", "NHWC")
# Below this many channels on either side a product of bfloat16 operands no longer pays for the
# copies that it needs.
_WIDE = 256
# Where Winograd's products save more time than its sums cost: on one side this many channels, or
# fewer where the maps are small; and not where the kernel's transform would be most of the work.
_WINOGRAD_WIDE, _WINOGRAD_NARROW = 256, 128
_WINOGRAD_LEAST, _WINOGRAD_MOST_NARROW = 256, 12_800  # positions
# Tiles of 4×4 pay for the narrow ones too on maps of up to so many positions, and on all maps where
# the other side has so many channels.
_LARGE_TILES_MOST_NARROW, _LARGE_TILES_OTHER_SIDE = 20_000, 64
# From how many channels on, on both sides, the gradient of a kernel is faster by them.
_WINOGRAD_GRADIENT = 32
# Up to this many channels that come out a kernel's gradient is one product.
_FEW = 16
# Up to this many channels a large kernel is faster on blocks of pixels.
_THIN = 4


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def convolve_same(x: _Maps, kernel: _Kernel, precision: Precision) -> Any:
    """Zero-padded convolution of stride 1 by a kernel of odd sides, on the CPU."""
    # Not called where something is differentiated: there tiles must not round, see above.
    if not _by_products(kernel, precision) and _suits_large_tiles(x, kernel):
        return winograd.convolve(x, kernel, winograd.FOUR)
    return _SAME[precision](x, kernel)


@partial(convolve_same.defjvp, symbolic_zeros=True)
def _convolve_same_jvp(precision: Precision, primals, tangents):
    return _SAME[precision].jvp(primals, tangents)


def _convolve_to_differentiate(x, kernel, precision: Precision):
    if _by_products(kernel, precision):
        return _convolve_by_products(x, kernel)
    if _suits_small_tiles(x, kernel):
        return winograd.convolve(x, kernel, winograd.TWO)
    return _arrangement(x, kernel)(x, kernel)


def _input_gradient(kernel, dy, x, precision: Precision):
    del x  # as large as dy
    if not _by_products(kernel, precision) and _suits_small_tiles(dy, kernel):
        return winograd.convolve(dy, kernel, winograd.TWO, flipped=True)
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _convolve_to_differentiate(dy, turned, precision)


def _kernel_gradient(x, dy, kernel):
    """Σ_p x[p + u] dy[p] for each offset u of what has the kernel's shape.

    In float32 always: products of bfloat16 operands over positions gain nothing.
    """
    if _suits_tiled_gradient(x, kernel):
        return winograd.correlate(x, dy, winograd.FOUR)
    if _arrangement(x, kernel) is _convolve_directly:
        return _correlate(x, dy, kernel)
    blocks = _correlate(_fold(x), _fold(dy), jax.eval_shape(_block_kernel, kernel))
    return _transposed(_block_kernel, kernel)(blocks)


_SAME = {
    precision: Bilinear(
        value=partial(_convolve_to_differentiate, precision=precision),
        to_x=partial(_input_gradient, precision=precision),
        to_y=_kernel_gradient,
    )
    for precision in get_args(Precision)
}


def _transposed(function, operand):
    """The transpose of a linear function of what is like the operand."""
    transpose = jax.linear_transpose(function, operand)
    return lambda cotangent: transpose(cotangent)[0]


def _correlate(x, dy, kernel):
    """The gradient with respect to the kernel of _convolve_directly."""
    rows, columns, channels_in, channels_out = kernel.shape
    if channels_out <= _FEW and channels_out < channels_in:
        # (in, row, column, out): dy shifted the other way.
        found = _over_positions(x, jnp.concatenate(_shifted(dy, rows, columns), axis=-1))
        found = found.reshape(channels_in, rows, columns, channels_out)
        return found[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    if rows * columns <= 9:
        return _sum_products(_shifted(x, rows, columns), dy, kernel)
    return _transposed(partial(_convolve_directly, x), kernel)(dy)


def _shifted(x, rows: int, columns: int):
    """What each offset of a kernel of odd sides sees of x, zeros beyond its edges, in row order."""
    _, height, width, _ = x.shape
    around = ((0, 0), (rows // 2,) * 2, (columns // 2,) * 2, (0, 0))
    padded = jnp.pad(x, around)
    return [padded[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]


def _sum_products(seen, dy, kernel):
    """The gradient of a kernel, given what each of its offsets sees of x, in row order."""
    return jnp.stack([_over_positions(each, dy) for each in seen]).reshape(kernel.shape)


def _over_positions(x, y):
    """Σ_p x[p] y[p]ᵀ."""
    x, y = (each.reshape(-1, each.shape[-1]) for each in (x, y))
    return lax.dot_general(x, y, (((0,), (0,)), ((), ())))


def _arrangement(x, kernel):
    """The faster of the two ways to convolve in float32."""
    height, width = x.shape[1:3]
    *sides, channels_in, channels_out = kernel.shape
    thin = channels_in <= _THIN or (channels_out <= _THIN and channels_in <= 4 * _THIN)
    if thin and min(sides) >= 5 and height % 2 == 0 and width % 2 == 0:
        return _convolve_in_blocks
    return _convolve_directly


def _convolve_directly(x, kernel, *, stride: int = 1, padding: str = "SAME"):
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_NHWC)


def _by_products(kernel, precision: Precision) -> bool:
    *sides, channels_in, channels_out = kernel.shape
    return precision == "bfloat16" and sides == [3, 3] and min(channels_in, channels_out) >= _WIDE


def _suits_small_tiles(x, kernel) -> bool:
    """Whether tiles are faster, be it forwards or, with the channels in turn, backwards."""
    channels = max(kernel.shape[2:])
    small = channels >= _WINOGRAD_NARROW and _positions(x) <= _WINOGRAD_MOST_NARROW
    return _can_be_tiled(x, kernel) and (channels >= _WINOGRAD_WIDE or small)


def _suits_large_tiles(x, kernel) -> bool:
    """Whether tiles of 4×4 are faster than all else, where nothing is differentiated."""
    narrower, channels = sorted(kernel.shape[2:])
    pays = narrower >= _LARGE_TILES_OTHER_SIDE or _positions(x) <= _LARGE_TILES_MOST_NARROW
    wide = channels >= _WINOGRAD_WIDE or (channels >= _WINOGRAD_NARROW and pays)
    return _can_be_tiled(x, kernel) and wide


def _can_be_tiled(x, kernel) -> bool:
    """Whether tiles may be faster at all."""
    is_3_by_3 = kernel.shape[:2] == (3, 3)
    return is_3_by_3 and _positions(x) >= _WINOGRAD_LEAST and min(kernel.shape[2:]) >= _THIN


def _positions(x) -> int:
    batch, height, width, _ = x.shape
    return batch * height * width


def _suits_tiled_gradient(x, kernel) -> bool:
    """Whether the kernel's gradient is faster in tiles."""
    return _can_be_tiled(x, kernel) and min(kernel.shape[2:]) >= _WINOGRAD_GRADIENT


def _convolve_in_blocks(x, kernel):
    """The same on blocks of 2×2 pixels, whose pixels become channels."""
    return _unfold(_convolve_directly(_fold(x), _block_kernel(kernel)))


def _block_kernel(kernel):
    """An odd kernel as one on blocks of 2×2 pixels."""
    for axis in (0, 1):
        kernel = _to_blocks(kernel, axis)
    # (blocks, blocks, in, out, row in, row out, column in, column out)
    blocks, _, channels_in, channels_out = kernel.shape[:4]
    kernel = kernel.transpose(0, 1, 4, 6, 2, 5, 7, 3)
    return kernel.reshape(blocks, -1, 4 * channels_in, 4 * channels_out)


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


def convolve_halving(x: _Maps, kernel: _Kernel) -> Any:
    """Unpadded 3×3 convolution of stride 2, on the CPU."""
    return _HALVING(x, kernel)


def _halving_input_gradient(kernel, dy, x):
    dx = _spread(dy, kernel.swapaxes(2, 3))[:, 1 : 1 + x.shape[1], 1 : 1 + x.shape[2]]
    missing = ((0, max(0, x.shape[i] - dx.shape[i])) for i in (1, 2))  # that no window reached
    return jnp.pad(dx, ((0, 0), *missing, (0, 0)))


def _halving_kernel_gradient(x, dy, kernel):
    height, width = dy.shape[1:3]
    places = [(i, j) for i in range(3) for j in range(3)]
    seen = [x[:, i : i + 2 * height : 2, j : j + 2 * width : 2] for i, j in places]
    return _sum_products(seen, dy, kernel)


_HALVING = Bilinear(
    value=partial(_convolve_directly, stride=2, padding="VALID"),
    to_x=_halving_input_gradient,
    to_y=_halving_kernel_gradient,
)


def convolve_transposed(x: _Maps, kernel: _Kernel) -> _Maps:
    """Fractionally strided convolution by 3×3 or 4×4, of twice the sides."""
    if kernel.shape[0] == 4:
        return _spread_by_four(x, kernel)[:, 1:-1, 1:-1]
    return _spread(x, kernel)[:, 2:, 2:]


def upsample_convolve(x: _Maps, kernel: _Kernel, *, padding: str) -> _Maps:
    """3×3 convolution of x enlarged twice by repetition, padded by reflection or with zeros.

    Each output sees two neighbouring positions along either side, one of them twice. Reflecting an
    enlarged map repeats its edge: the small map is padded with its edge.
    """
    x = jnp.pad(
        x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge" if padding == "reflect" else "constant"
    )
    for axis in (0, 1):
        first, middle, last = jnp.split(kernel, 3, axis=axis)
        near = jnp.stack([first + middle, first], axis=-1)
        far = jnp.stack([last, middle + last], axis=-1)
        kernel = jnp.concatenate([near, far], axis=axis)
    return _unfold(_to_four_times_the_channels(x, kernel))[:, 1:-1, 1:-1]


def _spread(x, kernel):
    """y[2i + u − 1] += x[i] kernel[u] along both sides, its rows and columns counted from −2 on."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for axis in (0, 1):
        first, middle, last = jnp.split(kernel, 3, axis=axis)
        near = jnp.stack([middle, last], axis=-1)
        far = jnp.stack([jnp.zeros_like(first), first], axis=-1)
        kernel = jnp.concatenate([near, far], axis=axis)
    return _unfold(_to_four_times_the_channels(x, kernel))


def _spread_by_four(x, kernel):
    """The same by 4×4, its rows and columns counted from −1 on: each pair sees two positions."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for axis in (0, 1):
        first, second, third, last = jnp.split(kernel, 4, axis=axis)
        near = jnp.stack([third, last], axis=-1)
        far = jnp.stack([first, second], axis=-1)
        kernel = jnp.concatenate([near, far], axis=axis)
    return _unfold(_to_four_times_the_channels(x, kernel))


def _to_four_times_the_channels(x, kernel):
    """Unpadded convolution by (2, 2, in, out, row out, column out)."""
    channels_in, channels_out = kernel.shape[2:4]
    kernel = kernel.transpose(0, 1, 2, 4, 5, 3).reshape(2, 2, channels_in, 4 * channels_out)
    return _TWO_BY_TWO(x, kernel)


_convolve_two_by_two = partial(_convolve_directly, padding="VALID")


def _two_by_two_input_gradient(kernel, dy, x):
    return _transposed(partial(_convolve_two_by_two, kernel=kernel), x)(dy)


def _two_by_two_kernel_gradient(x, dy, kernel):
    height, width = dy.shape[1:3]
    # Side by side, not one by one: at 256 channels half the time, elsewhere a little more.
    seen = [x[:, i : i + height, j : j + width] for i in range(2) for j in range(2)]
    return _over_positions(jnp.concatenate(seen, axis=-1), dy).reshape(kernel.shape)


_TWO_BY_TWO = Bilinear(
    value=_convolve_two_by_two,
    to_x=_two_by_two_input_gradient,
    to_y=_two_by_two_kernel_gradient,
)


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
