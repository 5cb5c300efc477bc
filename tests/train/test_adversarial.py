"""Oracles: a turn written out in NumPy, what a pool cannot lose, and games whose end is known."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax import train
from nst_jax.networks.discriminators import PatchDiscriminator
from nst_jax.ops.convolution import convolve
from nst_jax.train.adversarial import Pool, draw_from_pool
from nst_jax.train.checkpoints import best_folder, saved_steps

pytestmark = pytest.mark.usefixtures("lax_promotion")

ROOT = Path(__file__).parents[2]


# One turn -------------------------------------------------------------------------------------


def shifted(key, params, model_state, batch, scale):
    """Makes the same of all: the shift. Its own loss is its square."""
    del key
    made = jnp.broadcast_to(params["shift"], batch.shape)
    own = scale * jnp.square(params["shift"]).sum()
    return train.Generated(made, batch, own, {"own": own}, {"turns": model_state["turns"] + 1})


def linear(params, model_state, judged):
    return ((judged @ params["w"])[..., None],), model_state


class Adam:
    def __init__(self, size, *, rate, momentum):
        self.rate, self.momentum, self.count = rate, momentum, 0
        self.mean, self.square = np.zeros(size), np.zeros(size)

    def move(self, gradient):
        self.count += 1
        self.mean = self.momentum * self.mean + (1 - self.momentum) * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - self.momentum**self.count)
        return -self.rate * mean / (np.sqrt(self.square / (1 - 0.999**self.count)) + 1e-8)


def test_turns_are_those_of_a_plain_loop():
    config = train.AdversarialConfig(
        weight=0.5, learning_rate=0.05, discriminator_steps=2, generator_steps=2
    )
    w, shift = np.asarray([0.3, -0.2]), np.asarray([1.0, 2.0])
    trainer = train.make_adversarial_trainer(
        shifted,
        linear,
        {"params": {"w": jnp.asarray(w, jnp.float32)}},
        optax.sgd(0.1),
        config,
        average_decay=0.25,
    )
    params = {"shift": jnp.asarray(shift, jnp.float32)}
    state = trainer.init(jax.random.key(0), params, {"turns": jnp.zeros(())})
    adam, average, mean_accuracy = Adam(2, rate=0.05, momentum=0.5), shift, 0.5
    rng = np.random.default_rng(0)
    for turn in range(3):
        batch = rng.standard_normal((3, 1, 1, 2), np.float32)
        real = np.float64(batch.reshape(3, 2))
        state, metrics = trainer.step(state, batch, 0.1)

        errors = real @ w - 1, shift @ w
        watched = {
            "discriminator_loss": (errors[0] ** 2).mean() / 2 + errors[1] ** 2 / 2,
            "accuracy": ((errors[0] > -0.5).mean() + (errors[1] < 0.5)) / 2,
        }
        mean_accuracy = 0.9 * mean_accuracy + 0.1 * watched["accuracy"]
        for _ in range(2):
            w = w + adam.move(((real @ w - 1)[:, None] * real).mean(0) + (shift @ w) * shift)
        terms = {"own": 0.1 * shift @ shift, "adversarial": 0.5 * (shift @ w - 1) ** 2}
        for _ in range(2):
            gradient = 0.2 * shift + 0.5 * 2 * (shift @ w - 1) * w
            shift = shift - 0.1 * gradient
        decay = [2 / 11, 0.25, 0.25][turn]
        average = decay * average + (1 - decay) * shift

        assert metrics.terms == pytest.approx(terms, rel=1e-4)
        assert float(metrics.total) == pytest.approx(sum(terms.values()), rel=1e-4)
        assert float(metrics.grad_norm) == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
        found = {name: float(metrics.watched[name]) for name in watched}
        assert found == pytest.approx(watched, rel=1e-4)
        assert float(metrics.watched["mean_accuracy"]) == pytest.approx(mean_accuracy, rel=1e-5)
        np.testing.assert_allclose(state.params["shift"], shift, rtol=1e-4)
        np.testing.assert_allclose(state.adversary.params["w"], w, rtol=1e-4)
        np.testing.assert_allclose(train.averaged_params(state)["shift"], average, rtol=1e-4)
    assert float(state.model_state["turns"]) == int(state.step) == 3


def test_a_pool_gives_back_what_it_was_given():
    """Nothing is lost or made up; and of a full one half of what is shown is old."""
    pool = Pool(jnp.zeros((4, 1)), jnp.zeros((), jnp.int32))
    draw = jax.jit(draw_from_pool)
    given, shown, old, seen = [], [], 0, 0
    for turn in range(60):
        batch = np.arange(3 * turn, 3 * turn + 3, dtype=np.float32).reshape(3, 1) + 1
        pool, found = draw(jax.random.key(turn), pool, jnp.asarray(batch))
        found = np.asarray(found).ravel()
        if turn == 0:
            np.testing.assert_array_equal(found, batch.ravel())
        if turn > 1:
            old, seen = old + int((found != batch.ravel()).sum()), seen + 3
        given.extend(batch.ravel())
        shown.extend(found)
    kept = np.asarray(pool.kept).ravel()
    assert set(kept) < set(given)
    # While it filled, four things were both kept and shown.
    assert sorted([*given, *given[:4]]) == sorted([*shown, *kept])
    assert 0.35 < old / seen < 0.65
    assert int(pool.count) == 4


# Games whose end is known ---------------------------------------------------------------------

SIDE, RATE = 12, 4e-4
COLOUR, SWING = np.asarray([0.65, 0.4, 0.3], np.float32), 0.25


def stripes(key, count, colour, swing):
    """Patches of one texture: stripes of four pixels, anywhere."""
    phases = jax.random.uniform(key, (count, 1, 1, 1), maxval=2 * np.pi)
    x = jnp.arange(SIDE, dtype=jnp.float32).reshape(1, 1, -1, 1)
    waves = jnp.broadcast_to(jnp.sin(x * np.pi / 2 + phases), (count, SIDE, SIDE, 1))
    return colour.reshape(1, 1, 1, 3) + swing * waves


def paint_stripes(key, params, model_state, batch):
    made_key, real_key = jax.random.split(key)
    made = stripes(made_key, len(batch), params["colour"], params["swing"])
    real = stripes(real_key, len(batch), jnp.asarray(COLOUR), SWING)
    own = 0.0 * jnp.square(params["colour"]).sum()
    return train.Generated(made, real, own, {"own": own}, model_state)


class Counts:
    """Batches that say no more than how large they are."""

    def __init__(self, *, fail_at=None, pause=0.0):
        self.position, self.fail_at, self.pause = 0, fail_at, pause

    def __next__(self):
        if self.position == self.fail_at:
            raise ConnectionError("gone")
        time.sleep(self.pause)
        self.position += 1
        return np.zeros((4, 1), np.float32)

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def make_game(*, rate=RATE, pool_size=0, **options):
    config = train.AdversarialConfig(
        loss="non_saturating", learning_rate=rate, pool_size=pool_size, **options
    )
    network = PatchDiscriminator(width=4, num_halvings=1, normalization="spectral")
    pictures = jnp.zeros((1, SIDE, SIDE, 3))
    return train.make_adversarial_trainer(
        paint_stripes,
        train.discriminate_by(network),
        jax.jit(network.init)(jax.random.key(1), pictures),
        optax.adam(2e-3, b1=0.5),
        config,
        made_shape=(SIDE, SIDE, 3),
        average_decay=0.98,
    )


def start(trainer):
    params = {"colour": jnp.full(3, 0.5), "swing": jnp.asarray(0.05)}
    return trainer.init(jax.random.key(2), params, {})


def style_distance(state):
    """How far the averaged texture is from the known one."""
    params = train.averaged_params(state)
    colours = np.abs(np.asarray(params["colour"]) - COLOUR).max()
    return {"style": max(colours, abs(abs(float(params["swing"])) - SWING))}


def play(trainer, workdir, stream=None, *, num_steps=8, **options):
    return train.fit(
        trainer,
        start(trainer),
        stream or Counts(),
        num_steps=num_steps,
        description={"config": "stripes"},
        reporting=train.Reporting(
            workdir,
            **{"save_every": 3, "report_every": 2, "log_every": 1, "best_by": "style", **options},
        ),
        evaluate=style_distance,
    )


def logged(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_discriminator_of_one_texture_ends_near_chance():
    """Where both sides show the same stripes nobody can be right more often than by chance."""
    trainer = make_game()
    state, watched = start(trainer), []
    assert style_distance(state)["style"] > 0.19
    for _ in range(200):
        state, metrics = trainer.step(state, np.zeros((4, 1), np.float32))
        watched.append(metrics.watched)
    assert style_distance(state)["style"] < 0.06
    watched = jax.device_get(watched)
    assert 0.4 < np.mean([each["accuracy"] for each in watched[-100:]]) < 0.6
    assert max(each["wins"] for each in watched) == 0


@pytest.mark.slow
def test_a_run_whose_discriminator_wins_is_stopped_with_a_line(tmp_path):
    """The game above, with the discriminator's learning rate times 50."""
    trainer = make_game(rate=50 * RATE, patience=15)
    with pytest.raises(train.TrainingDivergedError) as caught:
        play(trainer, tmp_path, num_steps=150, save_every=0, report_every=20)
    message = str(caught.value)
    assert message.startswith(
        "The discriminator was right about more than 95 % of patches for 15 steps, and has nothing "
        f"more to teach, at step {caught.value.step}. The checkpoint '{tmp_path}/best/step_"
    )
    assert "; try a lower learning rate of the discriminator than 0.02, " in message
    assert message.endswith(", in another workdir.")
    assert "\n" not in message
    lines = [line for line in logged(tmp_path) if "wins" in line]
    assert lines[-1]["step"] == caught.value.step - 1
    assert lines[-1]["wins"] == 14
    assert lines[-1]["mean_accuracy"] > 0.95


