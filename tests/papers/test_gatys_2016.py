"""Oracles: the published formulas written out in NumPy, and PyTorch with the same weights."""

import dataclasses
import functools
import json
import os
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import encode
from vgg_oracle import STYLE_LAYERS, random_arrays

from nst_jax import files
from nst_jax.encoders.preprocessing import CAFFE
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.losses import perceptual
from nst_jax.losses.styles import STYLE_LOSSES
from nst_jax.ops import color, resizing
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import PRESETS, Config

ASSETS = Path(__file__).parents[2] / "nst_jax" / "assets"
CHANNELS = (64, 128, 256, 512, 512)
SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


@pytest.fixture(scope="module")
def vgg19():
    """Made weights, Caffe's preprocessing: activations of the usual size, whatever they mean."""
    arrays = random_arrays("vgg19", scale=1 / 60)
    return VGG("vgg19", CAFFE), {"params": jax.tree.map(jnp.asarray, arrays)}


def smoke(**changes):
    return dataclasses.replace(SMOKE, **changes)


def start_of(content, style, config, network, **more):
    """The picture that a run begins with, and its record's only entry."""
    config = dataclasses.replace(config, num_steps=0)
    image, record = gatys_2016.stylize(content, style, config, *network, **more)
    (entry,) = record["steps"]
    return np.asarray(image), entry


# The presets ----------------------------------------------------------------------------------


def test_the_papers_preset():
    preset = PRESETS["paper"]
    assert (preset.encoder, preset.weights) == ("vgg19", "vgg19-normalized")  # §2
    assert preset.pooling == "average"  # §2
    assert preset.init == "noise"  # §2.3
    assert (preset.size, preset.num_steps, preset.scales) == (512, 500, ((1.0, 1.0),))
    assert [layer for layer, _ in preset.content_layers] == ["conv4_2"]
    assert dict(preset.style_layers) == {
        f"conv{block}_1": pytest.approx(1 / 5) for block in range(1, 6)
    }
    assert preset.tv_weight == 0
    # α/β of figure 3 B, as the authors' code for the normalised network has it.
    assert preset.content_weight / preset.style_weight == pytest.approx(1e-3)
    assert (preset.optimizer, preset.learning_rate, preset.history) == ("lbfgs", 1.0, 100)


def test_the_authors_presets():
    preset = PRESETS["authors"]
    assert (preset.encoder, preset.pooling, preset.init) == ("vgg19", "max", "content")
    assert (preset.size, preset.num_steps, preset.scales) == (512, 500, ((1.0, 1.0),))
    assert (preset.optimizer, preset.learning_rate, preset.history) == ("lbfgs", 1.0, 100)
    again = PRESETS["authors_high_resolution"]
    # 500 steps at 512 pixels, enlarged, 200 steps at 800.
    (coarse, first_share), (_, second_share) = again.scales
    assert (again.size, again.num_steps) == (800, 700)
    assert coarse * 800 == pytest.approx(512)
    assert (first_share * 700, second_share * 700) == pytest.approx((500, 200))
    unchanged = {"size": 512, "num_steps": 500, "scales": ((1.0, 1.0),)}
    assert dataclasses.replace(again, **unchanged) == preset


def test_the_high_resolution_of_gatys_2017():
    preset = PRESETS["gatys_2017_high_resolution"]
    (coarse, first_share), (_, second_share) = preset.scales
    assert preset.size == 1024
    assert coarse * 1024 == pytest.approx(512)
    steps = first_share * preset.num_steps, second_share * preset.num_steps
    assert steps == pytest.approx((500, 200))
    assert steps[0] / steps[1] == pytest.approx(2.5)
    changed = {"size": 512, "num_steps": 500, "scales": ((1.0, 1.0),)}
    assert dataclasses.replace(preset, **changed) == PRESETS["authors"]


def test_jcjohnsons_preset():
    preset = PRESETS["johnson_neural_style"]
    assert (preset.encoder, preset.weights, preset.pooling) == ("vgg19", "vgg19-keras", "max")
    assert (preset.size, preset.num_steps, preset.scales) == (512, 1000, ((1.0, 1.0),))
    assert preset.init == "noise"
    assert preset.noise_std * 256 == pytest.approx(0.001)  # in pixels of 0 to 256
    assert (preset.optimizer, preset.learning_rate, preset.history) == ("lbfgs", 1.0, 100)


def test_the_default_needs_no_download():
    assert (PRESETS["default"].encoder, PRESETS["default"].weights) == ("vgg16", None)
    assert PRESETS["default"] == Config()


