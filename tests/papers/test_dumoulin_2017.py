"""Oracles: the losses written out in NumPy, one picture at a time, and runs never stopped."""

import dataclasses
import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays

from nst_jax import train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.papers import dumoulin_2017
from nst_jax.papers.dumoulin_2017 import PRESETS, Config

pytestmark = pytest.mark.usefixtures("lax_promotion")

SMOKE = dataclasses.replace(PRESETS["smoke"], size=16, shorter_side=(16, 16), batch_size=2)
# The tables of a network of width 4: 4 + 8 + 16, ten of 16, 8 + 4 and 3 channels, twice.
ARRAYS_OF_A_STYLE = 2 * (4 + 8 + 16 + 10 * 16 + 8 + 4 + 3)


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


def made(count, *, size=16, seed=0):
    """Blurred noise in colours that differ from picture to picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, size // 4, size // 4, 3), np.float32)
    return jnp.asarray(coarse.repeat(4, axis=1).repeat(4, axis=2))


PHOTOGRAPHS = np.asarray(made(6, seed=1))
PAINTINGS = [made(1, size=24, seed=seed) for seed in (2, 3, 4)]


class Stream:
    """Pairs of photographs in turn."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.place += 1
        return PHOTOGRAPHS[np.arange(2 * self.place, 2 * self.place + 2) % 6]

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


def run_options(workdir, on_step=None):
    held_out = jnp.asarray(PHOTOGRAPHS[:3])
    reporting = train.Reporting(
        workdir, data={"count": 6}, save_every=2, report_every=100, on_step=on_step
    )
    return {"held_out": held_out, "samples": held_out[:1], "reporting": reporting}


def fit(config, workdir, vgg16, *, on_step=None):
    return dumoulin_2017.fit(
        PAINTINGS[:2], Stream(), config, *vgg16, **run_options(workdir, on_step)
    )


@pytest.fixture(scope="module")
def trained(vgg16, tmp_path_factory):
    with jax.numpy_dtype_promotion("standard"):
        workdir = tmp_path_factory.mktemp("two styles")
        totals = []
        config = dataclasses.replace(SMOKE, num_steps=30, learning_rate=3e-3)
        found = fit(config, workdir, vgg16, on_step=lambda report: totals.append(report.total))
    return found, totals


def leaves(tree):
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


# The presets ----------------------------------------------------------------------------------


def test_the_papers_and_the_authors_presets():
    paper = PRESETS["paper"]
    assert paper == Config()
    assert (paper.width, paper.size, paper.batch_size, paper.num_steps) == (32, 256, 16, 40_000)
    assert (paper.learning_rate, paper.schedule, paper.add_style_steps) == (1e-3, "constant", 5000)
    assert [layer for layer, _ in paper.content_layers] == ["relu3_3"]
    assert dict(paper.style_layers) == dict.fromkeys(
        ("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1.0
    )
    # Content 1 and style 1e-4 on features of a network whose input is 57.6 times as large.
    gain = 255 / np.mean([1 / 0.229, 1 / 0.224, 1 / 0.225])
    assert paper.content_weight == pytest.approx(gain**2)
    assert paper.style_weight == pytest.approx(1e-4 * gain**4)
    assert paper.tv_weight == 0
    assert PRESETS["authors"] == dataclasses.replace(paper, pooling="average")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("size", 18),
        ("shorter_side", (8, 16)),
        ("batch_size", 0),
        ("style_weight", -1.0),
        ("content_weight", float("nan")),
        ("style_layers", ()),
        ("seed", -1),
        ("add_style_steps", -1),
    ],
)
def test_what_cannot_be_run_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"^{field}: wanted .*, got"):
        dataclasses.replace(SMOKE, **{field: value})


# The loss -------------------------------------------------------------------------------------


def gram(features):
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return rows.T @ rows / len(rows)


def mean_square(a, b):
    return np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2)