# Going on -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def game():
    with jax.numpy_dtype_promotion("standard"):
        return make_game(pool_size=5)


@pytest.fixture(scope="module")
def unbroken(game, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    with jax.numpy_dtype_promotion("standard"):
        return play(game, workdir), workdir


def assert_same(found, wanted):
    found, wanted = (
        jax.tree.map(np.asarray, state._replace(key=jax.random.key_data(state.key)))
        for state in (found, wanted)
    )
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("position", [2, 4, 7])
def test_a_run_that_broke_goes_on_as_if_it_had_not(game, unbroken, tmp_path, position):
    with pytest.raises(ConnectionError):
        play(game, tmp_path, Counts(fail_at=position))
    assert_same(play(game, tmp_path), unbroken[0])
    without_time, wanted = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in logged(folder)]
        for folder in (tmp_path, unbroken[1])
    )
    assert without_time == wanted
    assert saved_steps(best_folder(tmp_path)) == saved_steps(best_folder(unbroken[1]))


def child(workdir):
    """What the process does that is to be killed, which it awaits after the fourth step."""

    def tell(report):
        print(report.step, flush=True)
        if report.step == 4:
            time.sleep(60)

    with jax.numpy_dtype_promotion("standard"):
        play(make_game(pool_size=5), Path(workdir), Counts(pause=0.3), on_step=tell)


