"""Winograd's minimal filtering: 3×3 convolutions with 36 products in place of 144 for 16 outputs.

nst_jax.convolution_on_cpu decides where it pays.

A tile of 4×4 outputs is taken from 6×6 inputs, by polynomials that are evaluated at 0, ±p, ±q and
infinity along each axis. The usual points, ±1 and ±2, lose four times as many digits as p = 2/3 and
q = 3/2 do, whose largest errors are the smallest of a dozen pairs tried. As p q = 1, turning a
kernel over merely changes the places of its values, and no sum of the below has more than three
coefficients.

Reference: Lavin and Gray 2016, arXiv 1509.09308, section 4.3: F(4×4, 3×3), at other points.
"""

from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

_Maps = Float[Array, "_ _ _ _"]
_Kernel = Float[Array, "_ _ _ _"]

# At most so many tiles at a time, lest the products of large pictures fill the memory.
_TILES = 2048

_SIDE = 4  # of a tile's outputs
_P, _Q = 2 / 3, 3 / 2
# What Lagrange's polynomials of ±p and ±q are divided by.
_SHARE_P, _SHARE_Q = 1 / (2 * _P * (_P**2 - _Q**2)), 1 / (2 * _Q * (_Q**2 - _P**2))
_G = np.array([[1, 0, 0], [_Q, 1, _P], [_Q, -1, _P], [_P, 1, _Q], [_P, -1, _Q], [0, 0, 1]])
# Of both axes at once, (36, 9): a kernel's tiles by column and row from its taps by row and column.
_G_G = np.einsum("ci,rj->crji", _G, _G).reshape(36, 9).astype(np.float32)
# Turned over, a kernel's value at 0 is the one at infinity, and that at p the one at q.
_PLAIN, _FLIPPED = (0, 1, 2, 3, 4, 5), (5, 3, 4, 1, 2, 0)


def convolve(x: _Maps, kernel: _Kernel, *, flipped: bool = False) -> _Maps:
    """3×3 zero-padded convolution in tiles of 4×4 outputs, each from 6×6 inputs.

    Y = Aᵀ ((G k Gᵀ) ⊙ (Bᵀ d B)) A for each tile d, its products summed over the channels. With
    flipped the kernel is turned over and its channels change places, as the gradient wants it: its
    tiles are then the same ones in another order, which XLA computes but once for both passes. A
    NaN reaches all of a tile, up to three positions further than in a plain convolution.
    """
    # One product: sums of slices would be dozens of kernels to compile, and slower.
    kernel_tiles = jnp.asarray(_G_G, kernel.dtype) @ kernel.reshape(9, -1)
    kernel_tiles = kernel_tiles.reshape(36, *kernel.shape[2:])
    padded = _pad(x, before=1, after=3)
    rows = [
        _convolve_tiles(padded[:, first : last + _SIDE], kernel_tiles, flipped)
        for first, last in _bands(x)
    ]
    y = rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=1)
    return y[:, : x.shape[1], : x.shape[2]]


def correlate(x: _Maps, dy: _Maps) -> _Kernel:
    """The gradient of convolve(x, kernel) with respect to its kernel, given that of its value.

    dk = Gᵀ (Σ (Bᵀ d B) ⊙ (A δ Aᵀ)) G, over the tiles d of x and δ of dy.
    """
    padded, dy = _pad(x, before=1, after=3), _pad(dy, before=0, after=0)
    products = sum(
        lax.dot_general(
            _input_tiles(padded[:, first : last + _SIDE]),
            _gradient_tiles(dy[:, first:last]),
            (((1,), (1,)), ((0,), (0,))),
        )
        for first, last in _bands(x)
    )
    channels = x.shape[3], dy.shape[3]
    kernel = jnp.asarray(_G_G.T, dy.dtype) @ jnp.reshape(products, (36, -1))
    return kernel.reshape(3, 3, *channels)


def _pad(x, *, before: int, after: int):
    """Zeros around x, and on its far sides what a whole number of tiles wants."""
    sides = [(before, after + -x.shape[i] % _SIDE) for i in (1, 2)]
    return jnp.pad(x, ((0, 0), *sides, (0, 0)))


