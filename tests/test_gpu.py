"""What an accelerator computes against what the CPU does by XLA's own operations.

    make gpu

"float32" must mean float32 there too: convolutions and products rounded to TF32 or bfloat16, as
accelerators do unless told otherwise, are ten times further off or more than a convolution may be.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import load_stylizer, train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.losses import perceptual
from nst_jax.losses.styles import STYLE_LOSSES
from nst_jax.ops import color, convolution
from nst_jax.papers import dumoulin_2017, gatys_2016, huang_2017, johnson_2016
from nst_jax.runs.report import DivergedError
from nst_jax.sweeps import batching

pytestmark = pytest.mark.gpu

# The largest difference over the largest magnitude. Sums of some thousand products of float32.
ROUNDING = 2e-5


@pytest.fixture(scope="module", autouse=True)
def accelerator():
    if jax.default_backend() == "cpu":
        pytest.fail("these tests need an accelerator: set JAX_PLATFORMS, such as to cuda,cpu")


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16")


@pytest.fixture(scope="module")
def pictures():
    """A photograph's and a painting's worth of smooth forms with grain."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    rng = np.random.default_rng(0)
    waves = [np.sin(y / a + x / b)[..., None] for a, b in ((9, 17), (5, -7))]
    colors = np.array([[0.2, -0.1, 0.3], [0.3, 0.25, -0.2]], np.float32)
    grain = 0.05 * rng.normal(size=(2, 96, 128, 3))
    return [
        jnp.asarray(np.clip(0.5 + wave * own + noise, 0, 1)[None], jnp.float32)
        for wave, own, noise in zip(waves, colors, grain, strict=True)
    ]


def on_both(function, *args):
    """The answers of the accelerator and of the CPU."""
    answers = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        with jax.default_device(device):
            placed = jax.device_put(args, device)
            answers.append(jax.tree.map(np.asarray, jax.jit(function)(*placed)))
    return answers


def distance(first, second):
    """Of two trees: the largest, over arrays, of max |a − b| / max |b|."""
    found = jax.tree.map(
        lambda a, b: np.abs(a - b).max() / max(np.abs(b).max(), 1e-30), first, second
    )
    return max(jax.tree.leaves(found))


def norm_of_difference(first, second):
    """Of two trees, over that of the second.

    Not the largest: a unit of nearly 0 may be on one side of a ReLU here and on the other there,
    and what reaches a few pixels through it with it.
    """

    def norm(tree):
        return np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(tree)))

    return norm(jax.tree.map(np.subtract, first, second)) / norm(second)


def test_a_convolution_and_its_gradients_are_float32():
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (1, 40, 48, 128))
    kernel = jax.random.normal(keys[1], (3, 3, 128, 96)) / 34

    def value_and_gradients(x, kernel):
        def energy(x, kernel):
            return jnp.square(convolution.convolve(x, kernel, padding="reflect")).sum()

        return jax.value_and_grad(energy, argnums=(0, 1))(x, kernel)

    assert distance(*on_both(value_and_gradients, x, kernel)) < ROUNDING


def test_bfloat16_rounds_by_its_eight_bits_and_no_more():
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (1, 40, 48, 128))
    kernel = jax.random.normal(keys[1], (3, 3, 128, 96)) / 34

    rounded = convolution.convolve(x, kernel, precision="bfloat16")
    wanted = convolution.convolve(x, kernel)

    assert 1e-4 < distance(np.asarray(rounded), np.asarray(wanted)) < 2e-2


def test_the_objective_of_gatys_and_its_gradient(vgg16, pictures):
    encoder, params = vgg16
    content, style = pictures
    config = gatys_2016.PRESETS["default"]
    weights = perceptual.Weights(
        perceptual.weigh_layers(config.content_layers, config.content_weight),
        perceptual.weigh_layers(config.style_layers, config.style_weight),
    )

    def evaluate(content, style, params):
        targets = perceptual.compute_targets(
            encoder, params, content, [style], weights=weights, style_blend=(1.0,)
        )
        objective = partial(perceptual.objective, encoder, weights=weights)
        mixed = 0.7 * content + 0.3 * style
        return jax.value_and_grad(objective, has_aux=True)(mixed, targets, params)

    (ours, gradient), (wanted, gradient_on_cpu) = on_both(evaluate, content, style, params)

    assert distance(ours, wanted) < 1e-4
    assert norm_of_difference(gradient, gradient_on_cpu) < 1e-2


@pytest.mark.parametrize("name", tuple(STYLE_LOSSES))
def test_style_losses(name):
    keys = jax.random.split(jax.random.key(1), 2)
    first, second = (jax.nn.relu(jax.random.normal(key, (1, 24, 20, 32)) + 0.3) for key in keys)
    loss = STYLE_LOSSES[name]

    def evaluate(first, second):
        return jax.value_and_grad(loss.distance)(first, loss.measure(second))

    assert distance(*on_both(evaluate, first, second)) < 1e-3


@pytest.mark.parametrize(
    "match",
    [
        color.match_covariance_by_pca,
        color.match_covariance_by_cholesky,
        color.match_covariance_by_symmetric_map,
        color.match_histograms,
    ],
)
def test_colors(match, pictures):
    assert distance(*on_both(match, *pictures)) < 1e-3


