"""Oracles: Adam, clipping and the average written out in NumPy; one device against eight."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax import train
from nst_jax.ops.convolution import convolve, max_pool, relu
from nst_jax.ops.gram import gram_matrix

pytestmark = pytest.mark.usefixtures("lax_promotion")

ROOT = Path(__file__).parents[2]


def adam(rates, gradients, start):
    """Where Adam leads from start, by its definition."""
    mean, spread, value = np.zeros(2), np.zeros(2), np.asarray(start, float)
    for step, (rate, gradient) in enumerate(zip(rates, gradients, strict=True), 1):
        mean = 0.9 * mean + 0.1 * gradient
        spread = 0.999 * spread + 0.001 * gradient**2
        root = np.sqrt(spread / (1 - 0.999**step)) + 1e-8
        value = value - rate * mean / (1 - 0.9**step) / root
    return value


# One step -------------------------------------------------------------------------------------


def noisy(key, params, model_state, batch, scale):
    """Whose gradient is scale times the batch's mean plus noise; the state counts."""
    slope = scale * batch.mean((0, 1, 2))[:2] + jax.random.normal(key, (2,))
    first, second = (slope * params["kernel"]).sum(), jnp.square(params["kernel"]).sum()
    terms = {"first": first, "second": second}
    return first + second, (terms, {"count": model_state["count"] + 1.0})


def orthogonalized(matrix):
    """Five of Jordan's quintic iterations, whose coefficients are published."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def test_muon_moves_kernels_by_orthogonal_matrices_of_the_rates_size():
    """With Nesterov's momentum of 0.95; what is no wide kernel goes by Adam, with its own."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 3, 8, 16), "narrow": (3, 3, 8, 3), "bias": (16,)}
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    gradients = [{n: rng.normal(size=s) for n, s in shapes.items()} for _ in range(3)]
    tx = train.make_transformation(optimizer="muon", learning_rate=0.01, num_steps=3)
    params: Any = jax.tree.map(jnp.float32, start)
    state = tx.init(params)
    momentum, wanted = 0.0, start["kernel"]
    for count, gradient in enumerate(gradients, start=1):
        updates, state = tx.update(jax.tree.map(jnp.float32, gradient), state, params)
        params = optax.apply_updates(params, updates)
        matrix = gradient["kernel"].reshape(72, 16)
        # Both means begin at 0: they are divided by what their weights sum to.
        momentum = 0.95 * momentum + 0.05 * matrix
        ahead = 0.95 * momentum / (1 - 0.95 ** (count + 1)) + 0.05 * matrix / (1 - 0.95**count)
        step = 0.01 * np.sqrt(72) * orthogonalized(ahead)
        wanted = wanted - step.reshape(3, 3, 8, 16)
        assert 0.007 < np.sqrt(np.mean(step**2)) < 0.012
    np.testing.assert_allclose(params["kernel"], wanted, atol=1e-4)
    for name in ("narrow", "bias"):
        mean, spread, value = 0.0, 0.0, start[name]
        for count, gradient in enumerate((each[name] for each in gradients), start=1):
            mean = 0.9 * mean + 0.1 * gradient
            spread = 0.999 * spread + 0.001 * gradient**2
            ahead = 0.9 * mean / (1 - 0.9 ** (count + 1)) + 0.1 * gradient / (1 - 0.9**count)
            value = value - 0.01 * ahead / (np.sqrt(spread / (1 - 0.999**count)) + 1e-8)
        np.testing.assert_allclose(params[name], value, atol=1e-5)


def batches(count):
    rng = np.random.default_rng(0)
    return [rng.random((3, 4, 4, 3), np.float32) for _ in range(count)]


