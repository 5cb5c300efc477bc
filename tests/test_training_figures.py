"""The figures that train: what is trained, once, and what is told of it."""

import importlib
import json
import sys
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures
from skimage import color
from test_network_benchmark import EXPERIMENTS
from test_network_experiments import models as models
from test_network_experiments import write_data

from nst_jax import files, train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.huang import Decoder
from nst_jax.papers import dumoulin_2017, huang_2017, johnson_2016

pytestmark = pytest.mark.usefixtures("lax_promotion")

SIZE = 16
TIERS = {
    "content/train/a_hill.jpg": "A free",
    "content/train/b_lake.jpg": "B research-only",
    "content/heldout/c_tree.jpg": "S share-alike",
    "content/heldout/d_bridge.jpg": "A free",  # one more than there are paintings
    "style/train/waves.jpg": "A free",
    "style/heldout/strokes.jpg": "A free",
}


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    names = (
        *("decoder_baselines", "normalizations", "training_curves", "few_shot"),
        "learnt_together",
    )
    papers = ("huang_2017", "dumoulin_2017")
    loaded = {name: importlib.import_module(name) for name in (*names, *papers, "network_figures")}

    def run(paper, *options):
        monkeypatch.setattr(sys, "argv", [f"{paper}.py", *map(str, options)])
        loaded["network_figures"].run(loaded[paper].main)

    return SimpleNamespace(**loaded, run=run)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), TIERS)


# Trainings that are done once ---------------------------------------------------------------------


