"""The figures of Huang and Belongie 2017 that train, and their decoders and photographs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import short_trainings
from network_oracle import made_arrays, made_pictures
from skimage import color

from experiments.huang_2017 import __main__ as script
from experiments.huang_2017 import baselines, normalizations
from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.huang import Decoder
from nst_jax.papers import huang_2017, johnson_2016

pytestmark = pytest.mark.usefixtures("lax_promotion")

# Photographs prepared -----------------------------------------------------------------------------


def test_contrast_is_equalised_in_luminance_alone():
    generator = np.random.default_rng(0)
    # A dim picture of one hue.
    pixels = (generator.random((64, 48, 1)) ** 3 * np.array([0.5, 0.46, 0.42])).astype(np.float32)
    found = normalizations.equalize_contrast(pixels)

    def luminance(rgb):
        return color.rgb2ycbcr(rgb)[..., 0]

    # Of a grey picture colours cut nothing off: its luminance is that of an even histogram.
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    got = np.sort(luminance(normalizations.equalize_contrast(grey)).ravel())
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
def test_decoders_normalise_after_each_convolution(normalization, axes):
    decoder = baselines.NormalizedDecoder(
        architecture="vgg16", normalization=normalization, train=True
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 512)).astype(np.float32)
    given = jnp.asarray(x)
    part: dict[str, Any] = {"first": "conv4_1", "last": "conv4_1", "method": "run_layers"}
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


def test_the_last_convolution_answers_colours_as_they_are():
    decoder = baselines.NormalizedDecoder(architecture="vgg16")
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    plain = Decoder(architecture="vgg16")
    convolutions = jax.eval_shape(plain.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    added = set(shapes["params"]) - set(convolutions["params"])
    assert added == {f"{name}_norm" for name in convolutions["params"]} - {"conv1_1_norm"}


@pytest.mark.slow
def test_the_whole_has_the_papers_loss_and_concatenation_both_features():
    config = huang_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16", weights=config.weights)
    named = baselines.variants(config)
    decoder = named["Enc-AdaIN-Dec"].decoder
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, 2, 2, 512)))
    weights = made_arrays(shapes)["params"]
    pair = huang_2017.Pair(
        *(
            made_pictures(2, short_trainings.SIZE, short_trainings.SIZE, 3, seed=seed)
            for seed in (0, 1)
        )
    )
    args = jax.random.key(0), weights, {}, pair, params
    wanted, (terms, _) = jax.jit(huang_2017.make_loss_fn(config, encoder))(*args)
    make = baselines.make_loss_fn
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


@pytest.mark.slow
def test_baselines_learn_from_the_same_pairs(start, training_data, tmp_path, monkeypatch):
    all_of_them = baselines.variants

    def two(config):
        found = all_of_them(config)
        return {name: found[name] for name in ("Enc-Concat-Dec", "Enc-AdaIN-BNDec")}

    monkeypatch.setattr(baselines, "variants", two)
    monkeypatch.setattr(baselines, "SHOWN_SIZE", short_trainings.SIZE)
    start(script, *short_trainings.options_for(training_data, tmp_path, "baselines"))
    record = short_trainings.read_finished(tmp_path, "baselines")
    (concat,), (normalized,) = record["trainings"].values()
    assert concat["settings"]["data"]["decoder"] == "Enc-Concat-Dec"
    # The research-only photograph is not trained on.
    assert concat["settings"]["data"]["photographs"]["count"] == 1
    assert concat["settings"]["config"] == normalized["settings"]["config"]
    assert concat["curve"] != normalized["curve"]


@pytest.mark.slow
def test_normalisations_learn_from_prepared_photographs(
    start, training_data, tmp_path, monkeypatch
):
    figure = normalizations
    monkeypatch.setitem(johnson_2016.PRESETS, "cpu", johnson_2016.PRESETS["smoke"])
    prepared = {"dark": lambda pixels: pixels / 4, "bright": lambda pixels: pixels}
    monkeypatch.setattr(figure, "load_preparations", lambda: prepared)
    monkeypatch.setattr(figure, "SHOWN_SIZE", 96)
    monkeypatch.setattr(figure, "NORMALIZATIONS", ("batch",))  # the other has less state
    monkeypatch.setattr(figure, "STYLE", "water_lilies")
    monkeypatch.setitem(
        figure.STYLES, "water_lilies", ("style/train/waves.jpg", "made for this test")
    )
    options = short_trainings.options_for(training_data, tmp_path, "normalizations")
    start(script, *options, "--train-size", 44, "--photographs", "dark")
    record = short_trainings.read_finished(tmp_path, "normalizations")
    assert list(record["trainings"]) == ["batch, dark"]
    shown = files.load_image(tmp_path / "out" / "normalizations" / "batch,_dark_0.jpg")
    assert shown.shape == (1, 64, 96, 3)