@pytest.mark.slow
def test_every_picture_is_compared_with_a_style_of_its_own(vgg16):
    encoder, encoder_params = vgg16
    config = dataclasses.replace(SMOKE, style_weight=3.0, content_weight=0.5, tv_weight=0.0)
    network = DumoulinNetwork(num_styles=3, width=4)
    batch = jnp.asarray(PHOTOGRAPHS[:4])
    shapes: Any = jax.eval_shape(network.init, jax.random.key(0), batch, jnp.zeros((4, 3)))
    params = jax.tree.map(jnp.asarray, made_arrays(shapes["params"]))
    grams = dumoulin_2017.compute_style_grams(config, PAINTINGS, encoder, encoder_params)
    loss_fn = dumoulin_2017.make_loss_fn(config, network, encoder, first_style=1)

    key = jax.random.key(5)
    total, (terms, _) = jax.jit(loss_fn)(key, params, {}, batch, grams, encoder_params)

    drawn = np.asarray(jax.random.randint(key, (4,), 1, 3))
    assert set(drawn) == {1, 2}  # both, and never the first
    content, style = [], []
    layers = ("relu1_2", "relu2_2")
    apply = jax.jit(network.apply)
    encode = jax.jit(functools.partial(encoder.apply, layers=layers))
    for picture, number in zip(batch, drawn, strict=True):
        painted = apply({"params": params}, picture[None], jnp.eye(3)[number][None])
        found = encode(encoder_params, painted)
        target = encode(encoder_params, picture[None])
        painting = PAINTINGS[number].repeat(1, axis=0)
        painting = jax.image.resize(painting, (1, 32, 32, 3), "linear")
        wanted = encode(encoder_params, painting)
        content.append(0.5 * mean_square(found["relu2_2"], target["relu2_2"]))
        style.append(
            3.0 * sum(mean_square(gram(found[la][0]), gram(wanted[la][0])) for la in layers)
        )
    np.testing.assert_allclose(terms["content"], np.mean(content), rtol=1e-4)
    np.testing.assert_allclose(terms["style"], np.mean(style), rtol=1e-4)
    np.testing.assert_allclose(total, np.mean(content) + np.mean(style), rtol=1e-4)


def test_without_paintings_there_is_nothing_to_train(vgg16):
    with pytest.raises(ValueError, match="styles: wanted at least one"):
        dumoulin_2017.compute_style_grams(SMOKE, [], *vgg16)


# Training -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_lowers_the_loss_and_returns_a_network_of_both_styles(trained):
    found, totals = trained
    assert len(totals) == found.step == 30
    assert np.mean(totals[-5:]) < 0.75 * np.mean(totals[:3])
    assert found.network.num_styles == 2
    assert found.held_out["total"] == pytest.approx(
        found.held_out["content"] + found.held_out["style"] + found.held_out["tv"], rel=1e-5
    )
    rows = found.variables["params"]["contract1_norm"]["scale"]
    assert float(jnp.abs(rows[0] - rows[1]).max()) > 1e-3  # each has learnt something of its own


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_network(vgg16, tmp_path):
    config = dataclasses.replace(SMOKE, num_steps=5)
    whole = fit(config, tmp_path / "whole", vgg16)

    def stop(report):
        if report.step == 3:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(config, tmp_path / "stopped", vgg16, on_step=stop)
    resumed = fit(config, tmp_path / "stopped", vgg16)
    assert resumed.step == 5
    for name, array in leaves(whole.variables).items():
        np.testing.assert_array_equal(leaves(resumed.variables)[name], array)


@pytest.mark.slow
def test_a_new_style_changes_its_own_row_alone(trained, vgg16, tmp_path):
    before, _ = trained
    totals = []
    config = dataclasses.replace(SMOKE, add_style_steps=20, learning_rate=1e-2)
    after = dumoulin_2017.add_style(
        PAINTINGS[2],
        before.network,
        before.variables,
        Stream(),
        config,
        *vgg16,
        **run_options(tmp_path, on_step=lambda report: totals.append(report.total)),
    )
    assert after.network.num_styles == 3
    assert after.step == 20
    assert np.mean(totals[-4:]) < totals[0]
    new = 0
    for name, array in leaves(after.variables).items():
        old = leaves(before.variables)[name]
        if array.shape != old.shape:
            new += array[2].size
            array = array[:2]
        np.testing.assert_array_equal(array, old)
    assert new == ARRAYS_OF_A_STYLE


@pytest.mark.slow
def test_the_sheet_shows_every_picture_in_every_style(vgg16, tmp_path, monkeypatch):
    sheets = []
    fit_as_it_is = train.fit

    def watch(*args, sample, **options):
        state = fit_as_it_is(*args, sample=sample, **options)
        sheets.append(np.asarray(sample(state)))
        return state

    monkeypatch.setattr(sys.modules["nst_jax.train.fit_network"], "fit", watch)
    found = fit(dataclasses.replace(SMOKE, num_steps=1), tmp_path, vgg16)
    for number in range(2):
        painted = found.network.apply(
            found.variables, jnp.asarray(PHOTOGRAPHS[:1]), jnp.eye(2)[number][None]
        )
        np.testing.assert_allclose(sheets[0][number], painted[0], atol=1e-5)
