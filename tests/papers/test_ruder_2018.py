"""Oracles: SciPy for what is warped, NumPy for the loss; motions of which something must be so."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
import scipy.ndimage
from vgg_oracle import random_arrays

from nst_jax import train
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.papers import ruder_2018
from nst_jax.train.perceptual_training import make_objective

ENCODER = VGG("vgg16", TORCHVISION)
SHALLOW: dict[str, Any] = {
    "content_layers": (("relu1_1", 1.0),),
    "style_layers": (("relu1_2", 1.0),),
}
CONFIG = dataclasses.replace(ruder_2018.PRESETS["smoke"], **SHALLOW)
KEY = jax.random.key(7)


@pytest.fixture(scope="module")
def params():
    return {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv1_2"))}


def pictures(count, side=48, offset=0.0):
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    return jnp.asarray(np.stack([made_clips.texture(y, x + 11 * n + offset) for n in range(count)]))


def warped(picture, flow):
    """A picture read at x + f(x) between its pixels, where its edge goes on."""
    y, x = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float64)
    places = [y + flow[..., 1], x + flow[..., 0]]
    channels = [
        scipy.ndimage.map_coordinates(picture[..., c], places, order=1, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, -1)


def test_the_authors_preset_is_the_codes():
    authors = ruder_2018.PRESETS["authors"]
    assert authors == ruder_2018.Config()
    assert (authors.width, authors.size, authors.style_size, authors.batch_size) == (
        32,
        256,
        384,
        4,
    )
    assert (authors.num_steps, authors.learning_rate, authors.single_share) == (60_000, 1e-3, 0.5)
    # 100 times the mean square on pixels of 0 to 255.
    assert authors.temporal_weight == 100 * 255**2
    assert authors.content_layers == (("relu3_3", 1.0),)


def test_second_frames_are_the_photographs_moved_and_some_have_no_first():
    photographs = pictures(2)
    single = 0
    for seed in range(24):
        second = ruder_2018.follow(jax.random.key(seed), photographs, single_share=0.5)
        flow, mask = np.asarray(second.flow), np.asarray(second.mask)
        for n in range(2):
            y, x = np.mgrid[0:48, 0:48].astype(np.float64)
            y, x = y + flow[n, ..., 1], x + flow[n, ..., 0]
            inside = (x >= 0) & (x <= 47) & (y >= 0) & (y <= 47)
            if mask[n].any():
                np.testing.assert_array_equal(mask[n], inside)
            else:
                single += 1
            rows, columns = (np.floor(each + 0.5).clip(0, 47).astype(int) for each in (y, x))
            moved = np.asarray(photographs)[n][rows, columns]
            assert np.mean(np.abs(moved - np.asarray(second.images)[n]) > 1e-6) < 0.01
    assert 10 <= single <= 38
    all_follow = ruder_2018.follow(KEY, photographs, single_share=0.0)
    assert np.asarray(all_follow.mask).any((1, 2)).all()


@pytest.fixture(scope="module")
def step(params):
    """A step's photographs, variables, total and terms."""
    photographs, painting = pictures(2), pictures(1, 48, 5.0)[:, ::-1]
    network = ruder_2018.make_network(CONFIG)
    grams = ruder_2018.compute_style_grams(CONFIG, painting, ENCODER, params)
    variables = jax.jit(network.init)(jax.random.key(0), photographs)
    masks = jax.jit(lambda key: ruder_2018.follow(key, photographs, single_share=0.5).mask)
    keys = map(jax.random.key, range(20))
    key = next(k for k in keys if np.asarray(masks(k)).any((1, 2)).tolist() == [True, False])
    return key, photographs, network, grams, variables


@pytest.mark.slow
def test_a_steps_loss_is_the_perceptual_one_and_the_masked_mean_square(step, params):
    key, photographs, network, grams, variables = step
    loss_fn = jax.jit(ruder_2018.make_loss_fn(CONFIG, ENCODER))
    total, (terms, _) = loss_fn(key, variables["params"], {}, photographs, grams, params)
    second = ruder_2018.follow(key, photographs, single_share=CONFIG.single_share)
    first = np.asarray(network.apply(variables, photographs), np.float64).clip(0, 1)
    flow, mask = np.asarray(second.flow, np.float64), np.asarray(second.mask)[..., None]
    last = np.stack([warped(*each) for each in zip(first, flow, strict=True)])
    given = np.concatenate([second.images, last, mask], -1).astype(np.float32)
    painted = network.apply(variables, jnp.asarray(given))
    wanted = CONFIG.temporal_weight * np.mean(mask * np.square(np.asarray(painted) - last))
    assert float(terms["temporal"]) == pytest.approx(float(wanted), rel=1e-3)
    objective = jax.jit(make_objective(CONFIG, ENCODER))
    perceptual, _ = objective(painted, second.images, grams, params)
    assert float(total) == pytest.approx(float(perceptual) + wanted, rel=1e-4)
    assert 0 < wanted < float(total)


@pytest.mark.slow
@pytest.mark.usefixtures("lax_promotion")
def test_a_network_that_is_trained_keeps_to_its_last_picture(params, tmp_path):
    """Far closer than the same training with little weight on it, on motions not seen."""
    photographs, painting = pictures(2), pictures(1, 48, 5.0)[:, ::-1]
    found = {}
    for weight in (1.0, 3000.0):
        config = dataclasses.replace(
            CONFIG, temporal_weight=weight, num_steps=60, learning_rate=5e-3, single_share=0.25
        )
        trained = ruder_2018.fit(
            *(painting, Again(photographs), config, ENCODER, params),
            held_out=photographs,
            samples=photographs[:1],
            reporting=train.Reporting(tmp_path / str(weight), save_every=0, report_every=0),
        )
        assert set(trained.held_out) == {"total", "content", "style", "tv", "temporal"}
        found[weight] = trained.held_out["temporal"] / weight
    assert found[3000.0] < 0.5 * found[1.0]


class Again:
    """The same photographs at every step."""

    def __init__(self, batch):
        self.batch = np.asarray(batch)

    def __iter__(self):
        return self

    def __next__(self):
        return self.batch

    def get_state(self):
        return 0

    def set_state(self, state):
        pass


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"single_share": 1.0}, "single_share: wanted 0 to less than 1, got 1.0"),
        ({"single_share": float("nan")}, "single_share: wanted 0 to less than 1"),
        ({"temporal_weight": -1.0}, "temporal_weight: wanted"),
        ({"content_layers": (), "style_layers": ()}, "style_layers: wanted at least one layer"),
    ],
)
def test_useless_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(CONFIG, **changes)