@pytest.mark.slow
def test_a_killed_process_goes_on_as_if_it_had_not_been(game, unbroken, tmp_path):
    code = f"import test_adversarial as t; t.child({str(tmp_path)!r})"
    folders = [ROOT, ROOT / "tests" / "train", ROOT / "tests"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            if int(line) == 4:
                process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert saved_steps(tmp_path / "checkpoints") == [3]
    assert_same(play(game, tmp_path), unbroken[0])


@pytest.mark.slow
def test_the_best_checkpoint_is_that_of_the_least_held_out_distance(game, unbroken):
    state, workdir = unbroken
    distances = {
        line["step"]: line["held_out"]["style"] for line in logged(workdir) if "held_out" in line
    }
    assert sorted(distances) == [2, 4, 6, 8]
    best = min(distances, key=lambda step: distances[step])
    assert saved_steps(best_folder(workdir)) == [best]
    like = start(game)
    found = train.load_best(workdir, like=like, description={"config": "stripes"})
    assert found is not None
    assert int(found.step) == best
    assert style_distance(found)["style"] == pytest.approx(distances[best], rel=1e-6)
    assert int(state.adversary.pool.count) == 5


@pytest.mark.slow
def test_a_distance_that_is_not_measured_is_refused(game, tmp_path):
    with pytest.raises(ValueError, match="best_by: wanted a held-out loss, style, got 'total'"):
        play(game, tmp_path, best_by="total")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"weight": -1.0}, "weight: wanted a finite number, 0 or more, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate: wanted a finite number above 0, got 0.0"),
        ({"momentum": 1.0}, "momentum: wanted a share from 0 to below 1, got 1.0"),
        ({"generator_steps": 0}, "generator_steps: wanted 1 or more, got 0"),
        ({"won_accuracy": 0.3}, "won_accuracy: wanted a share from 0.5 to below 1, got 0.3"),
        ({"loss": "wasserstein"}, "loss: wanted least_squares, hinge, margin, non_saturating, got"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_useless_numbers_are_refused(options: Any, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        train.AdversarialConfig(**options)
    assert "\n" not in str(caught.value)


def test_a_pool_wants_to_know_what_it_keeps():
    config = train.AdversarialConfig(pool_size=2)
    with pytest.raises(ValueError, match="made_shape: wanted the shape of what is made"):
        train.make_adversarial_trainer(shifted, linear, {"params": {}}, optax.sgd(0.1), config)


# Against PyTorch, and on many devices ---------------------------------------------------------


def painter(key, params, model_state, batch):
    """A convolution that paints, with a loss of its own."""
    del key
    painted = jax.nn.sigmoid(convolve(jnp.asarray(batch), params["kernel"], params["bias"]))
    own = 0.5 * jnp.square(painted - batch).mean()
    return train.Generated(painted, 1 - jnp.asarray(batch), own, {"own": own}, model_state)


def make_duel(loss: Any = "least_squares", normalization: Any = "instance"):
    """A trainer of that painter against a discriminator of patches of 16, and its first state."""
    rng = np.random.default_rng(5)
    kernel, bias = (rng.standard_normal(shape, np.float32) for shape in ((3, 3, 3, 3), (3,)))
    judge = PatchDiscriminator(width=3, num_halvings=1, normalization=normalization)
    pictures = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    shapes = jax.eval_shape(judge.init, jax.random.key(0), pictures)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape, np.float32) / 4), shapes
    )
    config = train.AdversarialConfig(loss=loss, weight=0.7, learning_rate=1e-2)
    trainer = train.make_adversarial_trainer(
        painter, train.discriminate_by(judge), variables, optax.sgd(0.2), config
    )
    params = {"kernel": jnp.asarray(kernel) / 3, "bias": jnp.asarray(bias)}
    return trainer, trainer.init(jax.random.key(0), params, {}), variables


