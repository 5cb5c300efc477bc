"""Warping, compared with SciPy, with sums written out, and with polynomials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads

from nst_jax.ops.warp import lands_inside, warp

SHAPE = (2, 13, 17, 3)


@pytest.fixture
def image():
    return jnp.asarray(np.random.default_rng(0).uniform(size=SHAPE), jnp.float32)


@pytest.fixture
def flow():
    """Displacements that also lead out of the picture, none of them halfway between pixels."""
    drawn = np.random.default_rng(1).uniform(-6, 6, (*SHAPE[:3], 2))
    return jnp.asarray(np.where(np.abs(drawn % 1 - 0.5) < 0.02, drawn + 0.1, drawn), jnp.float32)


def by_scipy(image, flow, order):
    found = np.empty(image.shape)
    rows, columns = np.mgrid[0 : image.shape[1], 0 : image.shape[2]]
    for b in range(image.shape[0]):
        places = [rows + np.asarray(flow[b, ..., 1]), columns + np.asarray(flow[b, ..., 0])]
        for c in range(image.shape[3]):
            found[b, ..., c] = scipy.ndimage.map_coordinates(
                np.asarray(image[b, ..., c], np.float64), places, order=order, mode="nearest"
            )
    return found


@pytest.mark.parametrize(("sampling", "order"), [("nearest", 0), ("bilinear", 1)])
def test_warping_is_scipys_interpolation(image, flow, sampling, order):
    found = warp(image, flow, sampling=sampling)
    np.testing.assert_allclose(found, by_scipy(image, flow, order), atol=2e-6)


@pytest.mark.parametrize("sampling", ["nearest", "bilinear", "cubic", "lanczos"])
def test_whole_displacements_move_pixels_as_they_are(image, sampling):
    flow = jnp.broadcast_to(jnp.array([2.0, -1.0]), (*SHAPE[:3], 2))
    found = warp(image, flow, sampling=sampling)
    np.testing.assert_allclose(found[:, 1:, :-2], image[:, :-1, 2:], atol=1e-6)


def test_the_cubic_kernel_is_exact_for_quadratics():
    y, x = np.mgrid[0:16, 0:16].astype(np.float64)

    def surface(y, x):
        return (0.01 * x**2 - 0.02 * x * y + 0.03 * y**2 + 0.1 * x - 0.2 * y + 0.3)[None, ..., None]

    flow = np.broadcast_to([0.3, -0.6], (1, 16, 16, 2))
    found = warp(jnp.asarray(surface(y, x), jnp.float32), jnp.asarray(flow), sampling="cubic")
    wanted = surface(y - 0.6, x + 0.3)
    np.testing.assert_allclose(found[:, 3:-3, 3:-3], wanted[:, 3:-3, 3:-3], rtol=1e-5)


def test_the_lanczos_kernel_is_the_product_of_two_sincs(image, flow):
    row, column, batch = 6, 8, 1
    x, y = column + float(flow[batch, row, column, 0]), row + float(flow[batch, row, column, 1])
    weights, total = 0.0, 0.0
    for i in range(int(np.floor(y)) - 2, int(np.floor(y)) + 4):
        for j in range(int(np.floor(x)) - 2, int(np.floor(x)) + 4):
            weight = np.sinc(y - i) * np.sinc((y - i) / 3) * np.sinc(x - j) * np.sinc((x - j) / 3)
            weights += weight
            total += weight * np.asarray(image[batch, np.clip(i, 0, 12), np.clip(j, 0, 16)])
    found = warp(image, flow, sampling="lanczos")[batch, row, column]
    np.testing.assert_allclose(found, total / weights, rtol=1e-4)


@pytest.mark.parametrize("sampling", ["cubic", "lanczos"])
def test_flat_pictures_stay_flat(flow, sampling):
    found = warp(jnp.full(SHAPE, 0.7), flow, sampling=sampling)
    np.testing.assert_allclose(found, 0.7, rtol=1e-5)


@pytest.mark.parametrize("sampling", ["bilinear", "cubic"])
def test_gradients_with_respect_to_picture_and_flow(sampling):
    draw = np.random.default_rng(2).uniform
    image = jnp.asarray(draw(size=(1, 6, 6, 1)), jnp.float32)
    # Fractions far from whole pixels, where the bilinear kernel has a corner.
    flow = jnp.asarray(draw(0.3, 0.7, (1, 6, 6, 2)), jnp.float32)
    check_grads(
        lambda image, flow: warp(jnp.asarray(image), jnp.asarray(flow), sampling=sampling),
        (image, flow),
        order=1,
        modes=["rev"],
        rtol=2e-2,
        eps=1e-2,
    )


def test_warping_goes_with_jit_and_vmap(image, flow):
    alone = jax.vmap(lambda image, flow: warp(image[None], flow[None])[0])(image, flow)
    np.testing.assert_allclose(jax.jit(warp)(image, flow), alone, atol=1e-6)


def test_what_lands_inside_is_counted_to_the_last_pixel():
    flow = np.zeros((1, 3, 4, 2), np.float32)
    flow[0, 0, 0] = (3, 2)  # the last pixel
    flow[0, 1, 1] = (2.1, 0)  # just beyond
    flow[0, 2, 2] = (0, -2.1)
    inside = np.ones((1, 3, 4), bool)
    inside[0, 1, 1] = inside[0, 2, 2] = False
    np.testing.assert_array_equal(lands_inside(jnp.asarray(flow)), inside)