def mean_square(difference):
    return np.mean(difference**2)


# Each code's style loss of a layer: raw is FᵀF, undivided; m positions, n channels.
STYLE_FORMULAS = {
    "paper": lambda raw, target, m, n: 1e9 / 5 * mean_square(raw / m - target / m),
    "authors": lambda raw, target, m, n: 1e3 / n**2 * mean_square(raw / m - target / m),
    "johnson_neural_style": lambda raw, target, m, n: (
        1e2 * mean_square(raw / (m * n) - target / (m * n))
    ),
}
CONTENT_WEIGHTS = {"paper": 1e6, "authors": 1.0, "johnson_neural_style": 5.0}


def raw_gram(features):
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return rows.T @ rows, len(rows)


def published_terms(preset, image, content, style, network):
    """The weighted terms as the publication's own code counts them."""
    encoder, params = network
    kind = "conv" if preset == "paper" else "relu"
    layers = tuple(layer.replace("relu", kind) for layer in (*STYLE_LAYERS, "relu4_2"))
    mine, theirs, styles = (
        {layer: np.asarray(features, np.float64) for layer, features in found.items()}
        for found in (encode(encoder, params, x, layers=layers) for x in (image, content, style))
    )
    style_loss = 0.0
    for layer, channels in zip(layers[:5], CHANNELS, strict=True):
        (raw, positions), (target, of_style) = raw_gram(mine[layer]), raw_gram(styles[layer])
        scaled = target * positions / of_style  # pictures of two sizes
        style_loss += STYLE_FORMULAS[preset](raw, scaled, positions, channels)
    pixels = 256 * np.asarray(image, np.float64)  # jcjohnson's run to 256
    down, right = np.diff(pixels, axis=1)[:, :, :-1], np.diff(pixels, axis=2)[:, :-1]
    tv = 1e-3 * 0.5 * (down**2 + right**2).sum() if preset == "johnson_neural_style" else 0.0
    content_loss = CONTENT_WEIGHTS[preset] * mean_square(mine[layers[5]] - theirs[layers[5]])
    return {"content": content_loss, "style": style_loss, "tv": tv}


@pytest.mark.parametrize(
    "preset", ["paper", pytest.param("authors", marks=pytest.mark.slow), "johnson_neural_style"]
)
def test_presets_weigh_as_the_published_code_does(preset, photograph, painting, vgg19):
    given = 0.5 * photograph + 0.5 * photograph[:, ::-1]
    config = dataclasses.replace(PRESETS[preset], size=64, init="a file's path", style_size=56)
    image, entry = start_of(photograph, painting, config, vgg19, initial_image=given)
    np.testing.assert_array_equal(image, given)
    encoder = dataclasses.replace(vgg19[0], pooling=config.pooling)
    terms = published_terms(preset, given, photograph, painting, (encoder, vgg19[1]))
    wanted = {"step": 0, "total": sum(terms.values()), **terms}
    assert entry == pytest.approx(wanted, rel=1e-3)


# Where a run begins ---------------------------------------------------------------------------


def test_it_begins_with_the_picture_that_init_names(photograph, painting, vgg16):
    style = painting[:, :, :40].repeat(2, 1)[:, :48].repeat(2, 2)[:, :, :64]  # of content's size
    given = 1 - photograph
    for init, wanted in (("content", photograph), ("style", style), ("mine.png", given)):
        image, _ = start_of(photograph, style, smoke(init=init), vgg16, initial_image=given)
        np.testing.assert_array_equal(image, wanted, err_msg=init)


def test_noise_has_the_stated_mean_deviation_and_seed(photograph, painting, vgg16):
    config = smoke(init="noise", noise_std=0.05, seed=3)
    image, _ = start_of(photograph, painting, config, vgg16)
    assert image.shape == photograph.shape
    imagenet = [0.485, 0.456, 0.406]
    standard_error = 0.05 / np.sqrt(48 * 64)
    np.testing.assert_allclose(image.mean((0, 1, 2)), imagenet, atol=4 * standard_error)
    np.testing.assert_allclose(image.std((0, 1, 2)), 0.05, rtol=0.06)
    again, _ = start_of(photograph, painting, config, vgg16)
    np.testing.assert_array_equal(image, again)
    other, _ = start_of(photograph, painting, dataclasses.replace(config, seed=4), vgg16)
    assert abs(np.corrcoef(image.ravel(), other.ravel())[0, 1]) < 0.5  # the colours are common
    calm, _ = start_of(photograph, painting, dataclasses.replace(config, noise_std=0.0), vgg16)
    np.testing.assert_allclose(calm[0, 5, 7], imagenet, rtol=1e-6)


