"""Whole runs on a toy encoder: what is accepted, what is refused, and where runs begin and end."""

import dataclasses
import inspect
import json
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

from nst_jax.array_types import Features
from nst_jax.losses import STYLE_LOSSES, StyleLoss, StyleLossName
from nst_jax.papers.gatys_2016 import Config, plan, stylize, stylize_together, with_style_loss
from nst_jax.pixels.config import batch_key

pytestmark = pytest.mark.usefixtures("lax_promotion")


@dataclasses.dataclass(frozen=True)
class Toy:
    """An encoder of one's own: a layer of mixed colours, and one at half the size."""

    gain: float = 1.0

    def apply(self, variables: Any, images: Any, /, *, layers: Sequence[str]) -> Features:
        mixed = jax.nn.relu(self.gain * jnp.einsum("bhwc,cd->bhwd", images, variables["mix"]))
        batch, height, width, channels = mixed.shape
        halves = mixed[:, : height // 2 * 2, : width // 2 * 2]
        halves = halves.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))
        found = {"mixed": mixed, "halved": halves}
        return {layer: found[layer] for layer in layers}


MIX = jnp.asarray(np.random.default_rng(5).normal(size=(3, 6)), jnp.float32)
TOY: Any = (Toy(), {"mix": MIX})
BASE = Config(
    size=None,
    num_steps=4,
    scales=((1.0, 1.0),),
    content_layers=(("halved", 1.0),),
    style_layers=(("mixed", 0.5), ("halved", 0.5)),
    style_weight=10.0,
    tv_weight=0.1,
)


def change(**changes: Any) -> Config:
    return dataclasses.replace(BASE, **changes)


# An encoder and a style loss of one's own -----------------------------------------------------


def mean_features(features):
    return features.mean((1, 2))


def mean_distance(features, target):
    return jnp.square(mean_features(features) - target).mean()


OWN = StyleLoss("mean colour", mean_features, mean_distance, weight=3.0, layers=(("mixed", 1.0),))


def test_a_style_loss_of_ones_own_serves_wherever_a_name_does(photograph, painting):
    config = with_style_loss(change(content_weight=2.0), OWN)
    assert (config.style_weight, config.style_layers) == (6.0, OWN.layers)
    image, record = stylize(photograph, painting, config, *TOY)
    rows = np.maximum(np.asarray(photograph, np.float64) @ np.asarray(MIX), 0)
    longer = (1, 46, 64, 3)  # the painting at the photograph's longer side
    resized = jax.image.resize(painting, longer, "linear", antialias=True)
    wanted = np.maximum(np.asarray(resized, np.float64) @ np.asarray(MIX), 0)
    literal = 6.0 * np.mean((rows.mean((1, 2)) - wanted.mean((1, 2))) ** 2)
    assert record["info"]["initial"]["style"] == pytest.approx(literal, rel=1e-4)
    assert record["steps"][-1]["total"] < record["info"]["initial"]["total"]
    assert record["info"]["encoder"] == "Toy"
    # What files and reports say is the name.
    assert json.loads(json.dumps(record))["config"]["style_loss"] == "mean colour"
    both = stylize_together(
        photograph, painting, [config, dataclasses.replace(config, style_weight=0.0)], *TOY
    )
    assert not isinstance(both[0], Exception)
    np.testing.assert_allclose(both[0][0], image, atol=1e-5)


def test_a_saved_run_knows_its_style_loss_by_name(photograph, painting):
    saved: list[Any] = []
    config = with_style_loss(BASE, OWN)
    keep: Any = {"save": lambda arrays, data: saved.append((dict(arrays), json.dumps(data)))}
    whole, _ = stylize(photograph, painting, config, *TOY, **keep, save_every=2)
    arrays, text = saved[0]
    same = dataclasses.replace(OWN, measure=lambda features: mean_features(features))
    again = dataclasses.replace(config, style_loss=same)  # as another process would make it
    image, _ = stylize(photograph, painting, again, *TOY, resume=(arrays, json.loads(text)))
    np.testing.assert_array_equal(image, whole)
    other = dataclasses.replace(config, style_loss=dataclasses.replace(OWN, name="another"))
    with pytest.raises(ValueError, match="resume: the saved run had style_loss mean colour, this"):
        stylize(photograph, painting, other, *TOY, resume=(arrays, json.loads(text)))