class FakeTraining:
    """Writes a log of two held-out losses, the last of which is `loss`."""

    def __init__(self, loss, **settings):
        self.loss, self.settings, self.folders = loss, {"loss": loss, **settings}, []

    def fit(self, workdir):
        self.folders.append(workdir)
        Path(workdir).mkdir(parents=True, exist_ok=True)
        lines = [
            {"step": 1, "held_out": {"total": 9.0, "content": 4.0, "style": 5.0}},
            {"step": 2, "total": 1.0, "seconds": 3.5},
            {"step": 2, "held_out": {"total": 3.0, "content": self.loss, "style": 2.0}},
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (Path(workdir) / "metrics.jsonl").write_text(text)
        return train.Trained(None, {}, 2, {"total": 3.0})

    def paint(self, trained):
        return jnp.full((1, 8, 8, 3), 0.25)


def run_all(scripts, tmp_path, defaults: Any = MappingProxyType({}), **fakes):
    make = scripts.training_curves.Training
    trainings = {
        name: [make(f.settings, f.fit, f.paint, defaults) for f in seeds]
        for name, seeds in fakes.items()
    }
    (tmp_path / "out").mkdir(exist_ok=True)
    return scripts.training_curves.run_all(trainings, tmp_path / "out", tmp_path / "work")


def test_a_training_is_done_once_while_its_picture_is_there(scripts, tmp_path):
    first, second, other = FakeTraining(1.0), FakeTraining(2.0), FakeTraining(5.0)
    records = run_all(scripts, tmp_path, one=[first, second], two=[other])
    assert [r["curve"][-1]["content"] for r in records["one"]] == [1.0, 2.0]
    assert records["two"][0]["seconds"] == 3.5
    assert len({*first.folders, *second.folders, *other.folders}) == 3

    assert run_all(scripts, tmp_path, one=[first, second], two=[other]) == records
    assert len(first.folders) == len(other.folders) == 1

    (tmp_path / "out" / "one_1.jpg").unlink()
    changed = FakeTraining(5.0, rate=2)
    run_all(scripts, tmp_path, one=[first, second], two=[changed])
    assert [len(fake.folders) for fake in (first, second, changed)] == [1, 2, 1]
    assert changed.folders != other.folders


def test_a_record_may_be_older_than_a_field_of_the_configuration(scripts, tmp_path):
    old = FakeTraining(1.0, config={"rate": 2})
    run_all(scripts, tmp_path, one=[old])
    same = FakeTraining(1.0, config={"rate": 2, "layers": []})
    run_all(scripts, tmp_path, {"config": {"rate": 1, "layers": ()}}, one=[same])
    other = FakeTraining(1.0, config={"rate": 2, "layers": ["relu1_1"]})
    run_all(scripts, tmp_path, {"config": {"rate": 1, "layers": ()}}, one=[other])
    assert [len(fake.folders) for fake in (old, same, other)] == [1, 0, 1]


def test_seeds_are_averaged(scripts, tmp_path, capsys):
    records = run_all(scripts, tmp_path, one=[FakeTraining(1.0), FakeTraining(3.0)])
    scripts.training_curves.finish(tmp_path / "out", {"": records}, records)
    found = files.read_record(tmp_path / "out" / "record.json")["summary"]["one"]
    assert found["content"] == {"mean": 2.0, "deviation": pytest.approx(2**0.5)}
    assert found["style"] == {"mean": 2.0, "deviation": 0.0}
    assert "2 ± 1.4" in capsys.readouterr().out


def test_one_that_was_stopped_is_not_recorded(scripts, tmp_path):
    stopped = FakeTraining(1.0)
    fit = stopped.fit
    stopped.fit = lambda workdir: fit(workdir)._replace(held_out={})
    with pytest.raises(KeyboardInterrupt):
        run_all(scripts, tmp_path, done=[FakeTraining(2.0)], stopped=[stopped])
    record = files.read_record(tmp_path / "out" / "record.json")
    assert list(record["trainings"]) == ["done"]


# Photographs prepared -----------------------------------------------------------------------------


def test_contrast_is_equalised_in_luminance_alone(scripts):
    generator = np.random.default_rng(0)
    # A dim picture of one hue.
    pixels = (generator.random((64, 48, 1)) ** 3 * np.array([0.5, 0.46, 0.42])).astype(np.float32)
    found = scripts.normalizations.equalize_contrast(pixels)

    def luminance(rgb):
        return color.rgb2ycbcr(rgb)[..., 0]

    # Of a grey picture colours cut nothing off: its luminance is that of an even histogram.
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    got = np.sort(luminance(scripts.normalizations.equalize_contrast(grey)).ravel())
    even = np.linspace(16, 235, got.size)  # from black to white
    assert np.abs(got - even).mean() < 0.1 * np.abs(np.sort(luminance(grey).ravel()) - even).mean()
    assert np.ptp(luminance(pixels)) < 110
    assert np.ptp(luminance(found)) > 200
    before, after = (color.rgb2ycbcr(rgb)[..., 1:].mean((0, 1)) for rgb in (pixels, found))
    np.testing.assert_allclose(before, after, atol=6)


# Decoders beside AdaIN's --------------------------------------------------------------------------


def reflected_convolution(x, kernel, bias):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("bhwcij,ijcd->bhwd", windows, kernel) + bias.reshape(1, 1, 1, -1)


@pytest.mark.parametrize(("normalization", "axes"), [("batch", (0, 1, 2)), ("instance", (1, 2))])
def test_decoders_normalise_after_each_convolution(scripts, normalization, axes):
    decoder = scripts.decoder_baselines.NormalizedDecoder(
        architecture="vgg16", normalization=normalization, train=True
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 512)).astype(np.float32)
    given = jnp.asarray(x)
    part = {"first": "conv4_1", "last": "conv4_1", "method": "run_layers"}
    shapes = jax.eval_shape(lambda: decoder.init(jax.random.key(0), given, **part))
    variables = jax.tree.map(jnp.asarray, made_arrays(shapes))
    found, updates = decoder.apply(variables, given, mutable=["batch_stats"], **part)

    answer = reflected_convolution(
        x.astype(np.float64), **jax.tree.map(np.asarray, variables["params"]["conv4_1"])
    )
    mean, var = answer.mean(axes, keepdims=True), answer.var(axes, keepdims=True)
    norm = variables["params"]["conv4_1_norm"]
    scale, bias = (np.asarray(norm[name]).reshape(1, 1, 1, -1) for name in ("scale", "bias"))
    wanted = scale * (answer - mean) / np.sqrt(var + 1e-5) + bias
    np.testing.assert_allclose(found, np.maximum(wanted, 0), atol=2e-5)
    if normalization == "batch":
        before = variables["batch_stats"]["conv4_1_norm"]["mean"]
        after = updates["batch_stats"]["conv4_1_norm"]["mean"]
        np.testing.assert_allclose(after, 0.9 * before + 0.1 * mean.ravel(), atol=1e-5)