def test_a_picture_of_ones_own_must_be_there(photograph, painting, vgg16):
    with pytest.raises(ValueError, match=r"init: 'mine.png' is not content, noise or style; for"):
        start_of(photograph, painting, smoke(init="mine.png"), vgg16)


# What it is compared with ---------------------------------------------------------------------


def test_the_first_of_two_styles_alone(photograph, painting, vgg16):
    second = photograph[:, :, ::-1]
    alone, record = gatys_2016.stylize(photograph, painting, SMOKE, *vgg16)
    both, blended = gatys_2016.stylize(
        photograph, [painting, second], smoke(style_blend=(1.0, 0.0)), *vgg16
    )
    np.testing.assert_array_equal(both, alone)
    assert blended["steps"] == record["steps"]
    _, halves = start_of(photograph, [painting, second], SMOKE, vgg16)
    _, equal = start_of(photograph, [painting, second], smoke(style_blend=(3.0, 3.0)), vgg16)
    assert halves == equal
    assert halves["style"] != pytest.approx(record["info"]["initial"]["style"], rel=1e-2)


def test_the_style_has_a_size_of_its_own(photograph, painting, vgg16):
    small = jax.image.resize(painting, (1, 20, 28, 3), "linear", antialias=True)
    _, at_content_size = start_of(photograph, painting, SMOKE, vgg16)
    _, at_28 = start_of(photograph, painting, smoke(style_size=28), vgg16)
    _, resized_before = start_of(photograph, small, smoke(style_size=28), vgg16)
    assert at_28["style"] == pytest.approx(resized_before["style"], rel=1e-5)
    assert at_28["style"] != pytest.approx(at_content_size["style"], rel=1e-2)


def test_the_style_shrinks_with_the_picture(photograph, painting, vgg16):
    """At half the size the style is at half of its own size, so that strokes keep their share."""
    config = smoke(size=128, num_steps=2, style_size=112)
    _, record = gatys_2016.stylize(photograph, painting, config, *vgg16)
    assert record["info"]["sizes"] == [[48, 64], [96, 128]]
    _, wanted = start_of(photograph, painting, smoke(style_size=56), vgg16)
    assert record["info"]["initial"] == pytest.approx(wanted, rel=1e-5)


def test_the_content_is_brought_to_size(photograph, painting, vgg16):
    image, record = gatys_2016.stylize(photograph, painting, smoke(size=128, num_steps=0), *vgg16)
    assert image.shape == (1, 96, 128, 3)
    assert record["info"]["sizes"] == [[96, 128]]
    image, _ = start_of(photograph, painting, smoke(size=None), vgg16)
    assert image.shape == photograph.shape


@pytest.mark.parametrize(
    ("content", "style", "config", "complaint"),
    [
        (
            (2, 48, 64, 3),
            [(1, 40, 56, 3)],
            SMOKE,
            r"content: wanted one picture, \(1, H, W, 3\), got",
        ),
        (
            (1, 48, 64, 3),
            [(2, 40, 56, 3)],
            SMOKE,
            r"style: wanted one picture, \(1, H, W, 3\), got",
        ),
        ((1, 48, 64, 3), [], SMOKE, "style: wanted at least one picture, got none"),
        (
            *((1, 48, 64, 3), [(1, 40, 56, 3)]),
            *(smoke(style_blend=(1.0, 2.0)), "style_blend: wanted a weight for each style, 1"),
        ),
        (
            *((1, 48, 64, 3), [(1, 40, 56, 3)]),
            *(smoke(style_layers=(("relu6_1", 1.0),)), "no layer called 'relu6_1' in vgg16"),
        ),
    ],
)
def test_what_does_not_fit_is_refused(content, style, config, complaint, vgg16):
    with pytest.raises(ValueError, match=complaint) as caught:
        gatys_2016.stylize(jnp.ones(content), [jnp.ones(shape) for shape in style], config, *vgg16)
    assert "\n" not in str(caught.value)


def test_another_style_loss_has_layers_and_a_weight_of_its_own():
    base = PRESETS["default"]
    patches = gatys_2016.with_style_loss(base, "mrf")
    assert [layer for layer, _ in patches.style_layers] == ["relu3_1", "relu4_1"]
    assert (patches.style_loss, patches.content_weight) == ("mrf", base.content_weight)
    assert patches.style_weight != base.style_weight
    assert gatys_2016.with_style_loss(patches, "gram") == base
    heavy = dataclasses.replace(base, content_weight=1e6)
    assert gatys_2016.with_style_loss(heavy, "mrf").style_weight == 1e6 * patches.style_weight
    with pytest.raises(ValueError, match="style_blend: wanted equal shares with style_loss mrf"):
        dataclasses.replace(patches, style_blend=(1.0, 2.0))
    for name in STYLE_LOSSES:
        assert gatys_2016.with_style_loss(base, name).style_loss == name


