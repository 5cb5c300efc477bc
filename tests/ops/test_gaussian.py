"""Gaussian means beside SciPy's: what counts where a window leaves the picture."""

import numpy as np
import pytest
import scipy.ndimage

from nst_jax.ops.gaussian import gaussian_mean, gaussian_mean_extended, gaussian_mean_inside

SIGMA = 1.5


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(3).random((2, 14, 19, 3), np.float32)


def filtered(pixels, mode, radius):
    return scipy.ndimage.gaussian_filter(
        pixels.astype(np.float64), SIGMA, mode=mode, radius=radius, axes=(1, 2)
    )


def test_what_lies_in_the_picture_counts(images):
    wanted = filtered(images, "constant", 4) / filtered(np.ones_like(images), "constant", 4)
    np.testing.assert_allclose(gaussian_mean(images, sigma=SIGMA), wanted, atol=1e-5)


def test_whole_windows_alone_count(images):
    wanted = filtered(images, "constant", 5)[:, 5:-5, 5:-5]
    found = gaussian_mean_inside(images, sigma=SIGMA, reach=5)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_edges_go_on(images):
    wanted = filtered(images, "nearest", 5)
    found = gaussian_mean_extended(images, sigma=SIGMA, reach=5)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