def test_a_run_goes_on_for_longer_than_it_was_begun(photograph, painting):
    saved: list[Any] = []
    keep: Any = {"save": lambda arrays, data: saved.append((dict(arrays), data))}
    stylize(photograph, painting, BASE, *TOY, **keep, save_every=2)
    longer, record = stylize(photograph, painting, change(num_steps=9), *TOY, resume=saved[0])
    whole, wanted = stylize(photograph, painting, change(num_steps=9), *TOY)
    np.testing.assert_array_equal(longer, whole)
    assert record["steps"] == wanted["steps"]


def test_programs_of_a_loss_and_an_encoder_of_ones_own_are_kept(photograph, painting):
    compiled = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(duration_secs)

    config = with_style_loss(BASE, OWN)
    stylize(photograph, painting, config, *TOY)
    monitoring.register_event_duration_secs_listener(listen)
    try:
        stylize(photograph, painting, dataclasses.replace(config, style_weight=1.5), *TOY)
        assert not compiled
        stylize(photograph[:, :-2], painting, config, *TOY)
        assert compiled
    finally:
        monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"remat": True}, "remat: wanted a VGG, which runs block by block"),
        ({}, "masks: wanted a VGG, whose layers masks can be brought to"),
    ],
)
def test_what_only_vgg_can_do_is_refused(changes, told, photograph, painting):
    masks = np.ones((1, 24, 32), np.float32)
    with pytest.raises(ValueError, match=told):
        stylize(photograph, painting, change(**changes), *TOY, masks=masks)


def test_runs_share_a_batch_by_what_their_style_losses_say():
    first, second = (with_style_loss(change(style_size=size), OWN) for size in (32, 48))
    assert batch_key(first) == batch_key(second) is not None
    growing = dataclasses.replace(OWN, keeps_positions=True)
    first, second = (with_style_loss(change(style_size=size), growing) for size in (32, 48))
    assert batch_key(first) != batch_key(second)


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"precision": "bf16"}, "precision: wanted float32, .*, got bf16"),
        ({"pooling": "avg"}, "pooling: wanted max, average, got avg"),
        ({"tv_loss": "sum"}, "tv_loss: wanted mean, half_sum, got sum"),
        ({"optimizer": "sgd"}, "optimizer: wanted lbfgs, adam, lbfgs_zoom, got sgd"),
        ({"encoder": "vgg11"}, "encoder: wanted vgg16, vgg19, got vgg11"),
        ({"num_steps": "80"}, "num_steps: wanted a whole number, got 80"),
        ({"content_layers": "relu4_2"}, "content_layers: wanted a tuple of .*, got relu4_2"),
        ({"style_layers": (("a", 1.0), ("a", 2.0))}, "style_layers: wanted each layer once, got a"),
    ],
)
def test_wrong_values_of_settings_are_refused_by_name(changes, told):
    config = Config()
    for name, value in changes.items():
        object.__setattr__(config, name, value)  # past the types that tests check
    with pytest.raises(ValueError, match=f"^{told}"):
        config.__post_init__()


@pytest.mark.parametrize(
    ("change_of", "told"),
    [
        ({"content": lambda picture: 255 * picture}, "content: wanted one picture.*divide by 255"),
        ({"style": lambda picture: picture[0]}, "style: wanted one picture.*add a leading axis"),
        ({"style": lambda picture: [picture, "b.jpg"]}, "style: .*read it with nst_jax.load_image"),
        ({"content": lambda picture: picture * np.nan}, "content: .*got NaN or infinity"),
    ],
)
def test_what_is_no_picture_is_refused_without_any_type_checker(
    change_of, told, photograph, painting
):
    given: dict[str, Any] = {"content": photograph, "style": painting}
    for name, spoil in change_of.items():
        given[name] = spoil(given[name])
    with pytest.raises(ValueError, match=told):
        inspect.unwrap(stylize)(given["content"], given["style"], BASE, *TOY)


# Sizes ----------------------------------------------------------------------------------------