def test_the_steps_of_nearest_points_are_short(photograph, painting, vgg16):
    """A weight and a rate at which the first step is long, which Gram matrices take as it is."""
    start, moved = resizing.resize(photograph, height=48, width=64), {}
    for name in ("gram", "relaxed_transport"):
        config = smoke(style_loss=name, style_weight=1e4, learning_rate=1e3, num_steps=1)
        config = dataclasses.replace(config, scales=((1.0, 1.0),))
        image, _ = gatys_2016.stylize(photograph, painting, config, *vgg16)
        moved[name] = float(jnp.sqrt(jnp.mean(jnp.square(image - start))))
    assert moved["gram"] > 0.011
    assert 0.005 < moved["relaxed_transport"] <= 0.01  # clipping to 0 and 1 takes a little


@pytest.mark.parametrize(
    "name", ["wasserstein", "sliced_wasserstein", pytest.param("mrf", marks=pytest.mark.slow)]
)
def test_another_style_loss_is_optimised(photograph, painting, vgg16, name):
    layers = (("relu1_1", 0.5), ("relu2_1", 0.5))
    config = smoke(style_loss=name, style_layers=layers, scales=((1.0, 1.0),))
    _, record = gatys_2016.stylize(photograph, [painting, painting], config, *vgg16)
    first, last = record["info"]["initial"], record["steps"][-1]
    assert last["total"] < 0.99 * first["total"]
    # The loss that falls is that of the painting's features.
    loss = STYLE_LOSSES[name]
    features, targets = (
        encode(*vgg16, image, layers=("relu1_1", "relu2_1"))
        for image in (
            resizing.resize(photograph, height=48, width=64),
            resizing.resize(painting, height=46, width=64),
        )
    )
    distance = jax.jit(lambda found, wanted: loss.distance(found, loss.measure(wanted)))
    literal = sum(
        config.style_weight * weight * float(distance(features[k], targets[k]))
        for k, weight in layers
    )
    assert first["style"] == pytest.approx(literal, rel=1e-3)


# The run and its record -----------------------------------------------------------------------


def test_smoke_from_end_to_end(photograph, painting, vgg16):
    reports = []
    image, record = gatys_2016.stylize(photograph, painting, SMOKE, *vgg16, on_step=reports.append)
    assert image.shape == photograph.shape
    assert image.dtype == jnp.float32
    assert 0.0 <= float(image.min()) < float(image.max()) <= 1.0
    assert set(record) == {"config", "versions", "device", "seconds", "steps", "info"}
    assert [entry["step"] for entry in record["steps"]] == [1, 2, 3, 4]
    for entry in (*record["steps"], record["info"]["initial"]):
        assert set(entry) == {"step", "total", "content", "style", "tv"}
        terms = entry["content"] + entry["style"] + entry["tv"]
        assert entry["total"] == pytest.approx(terms, rel=1e-5)
    assert [report.total for report in reports[:-1]] == [
        entry["total"] for entry in record["steps"][:-1]
    ]
    assert record["config"] == dataclasses.asdict(SMOKE)
    assert {"nst_jax", "jax"} <= set(record["versions"])
    assert record["seconds"]["run"] > 0
    assert record["info"]["encoder"] == "vgg16"
    assert record["info"]["sizes"] == [[48, 64]]
    assert record["info"]["interrupted"] is False
    assert record["info"]["restarts"] == []
    assert json.loads(json.dumps(record))["steps"] == record["steps"]


def test_the_loss_falls(photograph, painting, vgg16):
    config = smoke(num_steps=40, style_weight=50.0, content_weight=0.1)
    _, record = gatys_2016.stylize(photograph, painting, config, *vgg16)
    assert record["steps"][-1]["total"] < 0.2 * record["info"]["initial"]["total"]


