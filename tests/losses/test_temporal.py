"""Oracle: the published sums, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nst_jax import losses


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    image, warped = rng.uniform(size=(2, 2, 5, 7, 3)).astype(np.float32)
    return image, warped, rng.uniform(size=(2, 5, 7)).astype(np.float32)


@pytest.mark.parametrize(
    ("loss", "distance"),
    [
        (losses.temporal_loss, np.square),
        (losses.absolute_temporal_loss, np.abs),
    ],
)
def test_the_divisor_counts_what_is_masked_out(pictures, loss, distance):
    image, warped, visible = pictures
    wanted = 0.0
    for place in np.ndindex(visible.shape):
        wanted += visible[place] * distance(image[place] - warped[place]).sum()
    wanted /= image.size
    given = [jnp.asarray(each) for each in pictures]
    np.testing.assert_allclose(loss(*given), wanted, rtol=1e-5)
    np.testing.assert_allclose(loss(given[0], given[0], given[2]), 0, atol=0)
    hidden = jnp.zeros_like(given[2])
    np.testing.assert_allclose(loss(given[0], given[1], hidden), 0, atol=0)


def test_gradients(pictures):
    image, warped, visible = (jnp.asarray(each) for each in pictures)

    def loss(x):
        return losses.temporal_loss(jnp.asarray(x), warped, visible)

    check_grads(loss, (image,), order=1, rtol=0.02)
    found = jax.grad(lambda x: losses.absolute_temporal_loss(x, warped, visible))(image)
    wanted = np.sign(image - warped) * visible[..., None] / image.size
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    at_rest = jax.grad(lambda x: losses.absolute_temporal_loss(x, image, visible))(image)
    assert np.isfinite(at_rest).all()