def test_steps_are_those_of_a_plain_loop():
    tx = train.make_transformation(learning_rate=0.05, schedule="inverse_time", num_steps=4)
    trainer = train.make_trainer(noisy, tx, average_decay=0.25)
    key, kernel = jax.random.key(5), np.asarray([1.0, -2.0])
    state = trainer.init(
        key, {"kernel": jnp.asarray(kernel, jnp.float32)}, {"count": jnp.zeros(())}
    )
    gradients, average = [], kernel
    for step, batch in enumerate(batches(4)):
        noise = np.asarray(jax.random.normal(jax.random.fold_in(key, step), (2,)))
        slope = 3 * batch.mean((0, 1, 2))[:2] + noise
        gradients.append(slope + 2 * kernel)
        terms = {"first": slope @ kernel, "second": kernel @ kernel}
        rates = [0.05 / (1 + 5e-5 * done) for done in range(step + 1)]
        kernel = adam(rates, gradients, [1.0, -2.0])
        decay = [2 / 11, 0.25, 0.25, 0.25][step]  # min(0.25, (2 + t) / (11 + t))
        average = decay * average + (1 - decay) * kernel

        state, metrics = trainer.step(state, batch, 3.0)

        assert metrics.terms == pytest.approx(terms, rel=1e-5)
        assert float(metrics.total) == pytest.approx(sum(terms.values()), rel=1e-5)
        assert float(metrics.grad_norm) == pytest.approx(np.linalg.norm(gradients[-1]), rel=1e-5)
        np.testing.assert_allclose(state.params["kernel"], kernel, rtol=1e-5)
        np.testing.assert_allclose(train.averaged_params(state)["kernel"], average, rtol=1e-5)
    assert int(state.step) == float(state.model_state["count"]) == 4


def test_without_an_average_the_last_params_are_exported():
    trainer = train.make_trainer(noisy, optax.sgd(0.1))
    params = {"kernel": jnp.ones(2)}
    state = trainer.init(jax.random.key(0), params, {"count": jnp.zeros(())})
    after, _ = trainer.step(state, batches(1)[0], 1.0)
    assert train.averaged_params(after) is after.params
    assert state.params["kernel"].is_deleted()
    np.testing.assert_array_equal(params["kernel"], np.ones(2))  # the caller's own are not


@pytest.mark.parametrize("decay", [0.0, 1.0, float("nan")])
def test_an_average_wants_a_share(decay):
    with pytest.raises(ValueError, match=f"average_decay: .* between 0 and 1, got {decay}"):
        train.make_trainer(noisy, optax.sgd(0.1), average_decay=decay)


# Learning rates and who learns ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, {0: 0.2, 1000: 0.2}),
        ({"schedule": "cosine"}, {0: 0.2, 250: 0.1 + 0.1 * np.sqrt(0.5), 500: 0.1, 1000: 0.0}),
        ({"schedule": "inverse_time"}, {0: 0.2, 20_000: 0.1, 60_000: 0.05}),
        ({"schedule": "inverse_time", "decay": 1.0}, {1: 0.1, 3: 0.05}),
        ({"schedule": "halving", "halve_every": 30}, {29: 0.2, 30: 0.1, 59: 0.1, 60: 0.05}),
        ({"schedule": "constant", "warmup_steps": 4}, {0: 0.05, 1: 0.1, 3: 0.2, 4: 0.2}),
        ({"schedule": "cosine", "warmup_steps": 1000}, {499: 0.05 * (1 + np.sin(np.pi / 1000))}),
    ],
)
def test_schedules(options, rates):
    rate = train.make_schedule(learning_rate=0.2, num_steps=1000, **options)
    found = {step: float(jnp.asarray(rate(jnp.asarray(step)))) for step in rates}
    assert found == pytest.approx(rates, rel=1e-5, abs=1e-8)


def test_large_gradients_are_scaled_to_the_norm_and_small_ones_left():
    tx = train.make_transformation(learning_rate=0.1, num_steps=2, clip_norm=2.5)
    params = {"a": jnp.ones(1), "b": jnp.ones(1)}
    state = tx.init(params)
    for gradient in ([30.0, 40.0], [0.3, 0.4]):
        grads = {"a": jnp.asarray(gradient[:1]), "b": jnp.asarray(gradient[1:])}
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    wanted = adam([0.1, 0.1], np.asarray([[1.5, 2.0], [0.3, 0.4]]), [1.0, 1.0])
    found = np.concatenate(jax.tree.leaves(params))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def is_new_style(path):
    return path[0] == "norm" and path[-1] == "scale"