@pytest.mark.oracle
@pytest.mark.parametrize("loss", ["least_squares", "hinge", "margin", "non_saturating"])
def test_an_alternating_step_is_pytorchs(loss):
    import torch
    from network_oracle import as_torch
    from torch.nn import functional

    trainer, state, variables = make_duel(loss)
    pictures = np.random.default_rng(6).random((2, 16, 16, 3), np.float32)
    own, judging = as_torch(state.params), as_torch(variables["params"])
    images = torch.tensor(pictures, dtype=torch.float64).permute(0, 3, 1, 2)

    def convolve_by(x, layer, **options):
        return functional.conv2d(
            x, layer["kernel"].permute(3, 2, 0, 1), layer["bias"], padding=1, **options
        )

    def judge(x):
        x = functional.leaky_relu(convolve_by(2 * x - 1, judging["convolution0"], stride=2), 0.2)
        x = functional.instance_norm(convolve_by(x, judging["convolution1"]), eps=1e-5)
        return convolve_by(functional.leaky_relu(x, 0.2), judging["logits"])

    def bce(logits, label):
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    of_judge = {
        "least_squares": lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        "hinge": lambda r, f: (1 - r).relu().mean() + (1 + f).relu().mean(),
        "margin": lambda r, f: (1 - r).relu().mean() + (1 + f).relu().mean(),
        "non_saturating": lambda r, f: bce(r, 1.0) + bce(f, 0.0),
    }[loss]
    of_painter = {
        "least_squares": lambda f: ((f - 1) ** 2).mean(),
        "hinge": lambda f: -f.mean(),
        "margin": lambda f: (1 - f).relu().mean(),
        "non_saturating": lambda f: bce(f, 1.0),
    }[loss]
    layers = [tensor for layer in judging.values() for tensor in layer.values()]
    adam = torch.optim.Adam(layers, lr=1e-2, betas=(0.5, 0.999))
    sgd = torch.optim.SGD(own.values(), lr=0.2)
    painted = torch.sigmoid(convolve_by(images, own))
    loss_of_judge = of_judge(judge(1 - images), judge(painted.detach()))
    loss_of_judge.backward()
    adam.step()
    adversarial = 0.7 * of_painter(judge(painted))
    terms = {"own": 0.5 * ((painted - images) ** 2).mean(), "adversarial": adversarial}
    (terms["own"] + terms["adversarial"]).backward()
    sgd.step()

    state, metrics = trainer.step(state, pictures)
    for name, term in terms.items():
        assert float(metrics.terms[name]) == pytest.approx(term.item(), rel=1e-3)
    found = float(metrics.watched["discriminator_loss"])
    assert found == pytest.approx(loss_of_judge.item(), rel=1e-3)
    for name, tensor in own.items():
        np.testing.assert_allclose(state.params[name], tensor.detach(), rtol=1e-3, atol=1e-5)
    for name, layer in judging.items():
        for part, tensor in layer.items():
            if (name, part) == ("convolution1", "bias"):
                continue  # which the normalisation takes out: Adam makes a step of rounding
            found = state.adversary.params[name][part]
            np.testing.assert_allclose(found, tensor.detach(), rtol=1e-3, atol=2e-4, err_msg=name)