def test_the_last_entry_is_that_of_the_picture_returned(photograph, painting, vgg16):
    config = smoke(style_weight=3e3, num_steps=6)
    image, record = gatys_2016.stylize(photograph, painting, config, *vgg16)
    assert float(image.max()) == 1.0  # some of it was clipped
    encoder, params = vgg16
    layers = ("relu1_1", "relu2_1", "relu2_2")
    size = (1, 46, 64, 3)  # the painting, its longer side as the content's
    painting = jax.image.resize(painting, size, "linear", antialias=True)
    mine, theirs, styles = (
        encode(encoder, params, x, layers=layers) for x in (image, photograph, painting)
    )
    style = 0.0
    for layer in layers[:2]:
        (raw, positions), (target, of_target) = raw_gram(mine[layer]), raw_gram(styles[layer])
        style += 3e3 * 0.5 * mean_square(raw / positions - target / of_target)
    pixels = np.asarray(image, np.float64)
    wanted = {
        "step": 6,
        "content": mean_square(np.asarray(mine["relu2_2"]) - np.asarray(theirs["relu2_2"])),
        "style": style,
        "tv": SMOKE.tv_weight * sum(mean_square(np.diff(pixels, axis=axis)) for axis in (1, 2)),
    }
    wanted["total"] = wanted["content"] + wanted["style"] + wanted["tv"]
    assert record["steps"][-1] == pytest.approx(wanted, rel=1e-3)


def test_remat_changes_nothing_but_memory(photograph, painting, vgg16, monkeypatch):
    plain, record = gatys_2016.stylize(photograph, painting, SMOKE, *vgg16)
    monkeypatch.delattr(perceptual, "objective")  # the whole in one program
    sparing, same = gatys_2016.stylize(photograph, painting, smoke(remat=True), *vgg16)
    np.testing.assert_allclose(sparing, plain, atol=1e-4)
    for mine, wanted in zip(same["steps"], record["steps"], strict=True):
        assert mine == pytest.approx(wanted, rel=1e-4)


@pytest.mark.slow
def test_pooling_and_precision_are_set_on_the_encoder(photograph, painting, vgg16):
    # Deep enough for layers that are wide, whose operands bfloat16 rounds.
    deep = smoke(content_layers=(("relu4_1", 1.0),), style_layers=(("relu3_1", 1.0),))
    image = {"initial_image": photograph[:, ::-1]}
    _, plain = start_of(photograph, painting, dataclasses.replace(deep, init="x"), vgg16, **image)
    rough, average = (
        start_of(
            photograph, painting, dataclasses.replace(deep, init="x", **change), vgg16, **image
        )[1]
        for change in ({"precision": "bfloat16"}, {"pooling": "average"})
    )
    assert rough["total"] != plain["total"]
    assert rough["total"] == pytest.approx(plain["total"], rel=1e-2)
    assert average["total"] != pytest.approx(plain["total"], rel=3e-2)


# Saving, resuming, Ctrl-C ---------------------------------------------------------------------


class Keeper:
    """Keeps what is saved as a file would: copied, and the metadata as JSON."""

    def __init__(self):
        self.saved: dict[int, tuple[dict[str, np.ndarray], str]] = {}

    def __call__(self, arrays, metadata):
        copies = {name: np.array(array) for name, array in arrays.items()}
        self.saved[metadata["step"]] = copies, json.dumps(metadata)

    def load(self, step) -> Any:
        arrays, metadata = self.saved[step]
        return arrays, json.loads(metadata)


TWO_SIZES = smoke(size=128, num_steps=6)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_picture(photograph, painting, vgg16):
    keeper = Keeper()
    whole, record = gatys_2016.stylize(
        photograph, painting, TWO_SIZES, *vgg16, save=keeper, save_every=2
    )
    assert record["info"]["sizes"] == [[48, 64], [96, 128]]
    assert list(keeper.saved) == [2, 4]
    for step in keeper.saved:
        saved = keeper.load(step)
        saved[1]["seconds"] = {"compile": 1000.0, "run": 2000.0}
        image, resumed = gatys_2016.stylize(photograph, painting, TWO_SIZES, *vgg16, resume=saved)
        np.testing.assert_array_equal(image, whole)
        assert resumed["steps"] == record["steps"]
        assert resumed["info"] == record["info"]
        assert resumed["seconds"]["compile"] >= 1000.0  # of both parts together
        assert resumed["seconds"]["run"] > 2000.0


def made_masks():
    upper = np.zeros((1, 24, 32), np.float32)
    upper[:, :10] = 1
    return upper