@pytest.mark.parametrize(
    "trainable", [is_new_style, {"norm": {"scale": True, "bias": False}, "conv": False}]
)
def test_who_is_not_trainable_stays_as_it_was(trainable):
    def loss(key, params, model_state, batch, *args):
        del key, args
        total = sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(params)) * batch.mean()
        return total, ({"all": total}, model_state)

    tx = train.make_transformation(learning_rate=0.1, num_steps=2, trainable=trainable)
    trainer = train.make_trainer(loss, tx)
    params = {
        "conv": {"kernel": jnp.full((2, 2), 7.0)},
        "norm": {"scale": jnp.asarray([3.0, -4.0]), "bias": jnp.full(2, 5.0)},
    }
    state = trainer.init(jax.random.key(0), params, {})
    moments = [leaf.shape for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim]
    assert moments == [(2,), (2,)]
    state, metrics = trainer.step(state, np.full((1, 2, 2, 3), 0.5, np.float32))
    np.testing.assert_array_equal(state.params["conv"]["kernel"], params["conv"]["kernel"])
    np.testing.assert_array_equal(state.params["norm"]["bias"], params["norm"]["bias"])
    np.testing.assert_allclose(state.params["norm"]["scale"], [2.9, -3.9], rtol=1e-5)
    assert float(metrics.grad_norm) == pytest.approx(5.0)  # theirs alone


def test_somebody_must_learn():
    tx = train.make_transformation(learning_rate=0.1, num_steps=2, trainable=lambda path: False)
    with pytest.raises(ValueError, match="trainable: wanted at least one parameter"):
        tx.init({"kernel": jnp.ones(2)})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"learning_rate": 0.0}, "learning_rate: wanted a number above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate: .* got nan"),
        ({"schedule": "halving"}, "halve_every: 'halving' wants 1 step or more, got None"),
        ({"num_steps": 0}, "num_steps of 1 or more, .* got 0, 0 and"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"clip_norm": 0.0}, "clip_norm: wanted a number above 0 or None, got 0.0"),
    ],
)
def test_useless_numbers_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        train.make_transformation(**{"learning_rate": 0.1, "num_steps": 10, **options})
    assert "\n" not in str(caught.value)


# Many devices ---------------------------------------------------------------------------------


def perceptual(key, params, model_state, batch, target):
    """A small network and loss with all that the project does in its own way on the CPU."""
    x = batch + 0.1 * jax.random.normal(key, batch.shape)
    x = relu(convolve(x, params["in"], params["bias"], padding="reflect"))
    mean = x.mean((0, 1, 2))  # as batch normalisation: over all devices
    x = max_pool(x - mean.reshape(1, 1, 1, -1))
    x = relu(convolve(x, params["out"], stride=2))
    style = 300.0 * jnp.square(gram_matrix(x) - target).mean()
    content = jnp.square(x).mean()
    return style + content, ({"style": style, "content": content}, {"mean": mean})


def train_perceptual(path):
    """Two steps, saved to a file with the first one's metrics; the number of devices varies."""
    rng = np.random.default_rng(1)

    def draw(*shape):
        return jnp.asarray(rng.standard_normal(shape, np.float32) / 4)

    params = {"in": draw(3, 3, 3, 8), "bias": draw(8), "out": draw(3, 3, 8, 8)}
    trainer = train.make_trainer(perceptual, optax.sgd(1e-3), average_decay=0.5)
    state = trainer.init(jax.random.key(0), params, {"mean": jnp.zeros(8)})
    target, pictures = draw(1, 8, 8), rng.random((2, 8, 16, 16, 3), np.float32)
    state, first = trainer.step(state, pictures[0], target)
    state, _ = trainer.step(state, train.shard(pictures[1]), target)
    everything = (state.params, state.model_state, state.average, first)
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(everything))
    leaves, _ = jax.tree_util.tree_flatten_with_path(everything)
    arrays = {jax.tree_util.keystr(name): np.asarray(leaf) for name, leaf in leaves}
    np.savez(path, allow_pickle=False, **arrays)
    return trainer, state, pictures, target


def work_on_eight_devices(path):
    """What the process does that is shown eight devices."""
    trainer, state, pictures, target = train_perceptual(path)
    shards = train.shard(pictures[0]).addressable_shards
    assert [shard.data.shape[0] for shard in shards] == [1] * 8
    try:
        trainer.step(state, pictures[0, :6], target)
    except ValueError as error:
        print(error)


@pytest.mark.slow
def test_eight_devices_do_as_one(tmp_path):
    train_perceptual(tmp_path / "one.npz")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(ROOT / "tests" / "train"), str(ROOT / "tests")]
        ),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    code = (
        f"import test_trainer; test_trainer.work_on_eight_devices({str(tmp_path / 'eight.npz')!r})"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.startswith("batch_size: wanted a multiple of the 8 local devices, got 6;")
    assert told.stdout.count("\n") == 1
    one, eight = np.load(tmp_path / "one.npz"), np.load(tmp_path / "eight.npz")
    assert sorted(one) == sorted(eight)
    for name in one:
        np.testing.assert_allclose(eight[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