def test_the_last_convolution_answers_colours_as_they_are(scripts):
    decoder = scripts.decoder_baselines.NormalizedDecoder(architecture="vgg16")
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    plain = Decoder(architecture="vgg16")
    convolutions = jax.eval_shape(plain.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    added = set(shapes["params"]) - set(convolutions["params"])
    assert added == {f"{name}_norm" for name in convolutions["params"]} - {"conv1_1_norm"}


def test_the_whole_has_the_papers_loss_and_concatenation_both_features(scripts):
    config = huang_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16", weights=config.weights)
    named = scripts.decoder_baselines.variants(config)
    decoder = named["Enc-AdaIN-Dec"].decoder
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    weights = made_arrays(shapes)["params"]
    pair = huang_2017.Pair(*(made_pictures(2, SIZE, SIZE, 3, seed=seed) for seed in (0, 1)))
    args = jax.random.key(0), weights, {}, pair, params
    wanted, (terms, _) = jax.jit(huang_2017.make_loss_fn(config, encoder))(*args)
    make = scripts.decoder_baselines.make_loss_fn
    found, (found_terms, _) = jax.jit(make(config, named["Enc-AdaIN-Dec"], encoder))(*args)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    assert {n: float(t) for n, t in found_terms.items()} == pytest.approx(
        {n: float(t) for n, t in terms.items()}, rel=1e-5
    )

    content, style, target = (jnp.full((1, 1, 1, 2), value) for value in (1, 2, 3))
    targets = huang_2017.Targets(target, {}, {})
    fed = {name: each.feed(targets, content, style).ravel() for name, each in named.items()}
    assert fed.pop("Enc-Concat-Dec").tolist() == [1, 1, 2, 2]
    assert all(each.tolist() == [3, 3] for each in fed.values())


# The figures --------------------------------------------------------------------------------------


def options_for(data, tmp_path, figure):
    few = ("--train-steps", 2, "--train-size", SIZE, "--batch-size", 2, "--seeds", 7, "--every", 1)
    folders = ("--workdir", tmp_path / "work", "--out", tmp_path / "out", "--data", data)
    return ("--figures", figure, *few, *folders)


def finished(tmp_path, figure):
    out = tmp_path / "out" / figure
    assert {"sheet.jpg", "content.png", "style.png"} <= {path.name for path in out.iterdir()}
    record = files.read_record(out / "record.json")
    for runs in record["trainings"].values():
        (run,) = runs
        assert [point["step"] for point in run["curve"]] == [1, 2]
        assert run["settings"]["config"]["seed"] == 7
    return record


def test_baselines_learn_from_the_same_pairs(scripts, data, tmp_path, monkeypatch):
    all_of_them = scripts.decoder_baselines.variants

    def two(config):
        found = all_of_them(config)
        return {name: found[name] for name in ("Enc-Concat-Dec", "Enc-AdaIN-BNDec")}

    monkeypatch.setattr(scripts.decoder_baselines, "variants", two)
    monkeypatch.setattr(scripts.decoder_baselines, "SHOWN_SIZE", SIZE)
    scripts.run("huang_2017", *options_for(data, tmp_path, "baselines"))
    record = finished(tmp_path, "baselines")
    (concat,), (normalized,) = record["trainings"].values()
    assert concat["settings"]["data"]["decoder"] == "Enc-Concat-Dec"
    # The research-only photograph is not trained on.
    assert concat["settings"]["data"]["photographs"]["count"] == 1
    assert concat["settings"]["config"] == normalized["settings"]["config"]
    assert concat["curve"] != normalized["curve"]


def test_normalisations_learn_from_prepared_photographs(scripts, data, tmp_path, monkeypatch):
    figure = scripts.normalizations
    monkeypatch.setitem(johnson_2016.PRESETS, "cpu", johnson_2016.PRESETS["smoke"])
    prepared = {"dark": lambda pixels: pixels / 4, "bright": lambda pixels: pixels}
    monkeypatch.setattr(figure, "load_preparations", lambda: prepared)
    monkeypatch.setattr(figure, "SHOWN_SIZE", 96)
    monkeypatch.setattr(figure, "NORMALIZATIONS", ("batch",))  # the other has less state
    monkeypatch.setattr(figure, "STYLE", "water_lilies")
    monkeypatch.setitem(
        figure.STYLES, "water_lilies", ("style/train/waves.jpg", "made for this test")
    )
    options = options_for(data, tmp_path, "normalizations")
    scripts.run("huang_2017", *options, "--train-size", 44, "--photographs", "dark")
    record = finished(tmp_path, "normalizations")
    assert list(record["trainings"]) == ["batch, dark"]
    shown = files.load_image(tmp_path / "out" / "normalizations" / "batch,_dark_0.jpg")
    assert shown.shape == (1, 64, 96, 3)


def test_a_row_learns_beside_a_network(scripts, data, models, tmp_path):
    new = ("--new-style", "style/heldout/strokes.jpg", "--models", models.many)
    options = options_for(data, tmp_path, "few_shot")
    scripts.run("dumoulin_2017", *options, *new, "--train-size", 32)
    record = finished(tmp_path, "few_shot")
    row, alone = record["trainings"].values()
    assert row[0]["settings"]["network"] == "many"
    assert "network" not in alone[0]["settings"]
    assert row[0]["curve"] != alone[0]["curve"]


def test_styles_learn_together_and_alone(scripts, data, tmp_path, monkeypatch):
    monkeypatch.setitem(dumoulin_2017.PRESETS, "cpu", dumoulin_2017.PRESETS["smoke"])
    monkeypatch.setattr(scripts.learnt_together, "NUM_HELD_OUT", 3)
    monkeypatch.setattr(scripts.learnt_together, "SHOWN_SIZE", 64)
    fitted = []

    def fit(styles, stream, config, *encoder, workdir, held_out, **more):
        """Logs style losses of 6, 2 and 3 instead of training."""
        fitted.append((len(styles), np.asarray(held_out), next(stream)))
        Path(workdir).mkdir(parents=True)
        lines: list[Any] = [
            {"step": step, "held_out": {"content": step, "style": (6.0, 2.0, 3.0)[len(fitted) - 1]}}
            for step in (1, 2)
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"step": 2, "seconds": 1.0}])
        (Path(workdir) / "metrics.jsonl").write_text(text)
        network = DumoulinNetwork(num_styles=len(styles), width=config.width)
        pictures, weights = jnp.zeros((1, 32, 32, 3)), jnp.ones((1, len(styles)))
        variables = jax.jit(network.init)(jax.random.key(0), pictures, weights)
        return train.Trained(network, variables, 2, {"style": 1.0})

    monkeypatch.setattr(dumoulin_2017, "fit", fit)
    options = options_for(data, tmp_path, "together")
    scripts.run("dumoulin_2017", *options, "--learn", "waves", "strokes", "--train-size", 32)
    record = finished(tmp_path, "together")
    assert list(record["trainings"]) == ["one network", "waves", "strokes"]
    (many, all_of_them, batch), (_, first, batch_1), (_, second, batch_2) = fitted
    assert many == 2
    # Each style is measured on the photographs that the network of both paints in it.
    np.testing.assert_array_equal(first, all_of_them[0::2])
    np.testing.assert_array_equal(second, all_of_them[1::2])
    np.testing.assert_array_equal(batch, batch_1)  # and all learn from the same ones
    np.testing.assert_array_equal(batch, batch_2)
    assert record["percent"]["style"]["mean"] == pytest.approx(140)  # 6 over 2.5
    assert record["percent"]["content"]["mean"] == pytest.approx(0)
    picture = files.load_image(tmp_path / "out" / "together" / "one_network_0.jpg")
    assert picture.shape[2] == 2 * 64


@pytest.mark.parametrize("learn", [("waves",), ("waves", "waves")])
def test_what_cannot_be_learnt_together_is_refused(scripts, data, tmp_path, learn):
    options = options_for(data, tmp_path, "together")
    with pytest.raises(SystemExit, match="error: learn: wanted 2 to 16 styles, each once, got wav"):
        scripts.run("dumoulin_2017", *options, "--learn", *learn)
