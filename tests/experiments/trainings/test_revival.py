"""Filters of a decoder that have stopped to fire."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.trainings import revival
from nst_jax.networks.huang import Decoder


def test_only_filters_that_never_fire_begin_anew():
    decoder = Decoder(architecture="vgg16")
    features = jnp.asarray(np.random.default_rng(0).gamma(0.3, 3, (2, 4, 4, 512)), jnp.float32)
    variables: Any = jax.jit(decoder.init)(jax.random.key(0), features)
    params = jax.tree.map(np.array, variables["params"])
    dead = np.array([3, 7])
    params["conv4_1"]["bias"][dead] = -1e3

    revived = jax.tree.map(np.asarray, revival.revive(decoder, params, features))

    alive = np.delete(np.arange(256), dead)
    was, now = params["conv4_1"], revived["conv4_1"]
    np.testing.assert_array_equal(now["kernel"][..., alive], was["kernel"][..., alive])
    # By hand: a correlation with the features, mirrored at the edges.
    padded = np.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    answers = np.einsum("bhwcij,ijcd->bhwd", windows, now["kernel"][..., dead])
    fires = (answers + now["bias"][dead] > 0).mean((0, 1, 2))
    assert (fires > 0.2).all()
    later, before = (np.delete(p["conv3_3"]["kernel"], dead, axis=2) for p in (revived, params))
    assert (later == before).all((0, 1, 2)).mean() > 0.9, "but for its own that never fire"
    assert params["conv4_1"]["bias"][3] == -1e3, "what was given is left as it was"
