"""The objective of networks that paint, with a style loss of one's own."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vgg_oracle import random_arrays

from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import StyleLoss
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.papers import dumoulin_2017, johnson_2016
from nst_jax.runs.record import describe_config

ENCODER = VGG("vgg16", TORCHVISION)
SHALLOW: dict[str, Any] = {
    "content_layers": (("relu1_1", 1.0),),
    "style_layers": (("relu1_1", 0.5), ("relu1_2", 2.0)),
    "style_weight": 3.0,
    "style_size": 32,
}


def means(features):
    return features.mean((1, 2))


OWN = StyleLoss("means", means, lambda features, kept: jnp.square(means(features) - kept).mean())


@pytest.fixture(scope="module")
def params():
    return {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv1_2"))}


def means_of(picture, params, layer):
    return np.asarray(ENCODER.apply(params, picture, layers=(layer,))[layer].mean((1, 2)))


@pytest.mark.parametrize("paper", [johnson_2016, dumoulin_2017])
def test_a_style_loss_of_ones_own_trains_a_network(paper, photograph, painting, params):
    config = dataclasses.replace(paper.PRESETS["smoke"], style_loss=OWN, **SHALLOW)
    style = jax.image.resize(painting, (1, 23, 32, 3), "linear", antialias=True)
    several = paper is dumoulin_2017
    kept = paper.compute_style_grams(config, [painting] if several else painting, ENCODER, params)
    batch = jnp.concatenate([photograph, photograph[:, :, ::-1]])
    objective = paper.make_objective(config, ENCODER)
    _, terms = objective(batch, batch, kept, params)
    wanted = sum(
        3 * weight * np.mean((means_of(batch, params, n) - means_of(style, params, n)) ** 2)
        for n, weight in SHALLOW["style_layers"]
    )
    assert float(terms["style"]) == pytest.approx(wanted, rel=1e-4)
    assert json.loads(json.dumps(describe_config(config)))["style_loss"] == "means"


@pytest.mark.slow
def test_each_picture_of_a_batch_has_its_own_styles_measures(photograph, painting, params):
    """Whatever pytree a style loss keeps: here means and deviations."""
    config = dataclasses.replace(
        dumoulin_2017.PRESETS["smoke"], style_loss="moments", tv_weight=0.0, **SHALLOW
    )
    kept = dumoulin_2017.compute_style_grams(config, [painting, photograph], ENCODER, params)
    assert [part.shape for part in kept["relu1_2"]] == [(2, 64), (2, 64)]
    network = DumoulinNetwork(num_styles=2, width=4)
    variables = network.init(jax.random.key(0), photograph, jnp.ones((1, 2)) / 2)
    loss_fn = dumoulin_2017.make_loss_fn(config, network, ENCODER)
    batch = jnp.concatenate([photograph, photograph])
    total, (terms, _) = loss_fn(jax.random.key(3), variables["params"], {}, batch, kept, params)
    assert np.isfinite(total)
    assert float(terms["style"]) > 0


def test_paintings_of_which_unequal_amounts_are_kept_are_refused(photograph, painting, params):
    config = dataclasses.replace(dumoulin_2017.PRESETS["smoke"], style_loss="histogram", **SHALLOW)
    with pytest.raises(ValueError, match="style_loss: histogram keeps something of each position"):
        dumoulin_2017.compute_style_grams(config, [painting, photograph], ENCODER, params)
