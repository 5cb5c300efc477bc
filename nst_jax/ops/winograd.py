"""Winograd's minimal filtering: 3×3 convolutions with fewer products for each output.

A tile of m×m outputs is taken from (m+2)×(m+2) inputs, by polynomials of degree m + 1 that are
evaluated at m + 1 points and at infinity along each axis: (m+2)² products in place of 9 m².

- TWO, m = 2 at 0, ±1: all coefficients but the kernel's are 0 or ±1, so that two programs that
  compute the same thing agree to the last bit more often than not.
- FOUR, m = 4 at 0, ±p, ±q: a little over half of TWO's products, and rounding about three times as
  large. At the usual points, ±1 and ±2, the largest errors are some four times those at p = 2/3 and
  q = 3/2, which were the smallest of a dozen pairs tried on 256 channels of normal numbers.

nst_jax.ops.convolution_on_cpu decides where they pay.

Reference: Lavin and Gray 2016, arXiv 1509.09308, sections 4.1 and 4.3: F(2×2, 3×3), and
F(4×4, 3×3) at other points.
"""

import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

_Maps = Float[Array, "_ _ _ _"]
_Kernel = Float[Array, "_ _ _ _"]


@dataclass(frozen=True, eq=False)
class Tiling:
    """How tiles of one size are computed along an axis: y = Aᵀ ((G k) ⊙ (Bᵀ d))."""

    side: int
    """A tile's outputs, m."""
    inputs: Float[np.ndarray, "values values"]
    """Bᵀ, (m + 2, m + 2)."""
    kernels: Float[np.ndarray, "values 3"]
    """G, (m + 2, 3)."""
    outputs: Float[np.ndarray, "side values"]
    """Aᵀ, (m, m + 2)."""
    turned: tuple[int, ...]
    """Which value of a kernel each value of the kernel turned over is: that at 0 is the one at
    infinity, and that at a point the one at its inverse."""
    at_once: int
    """At most so many tiles times channels at a time, lest those of large pictures fill the memory.
    Every such part is compiled by itself, so that a few large ones are also sooner ready."""

    @property
    def plain(self) -> tuple[int, ...]:
        """The order of the values of a kernel that is not turned over."""
        return tuple(range(self.side + 2))

    @property
    def taps(self) -> Float[np.ndarray, "_ 9"]:
        """G ⊗ G: a kernel's tiles, by column and row, from its taps by row and column."""
        both = np.einsum("ci,rj->crji", self.kernels, self.kernels)
        return both.reshape((self.side + 2) ** 2, 9).astype(np.float32)


TWO = Tiling(
    side=2,
    inputs=np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    kernels=np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    outputs=np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]]),
    turned=(3, 1, 2, 0),
    at_once=2**20,
)


def _tile_by_four(p: float) -> Tiling:
    """Tiles of 4×4 outputs at 0, ±p, ±q and infinity, with p q = 1."""
    q = 1 / p
    squares = p**2 + q**2
    # What Lagrange's polynomials of ±p and ±q are divided by.
    p_share, q_share = 1 / (2 * p * (p**2 - q**2)), 1 / (2 * q * (q**2 - p**2))
    finite = ((p_share, p), (p_share, -p), (q_share, q), (q_share, -q))
    return Tiling(
        side=4,
        inputs=np.array(
            [
                [1, 0, -squares, 0, 1, 0],
                *([0, -s * q, -(q**2), s * p, 1, 0] for s in (1, -1)),
                *([0, -s * p, -(p**2), s * q, 1, 0] for s in (1, -1)),
                [0, 1, 0, -squares, 0, 1],
            ]
        ),
        kernels=np.array([[1, 0, 0], [q, 1, p], [q, -1, p], [p, 1, q], [p, -1, q], [0, 0, 1]]),
        outputs=np.array(
            [[k == 0, *(share * x**k for share, x in finite), k == 3] for k in range(4)]
        ),
        turned=(5, 3, 4, 1, 2, 0),
        at_once=2**19,
    )


FOUR = _tile_by_four(2 / 3)


def convolve(x: _Maps, kernel: _Kernel, tiling: Tiling, *, flipped: bool = False) -> _Maps:
    """3×3 zero-padded convolution in tiles.

    Y = Aᵀ ((G k Gᵀ) ⊙ (Bᵀ d B)) A for each tile d, its products summed over the channels. With
    flipped the kernel is turned over and its channels change places, as the gradient wants it: its
    tiles are then the same ones in another order, which XLA computes but once for both passes. A
    NaN reaches the positions that it does in a plain convolution, and in FOUR up to two further.
    """
    # One product: sums of slices would be dozens of kernels to compile, and slower.
    kernel_tiles = jnp.asarray(tiling.taps, kernel.dtype) @ kernel.reshape(9, -1)
    kernel_tiles = kernel_tiles.reshape(-1, *kernel.shape[2:])
    padded = _pad(x, tiling, halo=True)
    rows = [
        _convolve_tiles(padded[:, first : last + tiling.side], kernel_tiles, tiling, flipped)
        for first, last in _bands(x, tiling, channels=max(kernel.shape[2:]))
    ]
    y = rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=1)
    return y[:, : x.shape[1], : x.shape[2]]


