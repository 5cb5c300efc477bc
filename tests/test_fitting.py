"""Oracles: runs that never stopped, closed forms of a toy's loss, and files read back plainly.

The toy is a noisy linear map, so that the random key, the position in the data, the running mean
and the optimiser all show in the parameters.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest
from tensorboardX.proto.event_pb2 import Event

from nst_jax import train
from nst_jax.train import TrainingDivergedError

ROOT = Path(__file__).parents[1]
DESCRIPTION = {"config": {"learning_rate": 0.05, "layers": ("a", "b")}, "data": "f00d"}
TARGET = jnp.asarray([0.2, -0.4], jnp.float32)
NUM_STEPS = 8


@pytest.fixture(autouse=True)
def lax_promotion():
    """For optax's Adam, which takes a float to the power of its count of steps."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def loss_fn(key, params, model_state, batch, target):
    mean = batch.mean((0, 1, 2))
    seen = 0.9 * model_state["mean"] + 0.1 * mean
    noise = 0.1 * jax.random.normal(key, (2,))
    match = jnp.square((mean - seen) @ params["kernel"] + noise - target).mean()
    size = 0.01 * jnp.square(params["kernel"]).mean()
    return match + size, ({"match": match, "size": size}, {"mean": seen})


class Pictures:
    """Batches that depend on the seed and the position alone."""

    def __init__(self, *, pause=0.0, fail_at=None):
        self.position, self.pause, self.fail_at = 0, pause, fail_at

    def __iter__(self):
        return self

    def __next__(self):
        if self.position == self.fail_at:
            raise ConnectionError("gone")
        time.sleep(self.pause)
        self.position += 1
        rng = np.random.default_rng([7, self.position])
        return rng.random((2, 4, 4, 3), np.float32)

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def make(loss=loss_fn, *, learning_rate=0.05):
    tx = train.make_transformation(
        learning_rate=learning_rate, schedule="cosine", num_steps=NUM_STEPS
    )
    return train.make_trainer(loss, tx, average_decay=0.9)


@pytest.fixture(scope="module")
def trainer():
    return make()


def start(trainer):
    params = {"kernel": jnp.linspace(-1, 1, 6, dtype=jnp.float32).reshape(3, 2)}
    return trainer.init(jax.random.key(3), params, {"mean": jnp.zeros(3)})


def fit(trainer, workdir, stream=None, **options):
    options = {"num_steps": NUM_STEPS, "save_every": 3, "log_every": 2, **options}
    options = {"workdir": workdir, "description": DESCRIPTION, **options}
    return train.fit(trainer, start(trainer), stream or Pictures(), TARGET, **options)


def numbers(state):
    """The leaves by path, the key as numbers."""
    state = state._replace(key=jax.random.key_data(state.key))
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]
    }


def assert_same(found, wanted):
    found, wanted = numbers(found), numbers(wanted)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def logged(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def events(workdir):
    """(step, tag) of every summary in the event files, by TensorFlow's record format."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            found += [(event.step, value) for value in event.summary.value]
            at += 16 + length
    return found


# Going on -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(trainer, tmp_path_factory):
    """The state and the folder of a run that never stopped."""
    workdir = tmp_path_factory.mktemp("unbroken")
    with jax.numpy_dtype_promotion("standard"):
        return fit(trainer, workdir), workdir


def test_a_run_is_a_plain_loop_of_steps(trainer, unbroken):
    state, stream = start(trainer), Pictures()
    for _ in range(NUM_STEPS):
        state, _ = trainer.step(state, next(stream), TARGET)
    assert_same(unbroken[0], state)
    assert int(state.step) == NUM_STEPS


@pytest.mark.parametrize("position", [1, 3, 5, 7])
def test_a_run_that_broke_goes_on_as_if_it_had_not(trainer, unbroken, tmp_path, position):
    with pytest.raises(ConnectionError):
        fit(trainer, tmp_path, Pictures(fail_at=position))
    seen = []
    state = fit(trainer, tmp_path, on_step=lambda report: seen.append(report.step))
    assert seen[0] == position // 3 * 3 + 1  # from the last checkpoint, not from the beginning
    assert_same(state, unbroken[0])
    without_time = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in logged(folder)]
        for folder in (tmp_path, unbroken[1])
    ]
    assert without_time[0] == without_time[1]


def child(workdir):
    """What the process does that is to be killed."""
    fit(make(), workdir, Pictures(pause=0.3), on_step=lambda report: print(report.step, flush=True))


def test_a_killed_process_goes_on_as_if_it_had_not_been(trainer, unbroken, tmp_path):
    code = f"import test_fitting as t; t.child({str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            if int(line) == 4:  # a checkpoint of step 3 is there, and one of step 6 is not yet
                process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000003"]
    assert_same(fit(trainer, tmp_path), unbroken[0])
    assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 8]
