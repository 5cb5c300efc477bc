"""Oracles: the published loss in NumPy, Gram matrices of teachers, and runs that never stopped."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import train
from nst_jax.encoders.preprocessing import SIGNED
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.resizing import resize
from nst_jax.papers import li_wand_2016
from nst_jax.papers.li_wand_2016 import MGAN_PRESETS, PRESETS

pytestmark = pytest.mark.usefixtures("lax_promotion")

CONFIG = dataclasses.replace(MGAN_PRESETS["smoke"], teacher_steps=3, num_steps=6)


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


def test_the_authors_preset_is_the_codes():
    config = MGAN_PRESETS["authors"]
    assert (config.encoder, config.weights, config.encoder_input) == (
        *("vgg19", "vgg19-keras"),
        "signed",
    )
    assert (config.width, config.size, config.batch_size) == (64, 128, 64)
    assert (config.learning_rate, config.discriminator_learning_rate) == (0.02, 0.02)
    assert (config.momentum, config.adversary.loss) == (0.5, "margin")
    painting = config.painting
    assert (painting.size, painting.style_size, painting.num_steps) == (384, 384, 125)
    assert painting.contrast == 2.0
    assert config.num_groups * config.teachers_at_once == 100
    stages = li_wand_2016.TRAINING.stages(config)
    assert sum(stage.num_steps for stage in stages) == 25 * 125 + 2_000
    assert len({stage.folder for stage in stages}) == 26
    assert stages[-1].folder == ""


@pytest.mark.slow
def test_the_loss_is_the_authors(vgg16):
    """On pixels of -1 to 1: the mean square, over 1.01."""
    encoder, params = vgg16
    config = dataclasses.replace(
        MGAN_PRESETS["authors"], encoder="vgg16", weights=None, width=2, style_layer="relu2_1"
    )
    network = li_wand_2016.make_network(config, encoder)
    assert network.encoder.preprocessing == SIGNED
    rng = np.random.default_rng(0)
    content, wanted = (rng.random((2, 32, 32, 3), np.float32) for _ in range(2))
    generate = li_wand_2016.make_decoder_generate(config, encoder)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.asarray(content[:1]))
    own = {name: arrays["decoder"] for name, arrays in variables.items()}
    patches = train.PaintedPatches(content, wanted, wanted)
    found = jax.jit(generate)(
        jax.random.key(0), own["params"], {"batch_stats": own["batch_stats"]}, patches, params
    )

    # At first the tanh is nearly 0 everywhere, which is grey.
    literal = np.square(2 * (0.5 - wanted.astype(np.float64))).mean() / 1.01
    assert float(found.total) == pytest.approx(literal, rel=0.05)
    assert float(found.terms["pixels"]) == float(found.total)
    means = found.model_state["batch_stats"]["decode1_norm"]["mean"]
    assert np.abs(np.asarray(means)).max() > 0
    features = jax.jit(network.encoder.apply, static_argnames="layers")(
        params, jnp.asarray(wanted), layers=("relu2_1",)
    )
    np.testing.assert_allclose(found.real, features["relu2_1"], rtol=1e-4, atol=1e-4)
    assert found.made.shape == found.real.shape


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"teacher": "paper"}, "teacher: wanted authors or cpu or smoke, got paper"),
        ({"size": 16, "teacher_size": 48}, "size: wanted 24 pixels or more for patches of relu2_1"),
        ({"size": 36}, "size: wanted a multiple of 8 from 16 on, got 36"),
        ({"teacher_size": 24}, "teacher_size: wanted 32 or more, got 24"),
        ({"teachers_at_once": 0}, "teachers_at_once: wanted 1 or more, got 0"),
        ({"momentum": 1.0}, "momentum: wanted a share from 0 to below 1, got 1.0"),
        ({"style_layer": "relu9_1"}, "layers: no layer called 'relu9_1' in vgg16"),
    ],
)
def test_useless_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        dataclasses.replace(MGAN_PRESETS["smoke"], **changes)
    assert "\n" not in str(caught.value)


class Squares:
    """Two photographs at a time, each pair another part of one picture."""

    def __init__(self, photograph: Any, count: int):
        picture = np.asarray(resize(photograph, height=48, width=64))[0]
        self.pictures, self.count, self.position = picture, count, 0

    def __next__(self):
        self.position += 1
        shift = 4 * self.position % 16
        both = [self.pictures[:, shift : shift + 48], self.pictures[::-1, shift : shift + 48]]
        return np.stack(both[: self.count]).astype(np.float32)

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def fit(photograph, painting, vgg16, workdir, config=CONFIG, **options):
    held_out = jnp.asarray(next(Squares(photograph, 2)))
    return li_wand_2016.fit(
        painting,
        Squares(photograph, config.teachers_at_once),
        config,
        *vgg16,
        held_out=held_out,
        samples=held_out[:1],
        reporting=train.Reporting(workdir, **{"save_every": 0, "report_every": 0, **options}),
    )


@pytest.mark.slow
def test_teachers_come_nearer_to_the_painting_group_after_group(
    photograph, painting, vgg16, tmp_path, monkeypatch
):
    loose = dataclasses.replace(PRESETS["smoke"], content_weight=0.1, tv_weight=1.0)
    monkeypatch.setitem(PRESETS, "smoke", loose)
    config = dataclasses.replace(CONFIG, teacher_steps=40)
    stream = Squares(photograph, 2)
    photographs = jnp.concatenate([jnp.asarray(next(stream)) for _ in range(2)])
    style = resize(painting, height=34, width=48)
    painted, done = li_wand_2016.paint_teachers(
        jax.random.key(0),
        photographs,
        style,
        config,
        *vgg16,
        reporting=train.Reporting(tmp_path, save_every=0),
    )
    assert done == 80
    assert painted is not None
    assert painted.shape == photographs.shape
    assert 0 <= painted.min() < painted.max() <= 1
    encoder, params = vgg16

    @jax.jit
    def gram(images):
        return gram_matrix(encoder.apply(params, images, layers=("relu2_1",))["relu2_1"])

    aim = np.asarray(gram(style))
    for number in range(4):
        before, after = (
            np.square(np.asarray(gram(jnp.asarray(images[number][None]))) - aim).sum()
            for images in (photographs, painted)
        )
        assert after < before, number
    assert sorted(path.name for path in (tmp_path / "teachers").iterdir()) == ["000", "001"]
    # The second group's discriminator begins with what the first one's has learnt.
    first = [json.loads(line) for line in open_log(tmp_path, 0)]
    second = [json.loads(line) for line in open_log(tmp_path, 1)]
    assert second[0]["discriminator_loss"] < 0.9 * first[0]["discriminator_loss"]


def open_log(workdir, number):
    path = workdir / "teachers" / f"{number:03d}" / "metrics.jsonl"
    return path.read_text().splitlines()


@pytest.mark.slow
def test_the_decoder_learns_what_its_teachers_painted(photograph, painting, vgg16, tmp_path):
    config = dataclasses.replace(CONFIG, num_steps=150, learning_rate=4e-3)
    steps = []
    trained = fit(
        photograph,
        painting,
        vgg16,
        tmp_path,
        config,
        log_every=1,
        on_step=lambda report: steps.append(report.step),
    )
    assert steps == list(range(1, 6 + 150 + 1))
    assert (trained.step, trained.num_steps) == (156, 156)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    pixels = [line["pixels"] for line in lines if "pixels" in line]
    assert np.mean(pixels[-10:]) < 0.4 * np.mean(pixels[:3])
    assert set(trained.held_out) == {"style", "content", "total"}
    held_out = jnp.asarray(next(Squares(photograph, 2)))
    painted = jax.jit(trained.network.apply)(trained.variables, held_out)
    assert painted.shape == held_out.shape


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_stopped_goes_on_to_the_same_network(
    photograph, painting, vgg16, tmp_path, stop
):
    """In the first group of teachers, in the second, and while the decoder learns."""
    wanted = fit(photograph, painting, vgg16, tmp_path / "unbroken")
    steps = []
    part = fit(
        photograph,
        painting,
        vgg16,
        tmp_path / "stopped",
        on_step=lambda report: steps.append(report.step),
        interrupted=lambda: len(steps) >= stop,
    )
    assert part.step < part.num_steps == 12
    assert part.held_out == {}
    again = fit(photograph, painting, vgg16, tmp_path / "stopped")
    assert again.step == 12
    jax.tree.map(np.testing.assert_array_equal, again.variables, wanted.variables)
    assert again.held_out == wanted.held_out
