"""Oracles: the published losses written out in NumPy, and runs that were never stopped."""

import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint
import pytest

from nst_jax import train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.losses import feature_loss, gram_loss, sum_over_layers
from nst_jax.papers import johnson_2016
from nst_jax.papers.johnson_2016 import PRESETS, STYLE_LAYERS, Config
from nst_jax.train.perceptual_training import make_loss_weights

pytestmark = pytest.mark.usefixtures("lax_promotion")

CHANNELS = {"relu1_2": 64, "relu2_2": 128, "relu3_3": 256, "relu4_3": 512}
# What Caffe's VGG is given is 255 (x - mean); torchvision's is given (x - mean) / std.
GAIN = 255 / np.mean([1 / 0.229, 1 / 0.224, 1 / 0.225])


def make_pictures():
    """Two photographs of a hill and a sun, 48 pixels square, and a painting of waves, 40 x 56."""
    y, x = np.mgrid[0:48, 0:64].astype(np.float32)
    scene = np.stack([0.4 + y / 160, 0.6 + y / 240, 0.95 - y / 480], -1)
    scene[y > 36 - 12 * np.sin(x / 64 * np.pi)] = (0.2, 0.4, 0.15)
    scene[(y - 10) ** 2 + (x - 48) ** 2 < 36] = (1.0, 0.9, 0.5)
    y, x = np.mgrid[0:40, 0:56].astype(np.float32)
    wave = 0.5 + 0.5 * np.sin(1.1 * np.hypot(y - 14, x - 20))
    waves = np.stack([0.9 * wave, 0.3 + 0.4 * wave, 0.6 - 0.4 * wave], -1)
    return np.stack([scene[:, :48], scene[:, 16:, ::-1]]), jnp.asarray(waves[None])


TWO_PICTURES, PAINTING = make_pictures()


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


# The presets ----------------------------------------------------------------------------------


def test_the_papers_preset():
    paper = PRESETS["paper"]
    assert paper == Config()
    assert (paper.width, paper.normalization, paper.output) == (32, "batch", "unit")
    assert (paper.encoder, paper.weights, paper.pooling) == ("vgg16", None, "max")
    assert [layer for layer, _ in paper.content_layers] == ["relu2_2"]
    assert [layer for layer, _ in paper.style_layers] == list(CHANNELS)
    assert (paper.size, paper.style_size, paper.shorter_side) == (256, 256, None)
    assert not paper.flip
    assert (paper.batch_size, paper.num_steps) == (4, 40_000)
    assert (paper.learning_rate, paper.schedule) == (1e-3, "constant")
    assert (paper.clip_norm, paper.average_decay) == (None, None)
    # 1e-6 to 1e-4 times the half sum over pixels of 0 to 255.
    assert paper.tv_loss == "half_sum"
    assert 1e-6 * 255**2 <= paper.tv_weight <= 1e-4 * 255**2


def test_the_authors_preset_differs_from_the_papers_as_the_code_does():
    authors = PRESETS["authors"]
    differing = {
        "width": 16,
        "normalization": "instance",
        "output": "vgg",
        "content_layers": (("relu3_3", 1.0),),
        "style_size": 384,
    }
    assert authors == dataclasses.replace(PRESETS["paper"], **differing)


def test_every_preset_runs_without_a_download_and_is_like_itself():
    for config in PRESETS.values():
        assert (config.encoder, config.weights) == ("vgg16", None)
        assert dataclasses.replace(config) == config
        assert json.loads(json.dumps(dataclasses.asdict(config)))["seed"] == 0


def mean_square(difference):
    return np.mean(np.asarray(difference, np.float64) ** 2)


def gram(features):
    """Divided by C H W, of one picture of shape (H, W, C)."""
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return rows.T @ rows / rows.size


