"""Runs whose clock is the stream's: every batch takes a second, or as many as the test says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import train
from nst_jax.train import time_limit

pytestmark = pytest.mark.usefixtures("lax_promotion")

RATE = 0.05
LIMIT = 100.0


class Clocked:
    """Batches that depend on the position alone; each takes some seconds of a made clock."""

    def __init__(self, clock, *, seconds=lambda position: 1.0, stop_at=None):
        self.position, self.clock, self.seconds, self.stop_at = 0, clock, seconds, stop_at

    def __next__(self):
        if self.position == self.stop_at:
            raise ConnectionError("gone")
        self.position += 1
        self.clock[0] += self.seconds(self.position)
        return np.full((2, 3), np.sin(self.position), np.float32)

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def loss_fn(key, params, model_state, batch):
    del key
    return jnp.square(params["x"][None] - batch).mean(), ({}, model_state)


@pytest.fixture(scope="module")
def trainer():
    tx = train.make_transformation(learning_rate=RATE, schedule="cosine", num_steps=None)
    return train.make_trainer(loss_fn, tx)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time_limit, "perf_counter", lambda: now[0])
    return now


def fit(trainer, workdir, stream, *, on_plan=None, **options):
    return train.fit(
        trainer,
        trainer.init(jax.random.key(0), {"x": jnp.zeros(3, jnp.float32)}, {}),
        stream,
        num_steps=None,
        description={},
        reporting=train.Reporting(
            workdir, time_limit=train.TimeLimit(LIMIT, on_plan=on_plan), **options
        ),
    )


def adam_in_numpy(num_steps, planned_at):
    """Kingma and Ba's algorithm 1 with the schedule that a run of that length has."""
    x, m, v = (np.zeros(3) for _ in range(3))
    for step in range(num_steps):
        gradient = 2 * (x - np.sin(step + 1)) / 3
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        done = step / num_steps if step >= planned_at else 0.0
        rate = RATE * (1 + np.cos(np.pi * done)) / 2
        unbiased = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        x = x - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return x


def test_the_last_step_is_planned_from_what_steps_take(trainer, clock, tmp_path):
    planned = []
    state = fit(trainer, tmp_path, Clocked(clock), on_plan=planned.append)
    # Steps 4 to 13 are measured, a tenth of the limit. 87 seconds are left, of which 5 are kept
    # for the end and 3 in a hundred for steps that take longer.
    wanted = 13 + int(0.97 * (LIMIT - 5 - 13))
    assert planned == [wanted]
    assert int(state.step) == wanted
    assert clock[0] == wanted < LIMIT
    np.testing.assert_allclose(state.params["x"], adam_in_numpy(wanted, 13), rtol=1e-3, atol=1e-5)
    assert fit(trainer, tmp_path, Clocked(clock)).step == wanted  # it is finished


@pytest.mark.parametrize(("stop_at", "seconds"), [(5, 1.0), (40, 7.0)], ids=["before", "after"])
def test_a_run_that_broke_keeps_its_plan(trainer, clock, tmp_path, stop_at, seconds):
    """Before it has a plan it makes the same one; after that its steps may take as they like."""
    whole = fit(trainer, tmp_path / "whole", Clocked(clock))
    clock[0] = 0.0
    with pytest.raises(ConnectionError):
        fit(trainer, tmp_path / "broken", Clocked(clock, stop_at=stop_at), save_every=25)
    clock[0] = 0.0
    planned = []
    stream = Clocked(clock, seconds=lambda position: seconds)
    state = fit(trainer, tmp_path / "broken", stream, on_plan=planned.append)
    assert planned == [int(whole.step)]
    np.testing.assert_array_equal(state.params["x"], whole.params["x"])


def test_steps_that_come_to_take_longer_end_the_run_in_time(trainer, clock, tmp_path):
    stream = Clocked(clock, seconds=lambda position: 1.0 if position <= 20 else 10.0)
    state = fit(trainer, tmp_path, stream)
    assert int(state.step) == 28  # 20 s, and 10 s for each of 8; 5 of the 100 s are kept
    assert fit(trainer, tmp_path, Clocked(clock)).step == 28  # it counts as finished


def test_a_limit_wants_a_run_without_a_number_of_steps(trainer, tmp_path):
    with pytest.raises(ValueError, match=r"^num_steps: wanted a number, or None with reporting"):
        train.fit(
            trainer,
            trainer.init(jax.random.key(0), {"x": jnp.zeros(3, jnp.float32)}, {}),
            Clocked([0.0]),
            num_steps=None,
            description={},
            reporting=train.Reporting(tmp_path),
        )
