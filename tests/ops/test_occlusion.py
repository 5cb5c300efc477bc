"""Masks of what can be had from another frame, on motions whose occlusion is known."""

import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
import scipy.ndimage

from nst_jax.ops.occlusion import (
    has_central_boundary,
    has_forward_boundary,
    is_consistent,
    visibility,
)

CONVENTIONS = ("ruder2016", "ruder2018", "lai2018")


def visible(flow, opposite, convention):
    found = visibility(jnp.asarray(flow[None]), jnp.asarray(opposite[None]), convention=convention)
    return np.asarray(found[0])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_a_moving_square_uncovers_is_masked(convention):
    _, _, backward, forward, uncovered = made_clips.cut_out()
    mask = visible(backward, forward, convention)
    assert mask[uncovered].max() == 0
    np.testing.assert_allclose(mask[:9], 1, atol=1e-6)  # above the square
    inside = mask[20:28, 30:38]  # of the square
    np.testing.assert_allclose(inside, 1, atol=1e-6)


def test_motion_boundaries_count_where_the_convention_says_so():
    _, _, backward, forward, _ = made_clips.cut_out()
    front = (24, 44)  # the first column that the square does not cover yet
    assert visible(backward, forward, "lai2018")[24, 43] == 0
    assert visible(backward, forward, "ruder2016")[front] < 0.6
    assert visible(backward, forward, "ruder2018")[front] == 1


@pytest.mark.parametrize(("convention", "first"), [("ruder2016", 7), ("ruder2018", 8)])
def test_what_comes_from_outside_is_masked(convention, first):
    """Five columns, and what smoothing over two pixels or a minimum over three adds to them."""
    flow = np.broadcast_to(np.array([-5, 0], np.float32), (32, 40, 2))
    mask = visible(flow, -flow, convention)
    assert mask[16, :3].max() == 0
    assert mask[16, first - 1] < 1
    np.testing.assert_allclose(mask[16, first:], 1, atol=1e-6)


def test_lais_edges_go_on():
    flow = np.broadcast_to(np.array([-5, 0], np.float32), (32, 40, 2))
    assert visible(flow, -flow, "lai2018").min() == 1


def test_consistency_is_equation_5():
    rng = np.random.default_rng(0)
    flow = rng.integers(-2, 3, (12, 14, 2)).astype(np.float32)
    opposite = rng.uniform(-2.5, 2.5, (12, 14, 2)).astype(np.float32)
    found = is_consistent(jnp.asarray(flow[None]), jnp.asarray(opposite[None]))[0]
    wanted = np.empty((12, 14), bool)
    for y in range(12):
        for x in range(14):
            w = flow[y, x]
            there = (np.clip(y + int(w[1]), 0, 11), np.clip(x + int(w[0]), 0, 13))
            back = opposite[there]
            gap = np.sum((w + back) ** 2)
            wanted[y, x] = gap < 0.01 * (np.sum(w**2) + np.sum(back**2)) + 0.5
    np.testing.assert_array_equal(found, wanted)
    assert 0.05 < wanted.mean() < 0.95


def test_boundaries_are_equation_6_by_two_kinds_of_differences():
    flow = np.zeros((8, 10, 2), np.float32)
    flow[:, 5:, 1] = 0.06  # ahead of the edge: forward differences see 0.06, central ones 0.03
    central = np.asarray(has_central_boundary(jnp.asarray(flow[None])))[0]
    forward = np.asarray(has_forward_boundary(jnp.asarray(flow[None])))[0]
    assert not central.any()
    assert forward[:, 4].all()
    assert forward.sum() == 8
    flow[:, 5:, 1] = 0.1  # 0.0025 > 0.002 + 0.01 · 0.1² at both sides of the edge
    central = np.asarray(has_central_boundary(jnp.asarray(flow[None])))[0]
    assert central[:, 4:6].all()
    assert central.sum() == 16


def test_the_mask_of_2016_is_smoothed_outwards_from_occlusions():
    """Against the same steps by SciPy."""
    flow = np.zeros((24, 24, 2), np.float32)
    opposite = np.zeros_like(flow)
    opposite[10:13, 8:14] = (9, 9)
    raw = np.ones((24, 24))
    raw[10:13, 8:14] = -1
    wanted = scipy.ndimage.gaussian_filter(raw, 0.8, mode="nearest", truncate=2.5).clip(0, 1)
    np.testing.assert_allclose(visible(flow, opposite, "ruder2016"), wanted, atol=1e-6)


def test_the_mask_of_2018_is_eroded_by_a_square_of_7():
    flow = np.zeros((24, 24, 2), np.float32)
    opposite = np.zeros_like(flow)
    opposite[2, 8] = opposite[16, 20] = (9, 9)
    raw = np.ones((24, 24))
    raw[2, 8] = raw[16, 20] = 0
    wanted = scipy.ndimage.minimum_filter(raw, 7, mode="constant", cval=1)
    np.testing.assert_array_equal(visible(flow, opposite, "ruder2018"), wanted)
