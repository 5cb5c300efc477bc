"""Second frames with known motion, and the loss on them, against NumPy and SciPy."""

import jax
import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
import scipy.ndimage

from nst_jax.train import synthetic_motion
from nst_jax.train.synthetic_motion import consistency_loss, draw_flows, make_second_frames

HEIGHT, WIDTH = 40, 56


@pytest.fixture(scope="module")
def images():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    return jnp.asarray(np.stack([made_clips.texture(y, x + 9 * n) for n in range(3)]))


@pytest.fixture(scope="module")
def flows():
    draw = jax.jit(lambda key: draw_flows(key, 200, height=HEIGHT, width=WIDTH))
    return np.asarray(draw(jax.random.key(0)))


def make(key, images):
    """Compiled anew, since constants are changed."""
    return jax.jit(lambda key, images: make_second_frames(key, images))(key, images)


def lose(key, images, stylized, paint):
    measure = jax.jit(consistency_loss, static_argnums=3)
    return measure(key, images, stylized, paint)


def kind_of(flow):
    """What a flow is, by its second differences: a shift, a zoom and turn, or a smooth warp."""
    bend = max(np.abs(np.diff(flow, 2, axis=axis)).max() for axis in (0, 1))
    slope = max(np.abs(np.diff(flow, axis=axis)).max() for axis in (0, 1))
    return "shift" if slope < 1e-4 else "affine" if bend < 1e-4 else "warp"


def test_kinds_of_motion_come_as_often_as_they_should(flows):
    kinds = [kind_of(flow) for flow in flows]
    shares = [kinds.count(kind) / len(kinds) for kind in ("warp", "shift", "affine")]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.1)
    assert len({flow.tobytes() for flow in flows}) > 190  # two shifts may be alike


def test_shifts_are_of_whole_pixels(flows):
    shifts = np.stack([flow[0, 0] for flow in flows if kind_of(flow) == "shift"])
    np.testing.assert_array_equal(shifts, np.round(shifts))
    assert np.abs(shifts).max() <= 16
    assert np.abs(shifts).max() > 10


def test_zooms_and_turns_are_similarities_about_the_middle(flows):
    found = [flow for flow in flows if kind_of(flow) == "affine"]
    for flow in found:
        across = flow[0, 1] - flow[0, 0] + [1, 0]  # the derivative of x + f(x)
        down = flow[1, 0] - flow[0, 0] + [0, 1]
        np.testing.assert_allclose(down, [-across[1], across[0]], atol=1e-4)
        factor, degrees = np.hypot(*across), np.degrees(np.arctan2(across[1], across[0]))
        assert 0.899 < factor < 1.101
        assert abs(degrees) < 5.01
        np.testing.assert_allclose(flow.mean((0, 1)), 0, atol=1e-3)


def test_smooth_warps_are_smooth(flows):
    found = [flow for flow in flows if kind_of(flow) == "warp"]
    slopes = [np.abs(np.diff(flow, axis=axis)).max() for flow in found for axis in (0, 1)]
    assert np.median(slopes) < 0.2
    spread = np.std([flow - flow.mean((0, 1)) for flow in found])
    assert 0.2 < spread < 4 / 256 * HEIGHT


def test_second_frames_are_the_photographs_moved(images, monkeypatch):
    monkeypatch.setattr(synthetic_motion, "_NOISE", 0.0)
    monkeypatch.setattr(synthetic_motion, "_LIGHT", 0.0)
    second = make(jax.random.key(1), images)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    for number, (frame, flow) in enumerate(
        zip(second.images, np.asarray(second.flow), strict=True)
    ):
        places = [np.floor(y + flow[..., 1] + 0.5), np.floor(x + flow[..., 0] + 0.5)]
        for channel in range(3):
            wanted = scipy.ndimage.map_coordinates(
                np.asarray(images[number, ..., channel]), places, order=0, mode="nearest"
            )
            np.testing.assert_allclose(frame[..., channel], wanted, atol=1e-6)
        inside = (y + flow[..., 1] >= 0) & (y + flow[..., 1] <= HEIGHT - 1)
        inside &= (x + flow[..., 0] >= 0) & (x + flow[..., 0] <= WIDTH - 1)
        np.testing.assert_array_equal(second.visible[number], inside)
    np.testing.assert_allclose(second.brightening, 0, atol=1e-6)


def test_light_and_noise_are_within_their_bounds(images):
    flat = jnp.full((40, HEIGHT, WIDTH, 3), 0.5)
    second = make(jax.random.key(2), flat)
    means, deviations = second.images.mean((1, 2, 3)) / 0.5, second.images.std((1, 2, 3))
    assert 0.89 < means.min() < 0.93
    assert 1.07 < means.max() < 1.11
    assert deviations.min() < 0.005
    assert 0.014 < deviations.max() < 0.021
    np.testing.assert_allclose(second.brightening[:, 0, 0, 0], 0.5 * (means - 1), atol=2e-3)
    assert float(images.max()) <= 1  # and no frame leaves the range
    bright = make(jax.random.key(2), jnp.ones_like(flat))
    assert float(bright.images.max()) <= 1


def test_the_loss_is_the_formula(images):
    key = jax.random.key(3)

    def paint(pictures):
        return 0.8 * pictures[..., ::-1] + 0.1

    stylized = paint(images)
    second = make(key, images)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    painted, total = np.asarray(paint(second.images)), 0.0
    for number, flow in enumerate(np.asarray(second.flow)):
        rows = np.clip(np.floor(y + flow[..., 1] + 0.5), 0, HEIGHT - 1).astype(int)
        columns = np.clip(np.floor(x + flow[..., 0] + 0.5), 0, WIDTH - 1).astype(int)
        wanted = np.asarray(stylized)[number][rows, columns] + second.brightening[number]
        gap = np.abs(painted[number] - wanted) * np.asarray(second.visible)[number][..., None]
        total += gap.sum()
    found = lose(key, images, stylized, paint)
    np.testing.assert_allclose(found, total / images.size, rtol=1e-4)


def test_a_picture_of_each_pixel_alone_is_consistent(images, monkeypatch):
    """What depends on a pixel's own value alone moves with it; a picture at rest does not."""
    monkeypatch.setattr(synthetic_motion, "_NOISE", 0.0)
    monkeypatch.setattr(synthetic_motion, "_LIGHT", 0.0)
    key = jax.random.key(4)
    found = lose(key, images, 1 - images, lambda pictures: 1 - pictures)
    np.testing.assert_allclose(found, 0, atol=1e-6)
    at_rest = lose(key, images, images, lambda pictures: images)
    assert at_rest > 0.05