@pytest.mark.slow
def test_a_run_with_masks_resumes_and_says_what_they_were(photograph, painting, vgg16):
    keeper, styles = Keeper(), [painting, photograph[:, ::-1]]
    part = np.zeros((40, 56), np.float32)
    part[:, 20:] = 1
    config = dataclasses.replace(TWO_SIZES, num_steps=4, mask_mode="inside", mask_growth=1)
    given: Any = {"masks": made_masks(), "style_masks": [part, None]}
    whole, record = gatys_2016.stylize(
        photograph, styles, config, *vgg16, **given, save=keeper, save_every=1
    )
    assert record["info"]["sizes"] == [[48, 64], [96, 128]]
    assert record["info"]["guidance"] == {
        "mode": "inside",
        "growth": 1,
        "regions": [pytest.approx(10 / 24, abs=1e-4), pytest.approx(14 / 24, abs=1e-4)],
        "style_regions": [pytest.approx(36 / 56, abs=1e-4), None],
        "skipped": [],
    }
    for step in (1, 3):  # at either size
        saved = keeper.load(step)
        image, resumed = gatys_2016.stylize(
            photograph, styles, config, *vgg16, **given, resume=saved
        )
        np.testing.assert_array_equal(image, whole)
        assert resumed["info"] == record["info"]
    for change in ({"masks": given["masks"] * 0.5}, {"style_masks": None}):
        with pytest.raises(ValueError, match="resume: the saved run had other pictures or masks"):
            gatys_2016.stylize(
                photograph, styles, config, *vgg16, **{**given, **change}, resume=keeper.load(1)
            )


def test_one_mask_of_everything_changes_nothing(photograph, painting, vgg16):
    _, plain = start_of(photograph, painting, SMOKE, vgg16)
    ones = np.ones((1, 6, 8), np.float32)
    for given in ({"masks": ones}, {"style_masks": [np.ones((40, 56), np.float32)]}):
        _, guided = start_of(photograph, painting, SMOKE, vgg16, **given)
        assert guided == pytest.approx(plain, rel=1e-4)


def test_masks_that_do_not_fit_are_refused(photograph, painting, vgg16):
    upper = made_masks()
    thin = np.zeros((1, 48, 64), np.float32)
    thin[:, 20] = 1
    inside, deep = smoke(mask_mode="inside"), (("relu2_1", 1.0),)
    for styles, given, config, told in (
        (1, {"masks": np.concatenate([upper, upper])}, SMOKE, "masks: wanted 1, one for each"),
        (1, {"masks": upper[:, :, :20]}, SMOKE, "masks: wanted the picture's proportions"),
        (2, {"masks": upper}, smoke(style_blend=(1.0, 1.0)), "masks: wanted without style_blend"),
        (
            1,
            {"masks": upper},
            smoke(style_loss="mrf"),
            "style_loss: wanted one that compares region by region where there are masks, gram or",
        ),
        (
            *(1, {"style_masks": [upper[0, :40, :56]]}, smoke(style_loss="wasserstein")),
            "style_loss: wanted one that compares region by region where there are masks",
        ),
        (2, {"style_masks": [upper[0]]}, SMOKE, "style_masks: wanted 2, one for each style"),
        (1, {"style_masks": [upper[0, :10]]}, SMOKE, "style_masks: wanted the picture's"),
        (1, {"masks": thin}, inside, "masks: number 1, or its style's, holds no whole unit of any"),
        (
            *(1, {"style_masks": [thin[0, :40, :56]]}),
            *(smoke(mask_mode="inside", style_layers=deep), "style_masks: number 1 holds no whole"),
        ),
    ):
        with pytest.raises(ValueError, match=told):
            gatys_2016.stylize(photograph, [painting] * styles, config, *vgg16, **given)


def test_another_runs_state_is_refused(photograph, painting, vgg16):
    keeper = Keeper()
    gatys_2016.stylize(photograph, painting, SMOKE, *vgg16, save=keeper, save_every=2)
    saved = keeper.load(2)
    for change, words in (
        ({"seed": 7}, "seed 0, this one has 7; give the same settings or start afresh"),
        ({"style_layers": (("relu1_1", 1.0),)}, "style_layers .*, this one has"),
    ):
        with pytest.raises(ValueError, match=f"resume: the saved run had {words}"):
            gatys_2016.stylize(photograph, painting, smoke(**change), *vgg16, resume=saved)
    darker = painting.at[0, 3, 4, 1].add(-0.01)
    for content, style in ((photograph, darker), (photograph[:, ::-1], painting)):
        with pytest.raises(
            ValueError, match="resume: the saved run had other pictures or masks; give"
        ):
            gatys_2016.stylize(content, style, SMOKE, *vgg16, resume=saved)