def test_sizes_at_which_a_picture_is_too_small_are_left_out():
    """Of relu5_1 an encoder needs 16 pixels along each side."""
    config = Config()

    def sizes(height, width, *styles, **changes):
        pictures = [jnp.zeros((1, *size, 3)) for size in ((height, width), *styles)]
        levels = plan(pictures[0], dataclasses.replace(config, **changes), styles=pictures[1:])
        return [(level.height, level.width) for level in levels]

    assert sizes(384, 512) == [(192, 256), (384, 512)]
    assert sizes(32, 512) == [(16, 256), (32, 512)]
    assert sizes(30, 512) == [(30, 512)]  # a panorama of more than 16 to 1
    assert sizes(512, 30) == [(512, 30)]
    assert sizes(384, 512, (64, 64), (16, 512)) == [(384, 512)]
    assert sizes(384, 512, (100, 200), style_size=32) == [(384, 512)]
    assert sizes(384, 512, (100, 100), style_size=32) == [(192, 256), (384, 512)]
    shallow = {"style_layers": (("relu1_1", 1.0),), "content_layers": (("relu2_1", 1.0),)}
    assert sizes(30, 512, (16, 512), **shallow) == [(15, 256), (30, 512)]
    # Patches of 3 × 3 positions of relu4_1 need 24.
    patches = with_style_loss(config, "mrf")
    assert [level.height for level in plan(jnp.zeros((1, 40, 512, 3)), patches)] == [40]


@pytest.mark.parametrize(
    ("content", "style", "told"),
    [
        ((8, 256), (64, 64), "content: 8 by 256 pixels are too few for relu5_1, which needs 16"),
        ((64, 64), (16, 512), "style: 2 by 64 pixels are too few for relu5_1, which needs 16 al"),
    ],
)
def test_a_picture_that_is_too_small_at_the_last_size_is_named(content, style, told):
    photograph, painting = (jnp.zeros((1, *size, 3)) for size in (content, style))
    config = dataclasses.replace(Config(), size=None)
    with pytest.raises(ValueError, match=told):
        stylize(photograph, painting, config, *TOY)


# Runs that begin at their goal ----------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "lbfgs_zoom"])
@pytest.mark.parametrize("flat", [False, True])
def test_the_same_picture_twice_is_painted(optimizer, flat, photograph):
    picture = jnp.full_like(photograph, 0.3) if flat else photograph
    rate = {"lbfgs": 1.0, "adam": 0.02, "lbfgs_zoom": 1.0}[optimizer]
    config = change(optimizer=optimizer, learning_rate=rate, tv_weight=0.0, num_steps=6)
    image, record = stylize(picture, picture, config, *TOY)
    assert [entry["step"] for entry in record["steps"]] == list(range(1, 7))
    assert np.isfinite(image).all()
    assert float(jnp.abs(image - picture).max()) < 0.15


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_every_style_loss_of_one_colour_is_finite(name: StyleLossName):
    grey, red = (
        jnp.broadcast_to(jnp.array(c), (1, 16, 16, 3)) for c in ([0.5] * 3, [0.9, 0.1, 0.1])
    )
    config = change(style_loss=name, num_steps=2, style_layers=(("mixed", 1.0),))
    image, record = stylize(grey, red, config, *TOY)
    assert np.isfinite(image).all()
    assert record["info"]["initial"]["style"] >= 0


# Twice the digits -----------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("changes", [{"color": "pca"}, {"color": "luminance", "init": "noise"}])
def test_runs_stay_in_float32_where_jax_would_take_float64(
    optimizer, changes, photograph, painting
):
    rate = {"lbfgs": 1.0, "adam": 0.02}[optimizer]
    config = change(optimizer=optimizer, learning_rate=rate, noise_std=0.1, **changes)
    plain, record = stylize(photograph, painting, config, *TOY)
    given = (np.asarray(picture, np.float64) for picture in (photograph, painting))
    with jax.enable_x64(True):
        image, wide = inspect.unwrap(stylize)(*given, config, *TOY)
    assert image.dtype == jnp.float32
    np.testing.assert_allclose(image, plain, atol=1e-4)
    assert wide["steps"][-1]["total"] == pytest.approx(record["steps"][-1]["total"], rel=1e-4)


@pytest.mark.slow
def test_every_style_loss_stays_in_float32(photograph, painting):
    layers = (("mixed", 1.0),)
    with jax.enable_x64(True):
        for name in STYLE_LOSSES:
            config = change(style_loss=name, style_layers=layers, num_steps=1)
            image, _ = stylize(photograph, painting, config, *TOY)
            assert image.dtype == jnp.float32, name