def test_the_codes_weights_mean_the_same_here():
    """train.lua: content 1 and style 5, means of squares, on features of Caffe's scale."""
    rng = np.random.default_rng(0)
    config = PRESETS["authors"]
    layers = {"relu1_2": 64, "relu3_3": 256}
    found, wanted = (
        {layer: rng.random((6, 7, n), np.float32) for layer, n in layers.items()} for _ in range(2)
    )
    weights = make_loss_weights(config)
    style_weights = tuple((layer, weights.style[layer]) for layer in layers)
    assert list(weights.style) == list(STYLE_LAYERS)
    assert len(style_weights) == 2

    # gram_loss takes FᵀF over positions alone.
    ours = sum_over_layers(
        gram_loss,
        {k: jnp.asarray(gram(f) * f.shape[-1], jnp.float32)[None] for k, f in found.items()},
        {k: jnp.asarray(gram(f) * f.shape[-1], jnp.float32)[None] for k, f in wanted.items()},
        style_weights,
    )
    literal = sum(
        5.0 * mean_square(gram(GAIN * found[layer]) - gram(GAIN * wanted[layer]))
        for layer in layers
    )
    assert float(ours) == pytest.approx(literal, rel=1e-4)

    ours = feature_loss(
        {k: jnp.asarray(f)[None] for k, f in found.items()},
        {k: jnp.asarray(f)[None] for k, f in wanted.items()},
        layer_weights=tuple(weights.content.items()),
    )
    literal = 1.0 * mean_square(GAIN * found["relu3_3"] - GAIN * wanted["relu3_3"])
    assert float(ours) == pytest.approx(literal, rel=1e-4)


BAD_FIELDS = {
    "width": (0, "width: wanted 1 or more, got 0"),
    "style_size": (15, "style_size: wanted 16 or more"),
    "batch_size": (0, "batch_size: wanted 1 or more"),
    "num_steps": (0, "num_steps: wanted 1 or more"),
    "size": (46, "size: wanted a multiple of 4 from 44 on, got 46"),
    "shorter_side": ((47, 64), "shorter_side: wanted a range from size, 48, on"),
    "content_weight": (-1.0, "content_weight: wanted a finite number, 0 or more, got -1.0"),
    "style_weight": (float("nan"), "style_weight: wanted a finite number"),
    "tv_weight": (float("inf"), "tv_weight: wanted a finite number"),
    "style_layers": ((("relu1_2", -1.0),), "style_layers: wanted finite weights, 0 or more"),
    "learning_rate": (0.0, "learning_rate: wanted a finite number above 0, got 0.0"),
    "clip_norm": (float("nan"), "clip_norm: wanted a finite number above 0, got nan"),
    "seed": (-1, "seed: wanted 0 to 4294967295, got -1"),
}


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_what_cannot_be_run_is_refused(field):
    value, complaint = BAD_FIELDS[field]
    with pytest.raises(ValueError, match=f"^{complaint}") as caught:
        dataclasses.replace(PRESETS["smoke"], **{field: value})
    assert "\n" not in str(caught.value)


def test_the_least_sizes_are_accepted():
    dataclasses.replace(PRESETS["smoke"], size=44, shorter_side=None, style_size=16)
    dataclasses.replace(PRESETS["smoke"], shorter_side=(48, 48), seed=2**32 - 1)
    with pytest.raises(ValueError, match="style_layers: wanted at least one layer"):
        dataclasses.replace(PRESETS["smoke"], content_layers=(), style_layers=())


# The objective --------------------------------------------------------------------------------