def test_ctrl_c_is_in_the_record(photograph, painting, vgg16):
    keeper, previews = Keeper(), []
    image, record = gatys_2016.stylize(
        photograph,
        painting,
        smoke(num_steps=40),
        *vgg16,
        on_step=lambda report: os.kill(os.getpid(), signal.SIGINT) if report.step == 2 else None,
        on_preview=lambda picture, step: previews.append((picture.copy(), step)),
        save=keeper,
    )
    assert record["info"]["interrupted"] is True
    ((preview, step),) = previews
    assert list(keeper.saved) == [step] == [record["steps"][-1]["step"]]
    np.testing.assert_array_equal(preview, image)


# The configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_steps": -1}, "num_steps: wanted 0 to 2147483647, got -1"),
        ({"size": 15}, "size: wanted 16 pixels or more, got 15"),
        ({"style_size": 3}, "style_size: wanted 16 or more, got 3"),
        ({"content_weight": -1.0}, "content_weight: wanted a finite number, 0 or more, got -1.0"),
        (
            {"style_weight": float("inf")},
            "style_weight: wanted a finite number, 0 or more, got inf",
        ),
        ({"tv_weight": float("nan")}, "tv_weight: wanted a finite number, 0 or more, got nan"),
        ({"noise_std": -0.1}, "noise_std: wanted a finite number, 0 or more, got -0.1"),
        ({"style_layers": (("relu1_1", -1.0),)}, "style_layers: wanted finite weights, 0 or more"),
        ({"content_layers": (("x", float("nan")),)}, "content_layers: wanted finite weights, 0 or"),
        ({"style_blend": (1.0, -1.0)}, "style_blend: wanted finite weights, 0 or more"),
        ({"content_layers": (), "style_layers": ()}, "style_layers: wanted at least one layer of"),
        ({"history": 0}, "history: wanted 1 to 10000, got 0"),
        ({"history": 2**62}, "history: wanted 1 to 10000, got 46"),
        ({"num_steps": 2**31}, "num_steps: wanted 0 to 2147483647, got 2147483648"),
        ({"learning_rate": 0.0}, "learning_rate: wanted a number above 0, got 0.0"),
        ({"seed": -1}, "seed: wanted 0 to 4294967295, got -1"),
        ({"scales": ((0.5, 1.0),)}, "scales: wanted rising factors that end in 1"),
        ({"scales": ((1.0, -1.0),)}, "scales: wanted finite weights, 0 or more"),
        ({"remat": True, "optimizer": "lbfgs_zoom"}, "remat: wanted optimizer lbfgs or adam"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(change, complaint):
    with pytest.raises(ValueError, match="^" + complaint) as caught:
        dataclasses.replace(Config(), **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_hashable_and_fit_for_json(name):
    preset = PRESETS[name]
    assert hash(preset) == hash(dataclasses.replace(preset))
    assert preset == dataclasses.replace(preset)
    fields = json.loads(json.dumps(dataclasses.asdict(preset)))
    assert set(fields) == {field.name for field in dataclasses.fields(Config)}


# PyTorch --------------------------------------------------------------------------------------


def flat_colours():
    """A picture of a few flat colours, where max pooling meets hardly anything but ties."""
    flat = np.full((72, 128, 3), (0.45, 0.7, 0.9), np.float32)
    flat[50:] = (0.2, 0.5, 0.2)
    flat[20:60, 30:60] = (0.8, 0.3, 0.25)
    return jnp.asarray(flat[None])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("default", {}),
        ("default", {"style_weight": 0.0, "tv_weight": 0.0}),  # else style outweighs the content
        ("default", {"content_weight": 0.0, "tv_weight": 0.0}),
        ("paper", {}),
        ("johnson_neural_style", {"tv_weight": 1e-3}),
    ],
    ids=["default", "content", "style", "paper", "johnson_neural_style"],
)
def test_loss_and_pixel_gradient_are_torchs(preset, changes, vgg16):
    pytest.importorskip("torch")
    from experiments.pytorch import gatys as torch_gatys

    config = dataclasses.replace(PRESETS[preset], **changes)
    encoder, params = dataclasses.replace(vgg16[0], pooling=config.pooling), vgg16[1]
    style = files.load_image(ASSETS / "style" / "van_gogh_night_cafe.jpg", size=96)
    photographs = [
        files.load_image(ASSETS / "content" / name, size=128)[:, :72]
        for name in ("neuschwanstein_castle.jpg", "machu_picchu.jpg")
    ]
    weights = perceptual.Weights(
        perceptual.weigh_layers(config.content_layers, config.content_weight),
        perceptual.weigh_layers(config.style_layers, config.style_weight),
        config.tv_weight,
    )
    objective = functools.partial(
        perceptual.objective, encoder, weights=weights, tv_loss=config.tv_loss
    )
    evaluate = jax.jit(jax.value_and_grad(objective, has_aux=True))
    vgg = torch_gatys.TorchVGG(params["params"], encoder.preprocessing, pooling=config.pooling)
    content = photographs[1][:, ::-1]
    targets = perceptual.compute_targets(
        encoder, params, content, [style], weights=weights, style_blend=(1.0,)
    )
    theirs = torch_gatys.make_objective(config, vgg, content, style)
    for picture in (*photographs, flat_colours()):
        (total, terms), gradient = evaluate(picture, targets, params)
        leaf = torch_gatys.to_torch(picture, vgg).requires_grad_()
        wanted, wanted_terms = theirs(leaf)
        wanted.backward()
        assert float(total) == pytest.approx(wanted.item(), rel=1e-4)
        for name, wanted_term in wanted_terms.items():
            assert float(terms[name]) == pytest.approx(wanted_term.item(), rel=1e-4)
        assert leaf.grad is not None
        wanted_gradient = torch_gatys.to_numpy(leaf.grad)
        error = np.linalg.norm(gradient - wanted_gradient) / np.linalg.norm(wanted_gradient)
        assert error < 3e-3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_papers_noise_does_not_overflow(seed):
    """Of a noise of 1/255 the second step is the whole gradient of a loss of 1e11."""
    encoder, params = load_encoder("vgg16", weights="vgg16-normalized")
    content = files.load_image(files.asset_path("content/kitten.jpg"), size=64)
    style = files.load_image(files.asset_path("style/van_gogh_harvest.jpg"), size=64)
    config = dataclasses.replace(PRESETS["paper"], encoder="vgg16", size=64, num_steps=6, seed=seed)
    _, record = gatys_2016.stylize(content, style, config, encoder, params)
    totals = [entry["total"] for entry in record["steps"]]
    assert max(totals) < record["info"]["initial"]["total"]
    assert record["info"]["before_clipping"]["total"] < 0.1 * record["info"]["initial"]["total"]