@pytest.mark.parametrize("name", ["johnson2016-starry_night", "dumoulin2017", "huang2017"])
def test_a_network_paints_the_same_picture(name, pictures):
    content, painting = pictures
    style = {"dumoulin2017": "udnie", "huang2017": painting}.get(name)
    answers = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        with jax.default_device(device):
            stylizer = load_stylizer(name)
            painted = stylizer(content) if style is None else stylizer(content, style=style)
            answers.append(np.asarray(painted))

    assert np.abs(answers[0] - answers[1]).max() < 0.5 / 255


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("paper", ["johnson", "dumoulin", "huang"])
def test_a_training_step(paper, precision, vgg16, pictures):
    content, style = (jnp.concatenate([one[:, :64, :64], one[:, 32:, 64:]]) for one in pictures)
    key = jax.random.key(0)
    loss_fn: Any
    if paper == "huang":
        encoder, params = load_encoder("vgg16", weights="vgg16-normalized")
        config = dataclasses.replace(
            huang_2017.PRESETS["cpu"], precision=precision, batch_size=2, identity_pairs=1
        )
        loss_fn = huang_2017.make_loss_fn(config, encoder)
        variables = huang_2017.make_decoder(config).init(key, jnp.zeros((1, 2, 2, 512)))
        batch, targets = huang_2017.Pair(content, style), ()
    else:
        encoder, params = vgg16
        module: Any = {"johnson": johnson_2016, "dumoulin": dumoulin_2017}[paper]
        config = dataclasses.replace(module.PRESETS["smoke"], precision=precision, style_size=64)
        if paper == "johnson":
            network = johnson_2016.make_network(config)
            variables = network.init(key, content[:1])
            loss_fn = johnson_2016.make_loss_fn(config, encoder)
            grams = johnson_2016.compute_style_grams(config, style[:1], encoder, params)
        else:
            network = dumoulin_2017.DumoulinNetwork(num_styles=2, width=config.width)
            variables = network.init(key, content[:1], jnp.zeros((1, 2)))
            loss_fn = dumoulin_2017.make_loss_fn(config, network, encoder)
            styles = [style[:1], style[1:]]
            grams = dumoulin_2017.compute_style_grams(config, styles, encoder, params)
        batch, targets = content, (grams,)

    def evaluate(weights, batch, targets, params):
        def total(weights):
            return loss_fn(key, weights, {}, batch, *targets, params)[0]

        return jax.value_and_grad(total)(weights)

    (ours, gradient), (wanted, gradient_on_cpu) = on_both(
        evaluate, variables["params"], batch, targets, params
    )

    near = 1e-4 if precision == "float32" else 5e-2
    assert ours == pytest.approx(wanted, rel=near)
    near = 1e-2 if precision == "float32" else 0.3
    assert norm_of_difference(gradient, gradient_on_cpu) < near


def test_optimising_pixels_arrives_at_the_cpus_loss(vgg16, pictures):
    config = dataclasses.replace(gatys_2016.PRESETS["default"], size=96, num_steps=40)
    totals = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        with jax.default_device(device):
            placed = jax.device_put((*pictures, vgg16[1]), device)
            content, style, params = placed
            _, record = gatys_2016.stylize(content, style, config, vgg16[0], params)
            totals.append((record["info"]["initial"]["total"], record["steps"][-1]["total"]))

    (begun, ended), (_, ended_on_cpu) = totals
    assert ended < 0.2 * begun
    assert ended == pytest.approx(ended_on_cpu, rel=0.05)


def test_runs_of_a_batch_go_as_they_would_alone(vgg16, pictures):
    base = dataclasses.replace(gatys_2016.PRESETS["default"], size=96, num_steps=4)
    configs = [dataclasses.replace(base, style_weight=base.style_weight * k) for k in (1, 3, 9)]

    content, style = pictures
    encoder, params = vgg16
    together = gatys_2016.stylize_together(content, style, configs, encoder, params)

    for config, mine in zip(configs, together, strict=True):
        assert not isinstance(mine, DivergedError)
        _, alone = gatys_2016.stylize(content, style, config, encoder, params)
        found, wanted = (record["steps"][-1]["total"] for record in (mine[1], alone))
        assert found == pytest.approx(wanted, rel=1e-3)


def test_several_runs_fit_the_accelerator():
    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit", 0)
    assert memory > 2**30
    config = gatys_2016.PRESETS["default"]
    most = batching.runs_at_once(config, pixels=256 * 256, platform=device.platform, memory=memory)
    assert most > 1


@pytest.mark.usefixtures("lax_promotion")
def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    """Saved from the accelerator's memory and brought back into it."""
    tx = train.make_transformation(learning_rate=0.1, num_steps=4)

    def loss_fn(key, params, model_state, batch):
        del key
        return jnp.square(params["x"][None] - batch).mean(), ({}, model_state)

    class Batches:
        place = 0

        def __next__(self):
            self.place += 1
            return np.full((2, 3), self.place, np.float32)

        def get_state(self):
            return self.place

        def set_state(self, state):
            self.place = state

    def run(num_steps, folder):
        trainer = train.make_trainer(loss_fn, tx)
        state = trainer.init(jax.random.key(0), {"x": jnp.zeros(3)}, {})
        state = train.fit(
            trainer,
            state,
            Batches(),
            num_steps=num_steps,
            description={},
            reporting=train.Reporting(folder),
        )
        return np.asarray(state.params["x"])

    run(2, tmp_path / "a")
    np.testing.assert_array_equal(run(4, tmp_path / "a"), run(4, tmp_path / "b"))