def published_terms(config, features_of, stylized, content, style):
    """Johnson et al.'s three terms, a mean over the pictures of a batch, weights included."""
    layers = tuple({layer for layer, _ in (*config.content_layers, *config.style_layers)})
    found, kept, painted = (features_of(x, layers) for x in (stylized, content, style))
    terms = {"content": 0.0, "style": 0.0, "tv": 0.0}
    for number, picture in enumerate(np.asarray(stylized, np.float64)):
        for layer, weight in config.content_layers:
            difference = found[layer][number] - kept[layer][number]
            terms["content"] += config.content_weight * weight * mean_square(difference)
        for layer, weight in config.style_layers:
            channels = CHANNELS[layer]
            difference = channels * (gram(found[layer][number]) - gram(painted[layer][0]))
            terms["style"] += config.style_weight * weight * mean_square(difference)
        down, right = np.diff(picture, axis=0), np.diff(picture, axis=1)
        terms["tv"] += (
            config.tv_weight
            * {
                "half_sum": 0.5 * (np.sum(down[:, :-1] ** 2) + np.sum(right[:-1] ** 2)),
                "mean": mean_square(down) + mean_square(right),
            }[config.tv_loss]
        )
    return {name: term / len(stylized) for name, term in terms.items()}


def plain_features(encoder, params):
    def features_of(images, layers):
        found = jax.jit(encoder.apply, static_argnames="layers")(params, images, layers=layers)
        return {layer: np.asarray(features, np.float64) for layer, features in found.items()}

    return features_of


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "cpu"])
def test_the_objective_is_the_published_one(preset, vgg16):
    encoder, params = vgg16
    config = dataclasses.replace(
        PRESETS[preset], style_size=56, pooling="average", precision="float32"
    )
    content = jnp.asarray(TWO_PICTURES)
    stylized = content[:, ::-1] * jnp.float32(0.8)
    # What the encoder brings along gives way to the config's.
    given = dataclasses.replace(encoder, precision="bfloat16")
    grams = johnson_2016.compute_style_grams(config, PAINTING, given, params)
    objective = jax.jit(johnson_2016.make_objective(config, given))

    total, terms = objective(stylized, content, grams, params)

    features_of = plain_features(dataclasses.replace(encoder, pooling="average"), params)
    wanted = published_terms(config, features_of, stylized, content, PAINTING)
    assert terms.keys() == wanted.keys()
    for name, term in wanted.items():
        assert float(terms[name]) == pytest.approx(term, rel=1e-3), name
    assert float(total) == pytest.approx(sum(wanted.values()), rel=1e-3)


def test_the_style_is_scaled_by_its_longer_side(vgg16):
    encoder, params = vgg16
    config = dataclasses.replace(
        PRESETS["smoke"], style_size=28, content_layers=(), style_layers=(("relu1_2", 1.0),)
    )

    grams = johnson_2016.compute_style_grams(config, PAINTING, encoder, params)

    halved = jax.image.resize(PAINTING, (1, 20, 28, 3), "linear", antialias=True)
    features = plain_features(encoder, params)(halved, ("relu1_2",))["relu1_2"][0]
    np.testing.assert_allclose(grams["relu1_2"][0], 64 * gram(features), rtol=1e-3, atol=1e-5)


# Training -------------------------------------------------------------------------------------

CONFIG = dataclasses.replace(
    PRESETS["smoke"],
    normalization="batch",
    output="unit",
    size=44,
    shorter_side=None,
    style_size=56,
    num_steps=30,
    learning_rate=0.01,
    average_decay=0.9,
    content_layers=(("relu1_2", 1.0),),
    style_layers=(("relu1_2", 1.0),),
)


class Pictures:
    """Two photographs, turned upside down at every second step."""

    def __init__(self):
        self.batch, self.position = np.asarray(TWO_PICTURES)[:, :44, :44], 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return self.batch if self.position % 2 else np.ascontiguousarray(self.batch[:, ::-1])

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def fit(vgg16, workdir, *, config=CONFIG, on_step=None):
    pictures = Pictures()
    return johnson_2016.fit(
        PAINTING,
        pictures,
        config,
        *vgg16,
        held_out=jnp.asarray(pictures.batch),
        samples=jnp.asarray(pictures.batch[:1]),
        reporting=train.Reporting(workdir, data={"content": "two"}, on_step=on_step),
    )


