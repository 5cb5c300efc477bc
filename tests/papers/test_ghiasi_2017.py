"""Oracles: closed forms of the losses, NumPy; the encoder is random and small pictures suffice."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_pictures

from nst_jax import load_encoder, losses, train
from nst_jax.networks.style_predictors import measure_standard
from nst_jax.papers import ghiasi_2017
from nst_jax.papers.ghiasi_2017 import PRESETS, Config
from nst_jax.train import Pair, make_trainer
from nst_jax.train.checkpoints import saved_steps
from nst_jax.train.transformations import make_transformation

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("vgg16")


def made_pair(seed=0) -> Any:
    return Pair(
        jnp.asarray(made_pictures(2, 32, 32, 3, seed=seed)),
        jnp.asarray(made_pictures(2, 32, 32, 3, seed=seed + 1)),
    )


# Losses ------------------------------------------------------------------------------------------


def test_relative_content_is_a_share_of_the_targets_square():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    loss = losses.relative_content_loss
    assert loss(jnp.zeros_like(target), jnp.asarray(target)) == pytest.approx(1)
    assert loss(jnp.asarray(3 * target), jnp.asarray(target)) == pytest.approx(4, rel=1e-5)
    # Each picture counts alike, whatever its contrast.
    scale = np.array([1, 1e-3], np.float32).reshape(2, 1, 1, 1)
    found = loss(jnp.asarray(2 * scale * target), jnp.asarray(scale * target))
    assert found == pytest.approx(1, rel=1e-5)


def test_log_relative_gram_loss_is_the_logarithm_of_one_and_the_share():
    target = np.random.default_rng(1).normal(size=(3, 4, 4)).astype(np.float32)
    factors = np.array([1, 2, 11], np.float32).reshape(3, 1, 1)
    found = losses.log_relative_gram_loss(jnp.asarray(factors * target), jnp.asarray(target))
    assert found == pytest.approx(np.mean(np.log([1, 2, 101])), rel=1e-5)
    one = losses.log_relative_gram_loss(jnp.asarray(2 * target[:1]), jnp.asarray(target[:1]))
    assert one == pytest.approx(np.log(2), rel=1e-5)


def test_the_objective_is_the_sum_of_its_terms(encoder):
    config = dataclasses.replace(
        SMOKE, content_layers=(("relu1_2", 2.0),), style_layers=(("relu1_1", 0.5),)
    )
    network, params = encoder
    pair = made_pair()
    features = {
        name: network.apply(params, pictures, layers=("relu1_1", "relu1_2"))
        for name, pictures in (("x", pair.content), ("y", pair.style))
    }
    total, terms = ghiasi_2017.make_objective(config, network)(
        pair.style, Pair(pair.content, pair.content), features["x"], params
    )
    arrays = {k: {n: np.asarray(f, np.float64) for n, f in v.items()} for k, v in features.items()}
    x, y = (arrays[name]["relu1_2"] for name in "xy")
    content = np.mean([((b - a) ** 2).sum() / (a**2).sum() for a, b in zip(x, y, strict=True)])
    grams = {
        name: [f.reshape(-1, 64).T @ f.reshape(-1, 64) for f in arrays[name]["relu1_1"]]
        for name in "xy"
    }
    shares = [
        ((b - a) ** 2).sum() / (a**2).sum() for a, b in zip(grams["x"], grams["y"], strict=True)
    ]
    image = np.asarray(pair.style, np.float64)
    steps = (np.diff(image, axis=1) ** 2).mean() + (np.diff(image, axis=2) ** 2).mean()
    assert terms["content"] == pytest.approx(2 * content, rel=1e-3)
    colors = {
        name: [(p.mean(0), np.cov(p.T, bias=True)) for p in pictures.reshape(2, -1, 3)]
        for name, pictures in zip("xy", np.asarray([*pair], np.float64), strict=True)
    }
    color = np.mean(
        [
            np.log1p(((mean - m) ** 2).sum() / (np.trace(c) + 1e-3))
            + np.log1p(((cov - c) ** 2).sum() / ((c**2).sum() + 1e-6))
            for (m, c), (mean, cov) in zip(colors["x"], colors["y"], strict=True)
        ]
    )
    assert terms["color"] == pytest.approx(4.4 * color, rel=1e-3)
    assert terms["style"] == pytest.approx(11 * 0.5 * np.log1p(shares).mean(), rel=1e-3)
    assert terms["tv"] == pytest.approx(2 * steps, rel=1e-4)
    assert total == pytest.approx(float(sum(terms.values())), rel=1e-6)


# Training ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_step_trains_all_but_the_encoder_and_moves_the_statistics(encoder):
    network_and_params = encoder
    standard = measure_standard(made_pair().style, *network_and_params)
    start = ghiasi_2017.init(SMOKE, standard, network_and_params[1])
    network = ghiasi_2017.make_network(SMOKE)
    tx = make_transformation(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        num_steps=2,
        trainable=ghiasi_2017.is_trained,
    )
    trainer = make_trainer(ghiasi_2017.make_loss_fn(SMOKE, network, network_and_params[0]), tx)
    state = trainer.init(jax.random.key(0), start["params"], {"batch_stats": start["batch_stats"]})
    before = jax.device_get(state)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        state, _ = trainer.step(state, made_pair(), network_and_params[1])
        state, _ = trainer.step(state, made_pair(), network_and_params[1])
    after = jax.device_get(state)

    def changed(old, new):
        return jax.tree.map(lambda a, b: bool(np.any(a != b)), old, new)

    params = changed(before.params, after.params)
    assert not any(jax.tree.leaves(params["predictor"]["encoder"]))
    assert params["transformer"]["residual3a_norm"]["scale"]["kernel"]
    assert params["transformer"]["contract1_norm"]["scale"]
    assert params["predictor"]["head"]["hidden"]["kernel"]
    stats = changed(before.model_state, after.model_state)["batch_stats"]
    assert all(jax.tree.leaves(stats["transformer"]))
    assert not any(jax.tree.leaves(stats["predictor"]))


def test_statistics_are_standardised_by_those_of_the_paintings(encoder):
    paintings = jnp.asarray(made_pictures(3, 32, 32, 3))
    standard = measure_standard(paintings, *encoder)
    features = encoder[0].apply(encoder[1], paintings, layers=("relu1_1",))["relu1_1"]
    means = np.asarray(features, np.float64).mean((1, 2))
    np.testing.assert_allclose(standard["mean"][:64], means.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(standard["scale"][:64], means.std(0) + 1e-3, rtol=1e-2, atol=1e-5)


def fit(encoder, workdir, config, **options):
    """A short training on the made pair."""

    class Pairs:
        def __next__(self):
            return made_pair()

        def get_state(self):
            return None

        def set_state(self, state):
            del state

    standard = measure_standard(made_pair().style, *encoder)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        return ghiasi_2017.fit(
            Pairs(),
            config,
            *encoder,
            held_out=made_pair(),
            samples=made_pair(),
            reporting=train.Reporting(workdir, **{"save_every": 0, "log_every": 1, **options}),
            start=ghiasi_2017.init(config, standard, encoder[1]),
        )


@pytest.mark.slow
def test_a_discriminator_adds_a_term_and_moves_the_network(encoder, tmp_path):
    """The first step's own losses are those without it, the second's are not."""
    plain, reports = [], []
    plain_config = dataclasses.replace(SMOKE, num_steps=3)
    config = dataclasses.replace(plain_config, adversarial_weight=5.0)
    fit(encoder, tmp_path / "plain", plain_config, on_step=plain.append)
    trained = fit(encoder, tmp_path / "with", config, on_step=reports.append)
    own = set(plain[0].terms)
    assert set(reports[0].terms) == own | {"adversarial"}
    for term in own:
        assert reports[0].terms[term] == pytest.approx(plain[0].terms[term], rel=1e-4)
    assert reports[2].terms["style"] != pytest.approx(plain[2].terms["style"], rel=1e-6)
    assert set(trained.held_out) == own | {"total"}
    lines = (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()
    assert 0 <= json.loads(lines[0])["accuracy"] <= 1
    assert saved_steps(tmp_path / "with" / "best") == [3]
    again = fit(encoder, tmp_path / "with", config)
    jax.tree.map(np.testing.assert_array_equal, again.variables, trained.variables)


# Configurations ----------------------------------------------------------------------------------


def test_presets_have_the_published_widths_and_weights():
    paper, authors, mobile = (PRESETS[name] for name in ("paper", "authors", "mobile"))
    assert (paper.width, authors.width, mobile.width) == (32, 32, 8)
    gain = 255 * np.array([0.229, 0.224, 0.225])  # between the inputs' scales
    assert paper.content_weight == pytest.approx(np.mean(gain) ** 2, rel=0.05)
    assert paper.style_weight / paper.content_weight**2 == pytest.approx(0.5e-3)
    assert authors.tv_weight == 5000
    assert dataclasses.replace(authors, tv_weight=0.0, num_steps=4_000_000) == paper


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_trained_is_refused_in_one_line(encoder):
    for field, value, message in (
        ("style_size", 64, "style_shorter_side: wanted a range from style_size, 64, on"),
        ("distances", "squares", "distances: wanted mean, relative, got squares"),
        ("encoder", "vgg19", "encoder: wanted vgg16, which the predictor reads, got vgg19"),
        ("style_layers", (), "style_layers: wanted at least one layer, got none"),
        ("adversarial_weight", -1.0, "adversarial_weight: wanted a finite number, 0 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SMOKE, **{field: value})
    small = {"style_size": 16, "style_shorter_side": (32, 48), "adversarial_weight": 1.0}
    with pytest.raises(ValueError, match="style_size: wanted 32 or more with adversarial_weight"):
        dataclasses.replace(SMOKE, **small)
    one = made_pair().style[:1]
    with pytest.raises(ValueError, match="paintings: wanted at least 2, got 1; to paint after a"):
        measure_standard(one, *encoder)
    with pytest.raises(ValueError, match="paintings: wanted at least 2 that differ; got copies"):
        measure_standard(jnp.concatenate([one, one]), *encoder)


def test_larger_paintings_are_cut_from_larger_ones():
    config = Config().vary({"style_size": 512})
    assert config.style_shorter_side == (512, 1024)
    assert config.shorter_side == Config().shorter_side
