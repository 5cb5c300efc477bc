"""Oracle: the mean of a slice, position by position, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.ops.moving_mean import moving_mean


@pytest.mark.parametrize("side", [1, 3, 10])
def test_each_position_has_the_mean_around_it(side):
    x = np.random.default_rng(0).random((2, 13, 11, 3), np.float32)
    found = np.asarray(jax.jit(moving_mean, static_argnums=1)(jnp.asarray(x), side))
    before, after = (side - 1) // 2, side // 2
    for i, j in np.ndindex(13, 11):
        rows = slice(max(i - before, 0), i + after + 1)
        columns = slice(max(j - before, 0), j + after + 1)
        wanted = np.float64(x[:, rows, columns]).mean((1, 2))
        np.testing.assert_allclose(found[:, i, j], wanted, rtol=1e-4)