def _bands(x) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of each band of x that is done at once."""
    batch, height, width, _ = x.shape
    rows, columns = -(-height // _SIDE), -(-width // _SIDE)
    at_once = max(1, _TILES // (batch * columns))
    for first in range(0, rows, at_once):
        yield _SIDE * first, _SIDE * min(first + at_once, rows)


def _convolve_tiles(padded, kernel_tiles, flipped: bool):
    """The convolution of a map of whole tiles, padded by 1 before and 3 after."""
    batch, height, width = padded.shape[0], padded.shape[1] - _SIDE, padded.shape[2] - _SIDE
    order = _FLIPPED if flipped else _PLAIN
    contracted = ((2,), (2 if flipped else 1,))
    products = lax.dot_general(
        _input_tiles(padded, order), kernel_tiles, (contracted, ((0,), (0,)))
    )
    products = products.reshape(6, 6, batch, height // _SIDE, width // _SIDE, -1)
    columns = _four_of_six([products[i] for i in order], axis=4)
    rows = _four_of_six([columns[i] for i in order], axis=2)
    return rows.reshape(batch, height, width, -1)


def _input_tiles(padded, order: Sequence[int] = _PLAIN):
    """Bᵀ d B of a map of whole tiles, padded by 1 before and 3 after: (36, tiles, channels)."""
    batch, height, width, channels = padded.shape
    fours = padded.reshape(batch, height // _SIDE, _SIDE, width // _SIDE, _SIDE, channels)
    tiles = _six_of_fours([fours[:, :, i] for i in range(_SIDE)], axis=1, order=order)
    tiles = _six_of_fours([tiles[:, :, :, :, i] for i in range(_SIDE)], axis=3, order=order)
    return tiles.reshape(36, -1, channels)


def _six_of_fours(fours: Sequence, *, axis: int, order: Sequence[int]):
    """Bᵀ d along an axis that is given by every fourth member, stacked in front in that order."""
    count = fours[0].shape[axis] - 1
    a, b, c, d = (lax.slice_in_dim(every, 0, count, axis=axis) for every in fours)
    e, f = (lax.slice_in_dim(every, 1, count + 1, axis=axis) for every in fours[:2])
    p_even, p_odd = e - _Q**2 * c, _P * d - _Q * b
    q_even, q_odd = e - _P**2 * c, _Q * d - _P * b
    squares = _P**2 + _Q**2
    found = [
        a - squares * c + e,
        p_even + p_odd,
        p_even - p_odd,
        q_even + q_odd,
        q_even - q_odd,
        b - squares * d + f,
    ]
    return jnp.stack([found[i] for i in order])


def _four_of_six(six: Sequence, *, axis: int):
    """Aᵀ m along one axis, its four outputs stacked along another."""
    zero, p, minus_p, q, minus_q, infinity = six
    p_even, p_odd = _SHARE_P * (p + minus_p), _SHARE_P * (p - minus_p)
    q_even, q_odd = _SHARE_Q * (q + minus_q), _SHARE_Q * (q - minus_q)
    return jnp.stack(
        [
            zero + p_even + q_even,
            _P * p_odd + _Q * q_odd,
            _P**2 * p_even + _Q**2 * q_even,
            _P**3 * p_odd + _Q**3 * q_odd + infinity,
        ],
        axis=axis,
    )


def _gradient_tiles(dy):
    """A δ Aᵀ of a map of whole tiles: (36, tiles, channels)."""
    batch, height, width, channels = dy.shape
    fours = dy.reshape(batch, height // _SIDE, _SIDE, width // _SIDE, _SIDE, channels)
    tiles = _six_of_four([fours[:, :, i] for i in range(_SIDE)])
    return _six_of_four([tiles[..., i, :] for i in range(_SIDE)]).reshape(36, -1, channels)


def _six_of_four(four: Sequence):
    """A δ along an axis whose four members are given, stacked in front."""
    a, b, c, d = four
    p_even, p_odd = _SHARE_P * (a + _P**2 * c), _SHARE_P * (_P * b + _P**3 * d)
    q_even, q_odd = _SHARE_Q * (a + _Q**2 * c), _SHARE_Q * (_Q * b + _Q**3 * d)
    return jnp.stack([a, p_even + p_odd, p_even - p_odd, q_even + q_odd, q_even - q_odd, d])
