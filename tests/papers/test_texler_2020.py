"""Oracles: the published loss in NumPy, a known painting rule, runs that never stopped."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import texler_2020
from nst_jax.papers.texler_2020 import PRESETS
from nst_jax.train.checkpoints import saved_steps

pytestmark = pytest.mark.usefixtures("lax_promotion")

PIXELS = dataclasses.replace(
    PRESETS["smoke"], feature_layers=(), size=16, batch_size=4, num_steps=120, learning_rate=2e-3
)


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


def test_the_authors_preset():
    authors = PRESETS["authors"]
    assert (authors.width, authors.size, authors.batch_size) == (32, 32, 40)
    assert (authors.encoder, authors.weights) == ("vgg19", "vgg19-torchvision")
    assert (authors.learning_rate, authors.discriminator_learning_rate) == (4e-4, 4e-4)
    assert (authors.momentum, authors.adversary.loss) == (0.9, "least_squares")
    assert json.loads(json.dumps(dataclasses.asdict(authors)))["seed"] == 0


def test_the_loss_is_the_authors(vgg16):
    """On pixels of -1 to 1: 4 times L1, and 6 times the mean over all features put together."""
    encoder, params = vgg16
    rng = np.random.default_rng(0)
    painted, wanted = (rng.random((2, 16, 16, 3), np.float32) for _ in range(2))
    objective = jax.jit(texler_2020.make_objective(PRESETS["cpu"], encoder))
    total, terms = objective(jnp.asarray(painted), jnp.asarray(wanted), params)

    # What the encoder is given is 2 x - 1, whatever its weights want of pixels.
    mean, std = (np.asarray(numbers) for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    found, aim = (
        jax.jit(encoder.apply, static_argnames="layers")(
            params,
            jnp.asarray((2 * images - 1) * std + mean, jnp.float32),
            layers=("conv1_1", "relu1_2", "conv2_1"),
        )
        for images in (painted, wanted)
    )
    together = [
        np.concatenate([np.float64(each).reshape(2, -1) for each in features.values()], 1)
        for features in (found, aim)
    ]
    literal = {
        "pixels": 4 * np.abs(2 * (painted.astype(np.float64) - wanted)).mean(),
        "features": 6 * np.square(together[0] - together[1]).mean(),
    }
    assert set(terms) == set(literal)
    for name, term in literal.items():
        assert float(terms[name]) == pytest.approx(term, rel=1e-3), name
    assert float(total) == pytest.approx(sum(literal.values()), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"pixel_weight": -1.0}, "pixel_weight: wanted a finite number, 0 or more, got -1.0"),
        ({"feature_layers": (("relu9_1", 1.0),)}, "layers: no layer called 'relu9_1' in vgg16"),
        ({"painted_size": 8}, "painted_size: wanted 32 or more, got 8"),
        ({"discriminator_learning_rate": 0.0}, "learning_rate: wanted a finite number above 0"),
        ({"size": 14}, "size: wanted a multiple of 4 from 16 on, got 14"),
    ],
)
def test_useless_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        dataclasses.replace(PRESETS["smoke"], **changes)
    assert "\n" not in str(caught.value)


def make_clip():
    """Three frames that move, and the first one painted by a rule: the negative, colours turned."""
    y, x = np.mgrid[0:32, 0:40].astype(np.float32)
    frames = [
        np.stack([0.5 + 0.4 * np.sin((x + 4 * n) / 5), y / 40, 0.5 + 0.4 * np.cos(y / 4 - n)], -1)
        for n in range(3)
    ]
    return np.stack(frames), np.stack([1 - frame[..., ::-1] for frame in frames])


def fit(workdir, config=PIXELS, **options):
    frames, painted = make_clip()
    stream = train.PatchStream(
        [frames[0]], [painted[0]], size=config.size, batch_size=config.batch_size, seed=config.seed
    )
    encoder, params = load_encoder("vgg16")
    return texler_2020.fit(
        stream,
        config,
        encoder,
        params,
        held_out=train.Pair(jnp.asarray(frames[1:]), jnp.asarray(painted[1:])),
        samples=jnp.asarray(frames[:1]),
        reporting=train.Reporting(workdir, **{"save_every": 0, "report_every": 0, **options}),
    )


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_frames_that_were_not_painted_come_to_be_by_the_rule(tmp_path, weight):
    """With a discriminator and without: the mean difference on 0 to 1 of frames never seen."""
    config = dataclasses.replace(PIXELS, adversarial_weight=weight)
    begun = fit(tmp_path / "begun", dataclasses.replace(config, num_steps=1))
    trained = fit(tmp_path / "run", config)
    assert trained.held_out["pixels"] < 0.5 * begun.held_out["pixels"]
    frames, painted = make_clip()
    shown = jax.jit(trained.network.apply)(trained.variables, jnp.asarray(frames[1:]))
    wanted = 8 * np.abs(np.asarray(shown) - painted[1:]).mean()
    assert trained.held_out["pixels"] == pytest.approx(wanted, rel=1e-4)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("accuracy" in json.loads(line) for line in lines) == bool(weight)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_network(tmp_path):
    config = dataclasses.replace(PIXELS, num_steps=6)
    wanted = fit(tmp_path / "unbroken", config)
    steps = []
    part = fit(
        tmp_path / "stopped",
        config,
        on_step=lambda report: steps.append(report.step),
        interrupted=lambda: len(steps) >= 2,
    )
    assert part.step < 6
    assert saved_steps(tmp_path / "stopped" / "checkpoints")[-1] == part.step
    again = fit(tmp_path / "stopped", config)
    assert again.step == 6
    jax.tree.map(np.testing.assert_array_equal, again.variables, wanted.variables)
