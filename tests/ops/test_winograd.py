"""Convolutions in tiles against float64; where they are used is tested with the convolutions."""

import convolution_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracle import allowed, made, relative_error, winograd_condition

from nst_jax.ops import winograd

TILINGS = pytest.mark.parametrize("tiling", [winograd.TWO, winograd.FOUR], ids=["two", "four"])


@TILINGS
def test_tiles_lose_what_float32_must(tiling):
    x, kernel = made(1, 32, 32, 256, seed=0), made(3, 3, 256, 64, seed=1)
    dy = made(1, 32, 32, 64, seed=2)
    y, dx, dkernel, _ = oracle.convolution(x, kernel, np.zeros(64), dy)
    tiles = (32 // tiling.side) ** 2
    condition = winograd_condition(tiling)

    @jax.jit
    def program(x, kernel, dy):
        return (
            winograd.convolve(x, kernel, tiling),
            winograd.convolve(dy, kernel, tiling, flipped=True),
            winograd.correlate(x, dy, tiling),
        )

    products = {"y": 256, "dx": 64, "dk": tiles}
    for mine, wanted, name in zip(program(x, kernel, dy), (y, dx, dkernel), products, strict=True):
        assert relative_error(mine, wanted) < allowed(products[name], condition=condition), name


@pytest.mark.parametrize(("tiling", "condition"), [(winograd.TWO, 5 / 3), (winograd.FOUR, 4.762)])
def test_how_much_tiles_magnify_rounding(tiling, condition):
    """By hand for TWO, where each output is 2 (1 + 0.75 + 0.75) and a plain one 3."""
    assert winograd_condition(tiling) == pytest.approx(condition, rel=1e-4)


@pytest.mark.parametrize(("tiling", "further"), [(winograd.TWO, 0), (winograd.FOUR, 2)])
def test_nan_spreads_at_most_so_far_in_tiles(tiling, further):
    places = [(8, 8), (5, 10), (7, 7)]
    x = jnp.zeros((len(places), 16, 16, 4))
    for picture, place in enumerate(places):
        x = x.at[picture, *place, 1].set(jnp.nan)
    program = jax.jit(lambda x, kernel: winograd.convolve(x, kernel, tiling))
    y = np.asarray(program(x, made(3, 3, 4, 4, seed=0)))
    for picture, place in enumerate(places):
        reached = np.argwhere(np.isnan(y[picture]).any(-1)) - place
        assert len(reached) >= 9
        assert np.abs(reached).max() <= 1 + further