# Colour ---------------------------------------------------------------------------------------

TINY = {"size": 64, "num_steps": 2, "scales": ((1.0, 1.0),), "style_layers": (("relu1_1", 1.0),)}


def test_luminance_is_painted_alone(vgg16, photograph, painting):
    """The pictures that go in are grey, and the result has the photograph's chroma."""
    config, previews = smoke(**TINY, color="luminance"), []
    image, record = gatys_2016.stylize(
        photograph,
        painting,
        config,
        *vgg16,
        on_preview=lambda picture, step: previews.append(picture),
        save=lambda arrays, data: None,
        save_every=1,
    )
    chosen: dict[str, Any] = {"color": "luminance", "when": "before"}
    grey = color.prepare_content(photograph, **chosen)
    style = color.prepare_style(painting, photograph, **chosen)
    plain, of_grey = gatys_2016.stylize(grey, style, smoke(**TINY), *vgg16)
    assert record["steps"] == of_grey["steps"]
    wanted = color.replace_luminance(photograph, color.luminance(plain)).clip(0, 1)
    np.testing.assert_allclose(image, wanted, atol=1e-6)
    assert record["config"]["color"] == "luminance"
    for preview in previews:
        assert np.abs(preview[..., 0] - preview[..., 2]).max() > 0.1, "the preview has its hues too"


def test_a_run_that_changes_colours_resumes_as_it_was(vgg16, photograph, painting):
    config, saved = smoke(**TINY, color="histogram", color_when="after"), []
    run = functools.partial(gatys_2016.stylize, photograph, painting)
    whole, _ = run(
        config, *vgg16, save=lambda arrays, data: saved.append((arrays, data)), save_every=1
    )
    resumed, _ = run(config, *vgg16, resume=saved[0])
    np.testing.assert_array_equal(whole, resumed)
    plain, _ = run(smoke(**TINY), *vgg16)
    np.testing.assert_allclose(whole, color.match_histograms(plain, photograph), atol=1e-6)
    with pytest.raises(ValueError, match="resume: the saved run had color histogram, this one"):
        run(dataclasses.replace(config, color="pca"), *vgg16, resume=saved[0])


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("color", "color: wanted style, luminance, cholesky, pca, symmetric, histogram, got never"),
        ("color_when", "color_when: wanted before, after, got never"),
        ("style_loss", "style_loss: wanted gram, moments, wasserstein, histogram, sliced_wasser"),
    ],
)
def test_unknown_names_are_refused(field, told):
    config = smoke()
    object.__setattr__(config, field, "never")  # past the types that tests check
    with pytest.raises(ValueError, match=told):
        config.__post_init__()