def duel_twice(path):
    """Two turns, saved to a file with the last one's metrics; the number of devices varies."""
    trainer, state, _ = make_duel(normalization="batch")
    pictures = np.random.default_rng(7).random((2, 8, 16, 16, 3), np.float32)
    for batch in pictures:
        state, metrics = trainer.step(state, train.shard(batch))
    everything = (state.params, state.adversary.params, state.adversary.accuracy, metrics)
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(everything))
    leaves, _ = jax.tree_util.tree_flatten_with_path(everything)
    arrays = {jax.tree_util.keystr(name): np.asarray(leaf) for name, leaf in leaves}
    np.savez(path, allow_pickle=False, **arrays)


@pytest.mark.slow
def test_eight_devices_do_as_one(tmp_path):
    duel_twice(tmp_path / "one.npz")
    folders = [ROOT, ROOT / "tests" / "train", ROOT / "tests"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    code = (
        "import jax, test_adversarial as t; assert jax.device_count() == 8; "
        f"t.duel_twice({str(tmp_path / 'eight.npz')!r})"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    one, eight = np.load(tmp_path / "one.npz"), np.load(tmp_path / "eight.npz")
    assert sorted(one) == sorted(eight)
    for name in one:
        if name.endswith("['convolution1']['bias']"):
            continue  # which the normalisation takes out: Adam makes a step of rounding
        np.testing.assert_allclose(eight[name], one[name], rtol=1e-3, atol=2e-5, err_msg=name)
