"""Winograd's minimal filtering: 3×3 convolutions with 4 products in place of 9 for each output.

nst_jax.convolution_on_cpu decides where it pays.

Reference: Lavin and Gray 2016, arXiv 1509.09308, section 4.1: F(2×2, 3×3).
"""

from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

_Maps = Float[Array, "_ _ _ _"]
_Kernel = Float[Array, "_ _ _ _"]

# At most so many tiles at a time, lest the products of large pictures fill the memory.
_TILES = 4096

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
# Of both axes at once, (16, 9): a kernel's tiles by column and row from its taps by row and column.
_G_G = np.einsum("ci,rj->crji", _G, _G).reshape(16, 9)


def convolve(x: _Maps, kernel: _Kernel, *, flipped: bool = False) -> _Maps:
    """3×3 zero-padded convolution in tiles of 2×2 outputs, each from 4×4 inputs.

    Y = Aᵀ ((G k Gᵀ) ⊙ (Bᵀ d B)) A for each tile d, its products summed over the channels. With
    flipped the kernel is turned over and its channels change places, as the gradient wants it: its
    tiles are then the same ones in another order, which XLA computes but once for both passes. A
    NaN reaches all of a tile, a position further than in a plain convolution.
    """
    # One product: sums of slices would be sixteen kernels to compile, and slower.
    kernel_tiles = jnp.asarray(_G_G, kernel.dtype) @ kernel.reshape(9, -1)
    kernel_tiles = kernel_tiles.reshape(16, *kernel.shape[2:])
    padded = _pad(x, before=1, after=1)
    rows = [
        _convolve_tiles(padded[:, first : last + 2], kernel_tiles, flipped)
        for first, last in _bands(x)
    ]
    y = rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=1)
    return y[:, : x.shape[1], : x.shape[2]]


def correlate(x: _Maps, dy: _Maps) -> _Kernel:
    """The gradient of convolve(x, kernel) with respect to its kernel, given that of its value.

    dk = Gᵀ (Σ (Bᵀ d B) ⊙ (A δ Aᵀ)) G, over the tiles d of x and δ of dy.
    """
    padded, dy = _pad(x, before=1, after=1), _pad(dy, before=0, after=0)
    products = sum(
        lax.dot_general(
            _input_tiles(padded[:, first : last + 2]),
            _gradient_tiles(dy[:, first:last]),
            (((1,), (1,)), ((0,), (0,))),
        )
        for first, last in _bands(x)
    )
    channels = x.shape[3], dy.shape[3]
    kernel = jnp.asarray(_G_G.T, dy.dtype) @ jnp.reshape(products, (16, -1))
    return kernel.reshape(3, 3, *channels)


def _pad(x, *, before: int, after: int):
    """Zeros around x, and on its far sides what an even number of rows and columns wants."""
    sides = [(before, after + x.shape[i] % 2) for i in (1, 2)]
    return jnp.pad(x, ((0, 0), *sides, (0, 0)))


def _bands(x) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of each band of x that is done at once."""
    batch, height, width, _ = x.shape
    rows, columns = -(-height // 2), -(-width // 2)
    at_once = max(1, _TILES // (batch * columns))
    for first in range(0, rows, at_once):
        yield 2 * first, 2 * min(first + at_once, rows)


def _convolve_tiles(padded, kernel_tiles, flipped: bool):
    """The convolution of a map of even sides that is padded by 1, given the kernel's tiles."""
    batch, height, width = padded.shape[0], padded.shape[1] - 2, padded.shape[2] - 2
    # Turned over, a kernel's first and last tap change places, and so do the tiles of either alone.
    order = (3, 1, 2, 0) if flipped else (0, 1, 2, 3)
    contracted = ((2,), (2 if flipped else 1,))
    products = lax.dot_general(
        _input_tiles(padded, order), kernel_tiles, (contracted, ((0,), (0,)))
    )
    products = products.reshape(4, 4, batch, height // 2, width // 2, -1)
    columns = _sum_of_four([products[i] for i in order], axis=4)
    rows = _sum_of_four([columns[i] for i in order], axis=2)
    return rows.reshape(batch, height, width, -1)


def _input_tiles(padded, order: Sequence[int] = (0, 1, 2, 3)):
    """Bᵀ d B of a map of even sides that is padded by 1: (16, tiles, channels)."""
    batch, height, width, channels = padded.shape
    pairs = padded.reshape(batch, height // 2, 2, width // 2, 2, channels)
    tiles = _four_of_pairs(pairs[:, :, 0], pairs[:, :, 1], axis=1, order=order)
    tiles = _four_of_pairs(tiles[:, :, :, :, 0], tiles[:, :, :, :, 1], axis=3, order=order)
    return tiles.reshape(16, -1, channels)


def _four_of_pairs(even, odd, *, axis: int, order: Sequence[int]):
    """Bᵀ d along an axis whose even and odd members are given, stacked in front in that order."""
    count = even.shape[axis] - 1
    first, third = (lax.slice_in_dim(even, i, i + count, axis=axis) for i in (0, 1))
    second, last = (lax.slice_in_dim(odd, i, i + count, axis=axis) for i in (0, 1))
    found = [first - third, second + third, third - second, second - last]
    return jnp.stack([found[i] for i in order])


def _sum_of_four(four, *, axis: int):
    """Aᵀ m along one axis, its two outputs stacked along another."""
    a, b, c, d = four
    return jnp.stack([a + b + c, b - c - d], axis=axis)


def _gradient_tiles(dy):
    """A δ Aᵀ of a map of even sides: (16, tiles, channels)."""
    batch, height, width, channels = dy.shape
    pairs = dy.reshape(batch, height // 2, 2, width // 2, 2, channels)
    tiles = _four_of_two(pairs[:, :, 0], pairs[:, :, 1])
    return _four_of_two(tiles[..., 0, :], tiles[..., 1, :]).reshape(16, -1, channels)


def _four_of_two(first, second):
    """A δ along an axis whose two members are given, stacked in front."""
    return jnp.stack([first, first + second, first - second, -second])
