"""Oracles: the losses in NumPy, runs that never stopped, and a collection of one colour's kind."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_pictures

from nst_jax import train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import sanakoyeu_2018
from nst_jax.papers.sanakoyeu_2018 import PRESETS

pytestmark = pytest.mark.usefixtures("lax_promotion")

SMOKE = PRESETS["smoke"]


def test_the_authors_preset_is_the_codes():
    authors = PRESETS["authors"]
    assert (authors.width, authors.judge_width, authors.judge_layers) == (32, 64, 7)
    assert (authors.size, authors.batch_size, authors.num_steps) == (768, 1, 300_000)
    assert (authors.learning_rate, authors.judge.learning_rate) == (2e-4, 2e-4)
    assert (authors.judge.momentum, authors.judge.success_rate) == (0.9, 0.8)
    assert authors.judge.memory == 0.95
    assert authors.judge.weight == 5.0  # 1 for each of five heads, of which ours is the mean
    for config in PRESETS.values():
        assert (config.encoder, config.weights) == ("vgg16", None)
        assert json.loads(json.dumps(dataclasses.asdict(config)))["seed"] == 0


def test_the_losses_are_the_authors():
    rng = np.random.default_rng(0)
    kept, wanted = (rng.standard_normal((2, 3, 4, 5), np.float32) for _ in range(2))
    found = sanakoyeu_2018.style_aware_content_loss(jnp.asarray(kept), jnp.asarray(wanted))
    assert float(found) == pytest.approx(np.abs(np.float64(kept) - wanted).mean(), rel=1e-5)

    painted, photographs = (rng.random((2, 13, 12, 3), np.float32) for _ in range(2))
    found = sanakoyeu_2018.transformed_image_loss(jnp.asarray(painted), jnp.asarray(photographs))
    difference = np.float64(painted) - photographs
    means = np.empty_like(difference)
    for i, j in np.ndindex(13, 12):
        square = difference[:, max(i - 4, 0) : i + 6, max(j - 4, 0) : j + 6]
        means[:, i, j] = square.mean((1, 2))
    assert float(found) == pytest.approx(np.square(means).mean(), rel=1e-3)


@pytest.mark.slow
def test_photographs_too_are_shown_as_not_painted():
    network = sanakoyeu_2018.make_network(SMOKE)
    photographs, paintings = (made_pictures(1, 32, 32, 3, seed=seed) for seed in (0, 1))
    variables = jax.jit(network.init)(jax.random.key(0), jnp.asarray(photographs))
    generate = jax.jit(sanakoyeu_2018.make_generate(SMOKE))
    pair = train.Pair(photographs, paintings)
    found = generate(jax.random.key(0), variables["params"], {}, pair)
    np.testing.assert_array_equal(found.real, paintings)
    np.testing.assert_array_equal(found.others, photographs)
    painted = jax.jit(network.apply)(variables, jnp.asarray(photographs))
    np.testing.assert_allclose(found.made, painted, atol=1e-5)
    assert float(found.total) == pytest.approx(float(sum(found.terms.values())), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"size": 40}, "size: wanted a multiple of 16 from 32 on, got 40"),
        ({"judge_layers": 8}, "judge_layers: wanted 1 to 7, got 8"),
        ({"judge_layers": 5}, "size: wanted 64 or more for 5 judge_layers, got 32"),
        ({"image_weight": -1.0}, "image_weight: wanted a finite number, 0 or more, got -1.0"),
        ({"success_rate": 1.0}, "success_rate: wanted a share from 0.5 to below won_accuracy"),
    ],
)
def test_useless_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        dataclasses.replace(SMOKE, **changes)
    assert "\n" not in str(caught.value)


class Pairs:
    """Photographs, and paintings whose red is strong."""

    def __init__(self):
        self.position = 0

    def __next__(self):
        self.position += 1
        photographs = made_pictures(2, 32, 32, 3, seed=self.position)
        paintings = made_pictures(2, 32, 32, 3, seed=100 + self.position)
        paintings = paintings * np.asarray([0.3, 0.3, 0.3], np.float32)
        paintings[..., 0] += 0.6
        return train.Pair(photographs, paintings)

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def fit(workdir, config=SMOKE, **options):
    pair = train.Pair(*map(jnp.asarray, next(Pairs())))
    return sanakoyeu_2018.fit(
        Pairs(),
        config,
        *load_encoder("vgg16"),
        held_out=pair,
        samples=pair,
        reporting=train.Reporting(workdir, **{"save_every": 0, "report_every": 0, **options}),
    )


@pytest.mark.slow
def test_both_sides_learn_in_turn_and_a_stopped_run_goes_on_to_the_same_network(tmp_path):
    config = dataclasses.replace(
        SMOKE, num_steps=12, success_rate=0.7, discriminator_learning_rate=1e-2
    )
    wanted = fit(tmp_path / "unbroken", config, log_every=1)
    lines = (tmp_path / "unbroken" / "metrics.jsonl").read_text().splitlines()
    learns = [json.loads(line)["generator_learns"] for line in lines if "accuracy" in line]
    assert len(learns) == 12
    assert set(learns) == {0.0, 1.0}
    assert set(wanted.held_out) == {"style", "content", "total"}
    steps = []
    part = fit(
        tmp_path / "stopped",
        config,
        on_step=lambda report: steps.append(report.step),
        interrupted=lambda: len(steps) >= 4,
    )
    assert part.step < 12
    again = fit(tmp_path / "stopped", config)
    jax.tree.map(np.testing.assert_array_equal, again.variables, wanted.variables)
