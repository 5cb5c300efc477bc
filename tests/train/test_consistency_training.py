"""Trainings with a temporal term: what it adds to a step's loss, and what comes of it."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
from vgg_oracle import random_arrays

from nst_jax import train
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.style_predictors import measure_standard
from nst_jax.papers import dumoulin_2017, ghiasi_2017, johnson_2016
from nst_jax.train import Pair
from nst_jax.train.synthetic_motion import consistency_loss

ENCODER = VGG("vgg16", TORCHVISION)
SHALLOW: dict[str, Any] = {
    "content_layers": (("relu1_1", 1.0),),
    "style_layers": (("relu1_2", 1.0),),
    "temporal_weight": 3.0,
}
KEY = jax.random.key(7)


@pytest.fixture(scope="module")
def params():
    return {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv1_2"))}


def pictures(count, side=48, offset=0.0):
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    return jnp.asarray(np.stack([made_clips.texture(y, x + 11 * n + offset) for n in range(count)]))


def losses_of(paper, params, weight):
    """A step's total and terms, and what is painted of its photographs, as a function."""
    config = dataclasses.replace(paper.PRESETS["smoke"], **{**SHALLOW, "temporal_weight": weight})
    batch, painting = pictures(2), pictures(1, 48, 5.0)[:, ::-1]
    if paper is johnson_2016:
        network = johnson_2016.make_network(config)
        grams = johnson_2016.compute_style_grams(config, painting, ENCODER, params)
        variables = jax.jit(network.init)(jax.random.key(0), batch)
        loss_fn = johnson_2016.make_loss_fn(config, ENCODER)
        paint = partial(network.apply, variables)
    else:
        network = dumoulin_2017.DumoulinNetwork(num_styles=2, width=4)
        paintings = [painting, painting[:, :, ::-1]]
        grams = dumoulin_2017.compute_style_grams(config, paintings, ENCODER, params)
        variables = jax.jit(network.init)(jax.random.key(0), batch, jnp.ones((2, 2)) / 2)
        loss_fn = dumoulin_2017.make_loss_fn(config, network, ENCODER)
        drawn = dumoulin_2017.one_hot(jax.random.randint(KEY, (2,), 0, 2), 2)

        def paint(images):
            return network.apply(variables, images, drawn)

    total, (terms, _) = jax.jit(loss_fn)(KEY, variables["params"], {}, batch, grams, params)
    return float(total), {name: float(term) for name, term in terms.items()}, paint, batch


@pytest.mark.slow
@pytest.mark.parametrize("paper", [johnson_2016, dumoulin_2017])
def test_a_step_has_a_term_more_and_is_otherwise_the_same(paper, params):
    total, terms, *_ = losses_of(paper, params, 0.0)
    assert set(terms) == {"content", "style", "tv"}
    weighted, more, paint, batch = losses_of(paper, params, 3.0)
    temporal = more.pop("temporal")
    assert more == pytest.approx(terms, rel=1e-6)
    assert weighted == pytest.approx(total + temporal, rel=1e-6)
    key = jax.random.fold_in(KEY, 0x6D6F7665)
    measure = jax.jit(lambda key, batch: consistency_loss(key, batch, paint(batch), paint))
    wanted = 3 * float(measure(key, batch))
    assert temporal == pytest.approx(wanted, rel=1e-4)
    assert temporal > 0


@pytest.mark.slow
def test_a_network_for_any_painting_has_the_term_too():
    network_and_params = load_encoder("vgg16")
    config = dataclasses.replace(ghiasi_2017.PRESETS["smoke"], temporal_weight=3.0)
    paintings = pictures(2, 32, 5.0)[:, ::-1]
    pair = Pair(pictures(2, 32), paintings)
    encoder = ghiasi_2017.set_encoder(network_and_params[0], config)
    standard = measure_standard(paintings, encoder, network_and_params[1])
    start = ghiasi_2017.init(config, standard, network_and_params[1])
    network = ghiasi_2017.make_network(config)
    loss_fn = jax.jit(ghiasi_2017.make_loss_fn(config, network, encoder))
    state = {"batch_stats": start["batch_stats"]}
    total, (terms, moved) = loss_fn(KEY, start["params"], state, pair, network_and_params[1])
    assert float(terms["temporal"]) > 0
    assert float(total) == pytest.approx(float(sum(terms.values())), rel=1e-5)
    plain = dataclasses.replace(config, temporal_weight=0.0)
    loss_fn = jax.jit(ghiasi_2017.make_loss_fn(plain, network, encoder))
    _, (_, wanted) = loss_fn(KEY, start["params"], state, pair, network_and_params[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), moved, wanted)


class Pictures:
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


@pytest.mark.slow
@pytest.mark.usefixtures("lax_promotion")
def test_a_training_with_the_term_is_more_consistent_than_one_without(params, tmp_path):
    batch, painting = pictures(2), pictures(1, 48, 5.0)[:, ::-1]
    found = {}
    for weight in (0.0, 30.0):
        config = dataclasses.replace(
            johnson_2016.PRESETS["smoke"],
            **{**SHALLOW, "temporal_weight": weight},
            num_steps=40,
            learning_rate=5e-3,
        )
        trained = johnson_2016.fit(
            *(painting, Pictures(batch), config, ENCODER, params),
            held_out=batch,
            samples=batch[:1],
            reporting=train.Reporting(tmp_path / str(weight), save_every=0, report_every=0),
        )

        def measure(key, variables, network=trained.network):
            def paint(images):
                return network.apply(variables, images)

            return consistency_loss(key, batch, paint(batch), paint)

        keys = jax.random.split(jax.random.key(1), 8)
        measure = jax.jit(measure)
        found[weight] = np.mean([float(measure(key, trained.variables)) for key in keys])
    assert found[30.0] < 0.7 * found[0.0]


@pytest.mark.slow
@pytest.mark.usefixtures("lax_promotion")
def test_a_contrastive_training_has_a_term_more_and_leaves_its_mlps_behind(tmp_path):
    encoder, encoder_params = load_encoder("vgg16")
    batch, painting = pictures(2), pictures(1, 48, 5.0)[:, ::-1]
    config = dataclasses.replace(johnson_2016.PRESETS["smoke"], contrastive_weight=2.0, num_steps=3)
    logged = []
    trained = johnson_2016.fit(
        *(painting, Pictures(batch), config, encoder, encoder_params),
        held_out=batch,
        samples=batch[:1],
        reporting=train.Reporting(
            tmp_path, save_every=0, report_every=0, on_step=lambda report: logged.append(report)
        ),
    )
    network = johnson_2016.make_network(config)
    shapes = jax.eval_shape(network.init, jax.random.key(0), batch)
    assert jax.tree.structure(trained.variables) == jax.tree.structure(shapes)
    first = logged[0].terms
    assert set(first) == {"content", "style", "tv", "contrast"}
    assert 0.5 * 2 * 3 * np.log(64) < first["contrast"] < 2 * 2 * 3 * np.log(64)
    assert logged[0].total == pytest.approx(sum(first.values()), rel=1e-5)
