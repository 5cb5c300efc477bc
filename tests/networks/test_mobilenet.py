"""Oracles: a mean over part of a map by hand; the published weights are in test_magenta.py."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures

from nst_jax.networks.mobilenet import MobilePredictor


@pytest.fixture(scope="module")
def predict():
    """Embeddings by a predictor of made weights, compiled once a shape."""
    module = MobilePredictor()
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    variables = jax.tree.map(jnp.asarray, made_arrays(shapes))
    return jax.jit(lambda paintings: module.apply(variables, jnp.asarray(paintings)))


@pytest.mark.slow
def test_a_mask_weighs_the_positions_of_the_mean(predict):
    # An embedding is affine in the mean of the last map, which has one position to either side.
    paintings = made_pictures(1, 32, 64, 3)
    left = np.zeros((1, 32, 64, 1), np.float32)
    left[:, :, :32] = 1

    def masked(mask):
        return np.asarray(predict(np.concatenate([paintings, mask], -1)))

    first, second = masked(left), masked(1 - left)
    assert first.shape == (1, 100)
    assert np.abs(first - second).max() > 1e-2
    np.testing.assert_allclose(predict(paintings), (first + second) / 2, atol=1e-4)
    mixed = masked(0.2 * left + 0.6 * (1 - left))
    np.testing.assert_allclose(mixed, 0.25 * first + 0.75 * second, atol=1e-4)


def test_paintings_of_other_sides_are_refused():
    message = "paintings: wanted sides that are multiples of 32 pixels, got shape (1, 32, 48, 3)"
    with pytest.raises(ValueError, match=re.escape(message)):
        MobilePredictor().apply({"params": {}}, jnp.zeros((1, 32, 48, 3)))
