"""Curves of L-BFGS: how long they are, and how steps are counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_pictures

from experiments.common import descent
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import make_transformation


def quadratic(image):
    return 0.5 * (image**2).sum(), {"content": jnp.zeros(())}


@pytest.mark.parametrize(("least", "length"), [(1, (2, 5)), (9, (10, 13))])
def test_a_curve_is_long_enough_and_ends_where_it_should(least, length):
    evaluate = jax.jit(jax.value_and_grad(quadratic, has_aux=True))
    tx = make_transformation("lbfgs", learning_rate=1.0, history=5)
    image = jnp.asarray(made_pictures(1, 4, 6, 3))
    reports = descent.descend(
        make_optimizer(evaluate, tx),
        image,
        (),
        1e9,
        descent.Limits(least, 40),
    )
    totals = [report.total for report in reports]
    assert [report.step for report in reports] == list(range(len(totals)))
    assert length[0] <= len(totals) <= length[1]
    pixels = np.asarray(image, np.float64)
    first = 1 - 1 / np.abs(pixels).sum()
    wanted = 0.5 * (pixels**2).sum() * np.array([1, first**2])
    np.testing.assert_allclose(totals[:2], wanted, rtol=1e-5)


def test_a_curve_ends_where_the_loss_diverges():
    def evaluate(image):
        total = jnp.where(jnp.abs(image).max() < 0.5, jnp.nan, 1.0)
        return (total, {}), image / jnp.abs(image).max()

    tx = make_transformation("lbfgs", learning_rate=1.0, history=5)
    reports = descent.descend(
        make_optimizer(jax.jit(evaluate), tx),
        jnp.full((1, 1, 1, 3), 0.6),
        (),
        0.0,
        descent.Limits(5, 40),
    )
    # At once below 0.5; begun anew, in steps of 0.05, two are left.
    assert [report.total for report in reports] == [1.0, 1.0, 1.0]


def test_steps_are_counted_to_the_first_loss_that_is_low_enough():
    first_step_at = descent.first_step_at
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 3.0) == 1
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 6.0) == 0
    assert first_step_at([5.0, 3.0, 4.0, 2.0], 1.0) is None