def correlate(x: _Maps, dy: _Maps, tiling: Tiling) -> _Kernel:
    """The gradient of convolve(x, kernel) with respect to its kernel, given that of its value.

    dk = Gᵀ (Σ (Bᵀ d B) ⊙ (A δ Aᵀ)) G, over the tiles d of x and δ of dy.
    """
    channels = x.shape[3], dy.shape[3]
    padded, dy = _pad(x, tiling, halo=True), _pad(dy, tiling, halo=False)
    products = sum(
        lax.dot_general(
            _input_tiles(padded[:, first : last + tiling.side], tiling, tiling.plain),
            _gradient_tiles(dy[:, first:last], tiling),
            (((1,), (1,)), ((0,), (0,))),
        )
        for first, last in _bands(x, tiling, channels=max(channels))
    )
    taps = jnp.asarray(tiling.taps.T, dy.dtype)
    kernel = taps @ jnp.reshape(products, (taps.shape[1], -1))
    return kernel.reshape(3, 3, *channels)


def _pad(x, tiling: Tiling, *, halo: bool):
    """Zeros on the far sides of x for a whole number of tiles, and with a halo for their inputs."""
    before, after = (1, tiling.side - 1) if halo else (0, 0)
    sides = [(before, after + -x.shape[i] % tiling.side) for i in (1, 2)]
    return jnp.pad(x, ((0, 0), *sides, (0, 0)))


def _bands(x, tiling: Tiling, *, channels: int) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of each band of x that is done at once."""
    batch, height, width, _ = x.shape
    rows, columns = -(-height // tiling.side), -(-width // tiling.side)
    at_once = max(1, tiling.at_once // (batch * columns * channels))
    for first in range(0, rows, at_once):
        yield tiling.side * first, tiling.side * min(first + at_once, rows)


def _convolve_tiles(padded, kernel_tiles, tiling: Tiling, flipped: bool):
    """The convolution of a map of whole tiles, padded, given the kernel's tiles."""
    side, values = tiling.side, tiling.side + 2
    batch, height, width = padded.shape[0], padded.shape[1] - side, padded.shape[2] - side
    order = tiling.turned if flipped else tiling.plain
    contracted = ((2,), (2 if flipped else 1,))
    products = lax.dot_general(
        _input_tiles(padded, tiling, order), kernel_tiles, (contracted, ((0,), (0,)))
    )
    products = products.reshape(values, values, batch, height // side, width // side, -1)
    columns = jnp.stack(_combine(tiling.outputs, [products[i] for i in order]), axis=4)
    rows = jnp.stack(_combine(tiling.outputs, [columns[i] for i in order]), axis=2)
    return rows.reshape(batch, height, width, -1)


def _input_tiles(padded, tiling: Tiling, order: Sequence[int]):
    """Bᵀ d B of a map of whole tiles, padded, in that order: ((m + 2)², tiles, channels)."""
    side = tiling.side
    batch, height, width, channels = padded.shape
    members = padded.reshape(batch, height // side, side, width // side, side, channels)
    matrix = tiling.inputs[list(order)]

    def along(members, axis: int):
        count = members[0].shape[axis] - 1
        seen = [lax.slice_in_dim(every, 0, count, axis=axis) for every in members]
        seen += [lax.slice_in_dim(every, 1, count + 1, axis=axis) for every in members[:2]]
        return jnp.stack(_combine(matrix, seen))

    tiles = along([members[:, :, i] for i in range(side)], axis=1)
    tiles = along([tiles[:, :, :, :, i] for i in range(side)], axis=3)
    return tiles.reshape((side + 2) ** 2, -1, channels)


def _gradient_tiles(dy, tiling: Tiling):
    """A δ Aᵀ of a map of whole tiles: ((m + 2)², tiles, channels)."""
    side = tiling.side
    batch, height, width, channels = dy.shape
    members = dy.reshape(batch, height // side, side, width // side, side, channels)
    tiles = jnp.stack(_combine(tiling.outputs.T, [members[:, :, i] for i in range(side)]))
    tiles = jnp.stack(_combine(tiling.outputs.T, [tiles[..., i, :] for i in range(side)]))
    return tiles.reshape((side + 2) ** 2, -1, channels)


def _combine(matrix: np.ndarray, members: Sequence) -> list:
    """The products of a small matrix's rows with arrays; what is 0 or 1 is not multiplied."""
    return [
        functools.reduce(
            operator.add,
            [_times(float(share), each) for share, each in zip(row, members, strict=True) if share],
        )
        for row in matrix
    ]


def _times(share: float, x):
    return x if share == 1 else -x if share == -1 else share * x