@pytest.fixture(scope="module")
def whole(vgg16, tmp_path_factory):
    """A run that is never stopped: what it returned, its folder, and what it reported."""
    folder, reports = tmp_path_factory.mktemp("whole"), []
    with jax.numpy_dtype_promotion("standard"):
        return fit(vgg16, folder, on_step=reports.append), folder, reports


@pytest.fixture(scope="module")
def saved(whole):
    """The arrays of the run's last checkpoint by name."""
    arrays = whole[1] / "checkpoints" / "step_000030" / "arrays"
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        return checkpointer.restore(arrays.resolve())


def assert_same(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.slow
def test_training_lowers_the_loss(whole):
    trained, _, reports = whole
    assert trained.step == CONFIG.num_steps
    assert [report.step for report in reports] == list(range(1, CONFIG.num_steps + 1))
    for report in reports:
        assert set(report.terms) == {"content", "style", "tv"}
        assert report.total == pytest.approx(sum(report.terms.values()), rel=1e-5)
    assert reports[-1].total < 0.5 * reports[0].total


@pytest.mark.slow
def test_the_held_out_losses_are_the_returned_networks(whole, vgg16):
    trained, folder, _ = whole
    batch = Pictures().batch
    stylized = jax.jit(trained.network.apply)(trained.variables, batch)

    wanted = published_terms(CONFIG, plain_features(*vgg16), stylized, batch, PAINTING)

    total = sum(wanted.values())
    assert trained.held_out == pytest.approx({"total": total, **wanted}, rel=1e-3)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (logged,) = [line["held_out"] for line in lines if "held_out" in line]
    assert logged == pytest.approx(trained.held_out, rel=1e-6)


@pytest.mark.slow
def test_the_networks_statistics_are_learnt_too(whole):
    trained, *_ = whole
    batch_stats = trained.variables["batch_stats"]
    # The green and blue of the photograph are not ImageNet's means, nor are its variances 1.
    for name, statistics in batch_stats.items():
        assert np.abs(statistics["mean"]).max() > 0, name
        assert np.abs(statistics["var"] - 1).max() > 0.01, name


@pytest.mark.slow
def test_the_moving_average_is_returned(whole, saved):
    trained, *_ = whole
    kernel = trained.variables["params"]["contract1"]["kernel"]
    np.testing.assert_array_equal(kernel, saved["average.contract1.kernel"])
    assert np.abs(kernel - saved["params.contract1.kernel"]).max() > 1e-5


@pytest.mark.slow
def test_every_parameter_has_had_a_gradient(whole, saved):
    # As Adam's mean of their squares tells.
    moments = {name.partition(".nu.")[2]: array for name, array in saved.items() if ".nu." in name}
    params = jax.tree_util.tree_leaves_with_path(whole[0].variables["params"])
    assert len(moments) == len(params)
    for path, _ in params:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        # A bias before a normalisation is taken out again by it.
        if not name.endswith(".bias") or "_norm" in name or name == "output.bias":
            assert (moments[name] > 1e-12).mean() > 0.5, name


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_network(whole, vgg16, tmp_path):
    def press_ctrl_c(report):
        if report.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = fit(vgg16, tmp_path, on_step=press_ctrl_c)

    assert 5 <= stopped.step <= 8
    assert stopped.held_out == {}
    reports = []
    trained = fit(vgg16, tmp_path, on_step=reports.append)
    assert [report.step for report in reports] == list(range(stopped.step + 1, 31))
    assert trained.step == 30
    assert_same(trained.variables, whole[0].variables)
    assert trained.held_out == whole[0].held_out
    # Samples of the end alone, since 250 steps between them are more than there are.
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step_000030.jpg"]


@pytest.mark.slow
def test_other_settings_or_data_are_another_run(whole, vgg16):
    other = dataclasses.replace(CONFIG, style_weight=7.0)
    with pytest.raises(ValueError, match=r"holds a run with config\.style_weight 6\.0, this one"):
        fit(vgg16, whole[1], config=other)
