"""Cuts, and what is none: motion, light, noise."""

import made_clips
import numpy as np

from nst_jax.ops.cuts import is_cut


def test_scenes_of_different_colours_are_cut_apart():
    first, second, _ = made_clips.moved(made_clips.pan(2, 1))
    other = (0.3 * second[..., ::-1] + [0.1, 0.5, 0.2]).astype(np.float32)
    assert is_cut(first, other)
    assert is_cut(other, first)


def test_motion_light_and_noise_are_no_cuts():
    first, fast, _ = made_clips.moved(made_clips.pan(15, 9))
    assert np.abs(fast - first).mean() > 0.12
    assert not is_cut(first, fast)
    assert not is_cut(first, 0.85 * first)
    noise = np.random.default_rng(0).normal(0, 0.05, first.shape).astype(np.float32)
    assert not is_cut(first, first + noise)
    assert not is_cut(first, first)
