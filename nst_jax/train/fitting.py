"""The loop that trains: steps, checkpoints, logs, and what stops it.

It is a host loop around one jitted step, for the reasons that pixels/loop.py gives: convolutions in
a compiled loop are slow on the CPU, and progress, saving and stopping come for free. Losses are
read a step or two late, so that the device never waits for the host; the next batch is fetched
meanwhile.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.files import locked
from nst_jax.files.disk import FilePath, quoted, reworded
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.lagged import Lagged
from nst_jax.runs.report import Report
from nst_jax.train.checkpoints import (
    best_folder,
    drop_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from nst_jax.train.datasets import Stream
from nst_jax.train.divergence import DivergenceCheck, largest_entry
from nst_jax.train.logs import Logs
from nst_jax.train.reporting import Reporting
from nst_jax.train.sharding import replicate
from nst_jax.train.time_limit import Planner
from nst_jax.train.trainer import Metrics, State, Trainer
from nst_jax.train.transformations import NOT_PLANNED, plan_steps, planned_steps


def fit(
    trainer: Trainer,
    state: State,
    stream: Stream,
    *args: Any,
    num_steps: int | None,
    description: Mapping[str, Any],
    reporting: Reporting,
    sample: Callable[[State], Image] | None = None,
    evaluate: Callable[[State], Mapping[str, float]] | None = None,
) -> State:
    """Train until num_steps are done or the run is interrupted, and return the state.

    Where the workdir holds a checkpoint the run goes on from there, and ends with the parameters,
    bit for bit, of a run that never stopped. An interruption ends it after the step in progress,
    with a checkpoint; the returned state's step is then under num_steps.

    The workdir receives checkpoints/, and best/ with reporting.best_by; metrics.jsonl, a line of
    losses every log_every steps and one of held-out losses after each evaluation; tensorboard/ with
    the same; samples/. One process at a time may use it.

    Args:
        trainer: Its step is called.
        state: From its init; used up. A checkpoint takes its place and must be of its structure.
        stream: Gives a batch a step.
        *args: The loss's further arguments, a copy of which goes to every local device.
        num_steps: The number of the last step; a run that has come so far is returned as it is.
            None where reporting has a time limit, and the trainer's transformation was made for
            such a run.
        description: Config and fingerprint of the data, as what JSON can hold: a checkpoint with
            another description is refused. It takes the place of reporting.data.
        reporting: The workdir, how often things are written there, and what may stop the run.
        sample: Returns the pictures of a sheet; it must not keep the state's arrays.
        evaluate: Returns held-out losses; it must not keep the state's arrays.

    Raises:
        ValueError: A number is out of its range, the batch does not divide among the devices, the
            stream ends, or the workdir holds another run or a damaged checkpoint.
        OSError: The workdir cannot be written to.
        TrainingDivergedError: A loss, gradient or parameter is not finite, a parameter leaves the
            range of float16, or a loss exceeds ten thousand times the median of the run's first
            ten; or the trainer's fault says so.
    """
    reporting.check()
    views = _Views(sample, evaluate)
    if num_steps is not None and num_steps < 0:
        raise ValueError(f"num_steps: wanted 0 or more, got {num_steps}")
    if (num_steps is None) != (reporting.time_limit is not None):
        raise ValueError("num_steps: wanted a number, or None with reporting.time_limit")
    folder = make_workdir(reporting.workdir)
    with locked(folder, name="workdir"):
        check = DivergenceCheck((folder / "checkpoints", best_folder(folder)), trainer.fault)
        run = _Run(folder, description, reporting, check)
        return _fit(trainer, run, run.resume(state, stream), stream, args, num_steps, views)


def _fit(
    trainer: Trainer,
    run: "_Run",
    state: State,
    stream: Stream,
    args: tuple[Any, ...],
    num_steps: int | None,
    views: "_Views",
) -> State:
    """Take the steps that are left."""
    reporting = run.reporting
    done = saved = int(state.step)
    end = planned_steps(state.opt_state) if num_steps is None else num_steps
    if done >= end:
        return state
    planner = run.begin_planning(end)
    args = replicate(args)
    with run.open_logs(done) as logs, deferred_interrupt(interrupted=reporting.interrupted) as stop:
        while done < end and not stop():
            state, metrics = trainer.step(state, _next_batch(stream, done), *args)
            done += 1
            if planner is not None:
                planner.note()
                if planner.is_over():
                    end = done
                    state = _plan(state, end)
            last = done == end
            run.note(done, metrics, largest_entry(state.params), last=last)
            if _is_due(done, reporting.report_every, last):
                run.read()
                if views.sample is not None:
                    logs.write_sample(done, views.sample(state))
                if views.evaluate is not None:
                    losses = views.evaluate(state)
                    logs.write_held_out(done, losses)
                    run.keep_best(state, stream, losses)
            is_planned = planner is not None and not last and planner.is_due()
            if planner is not None and is_planned:
                look = partial(views.look, state)
                end = done + planner.plan(look, look_every=reporting.report_every)
                state = _plan(state, end)
                run.tell_plan(end)
            # The last step too, so that a kill from here on loses nothing; and the plan.
            if is_planned or _is_due(done, reporting.save_every, last):
                run.save(state, stream)
                saved = done
        if saved < done:
            run.save(state, stream)
    return state


class _Views(NamedTuple):
    """How a run is looked at on the way; see fit."""

    sample: Callable[[State], Image] | None
    evaluate: Callable[[State], Mapping[str, float]] | None

    def look(self, state: State) -> None:
        """Do both for how long they take."""
        if self.sample is not None:
            jax.block_until_ready(self.sample(state))
        if self.evaluate is not None:
            self.evaluate(state)


class _Run:
    """What `fit` keeps of a run besides its state: losses not yet read, logs, and the clock."""

    def __init__(
        self,
        folder: Path,
        description: Mapping[str, Any],
        reporting: Reporting,
        check: DivergenceCheck,
    ):
        self._folder, self._description, self.reporting = folder, description, reporting
        self._check, self._least = check, math.inf
        self._pending: Lagged[_Pending] = Lagged()
        self._seconds_before = 0.0
        self._started = time.perf_counter()

    @property
    def _checkpoints(self) -> Path:
        return self._folder / "checkpoints"

    @property
    def _best(self) -> Path:
        return best_folder(self._folder)

    def resume(self, state: State, stream: Stream) -> State:
        """Return the newest checkpoint's state, the stream gone to its position, or the state."""
        saved = load_checkpoint(self._checkpoints, like=state, description=self._description)
        if saved is None:
            drop_checkpoints(self._best, after=0)
            return state
        stream.set_state(saved.extra["stream"])
        drop_checkpoints(self._best, after=int(saved.state.step))
        self._least = saved.extra.get("least", math.inf)
        self._check.first_totals = saved.extra["first_totals"]
        self._seconds_before = saved.extra["seconds"]
        return saved.state

    def begin_planning(self, end: int) -> Planner | None:
        """Return what plans the run's length, if it is to be planned and is not yet."""
        limit = self.reporting.time_limit
        if limit is None:
            return None
        if end != NOT_PLANNED:
            self.tell_plan(end)
            return None
        return Planner(limit, seconds_before=self._seconds_before)

    def tell_plan(self, end: int) -> None:
        """Report the number of the last step."""
        limit = self.reporting.time_limit
        if limit is not None and limit.on_plan is not None:
            limit.on_plan(end)

    def open_logs(self, done: int) -> Logs:
        """Return the logs, from then on written to."""
        self._logs = Logs(self._folder, after=done)
        return self._logs

    def note(self, step: int, metrics: Metrics, largest: Float[Array, ""], *, last: bool) -> None:
        """Take what a step left, and read what steps left that are surely done."""
        logged = _is_due(step, self.reporting.log_every, last)
        self._pending.put(_Pending(step, metrics, largest, logged))
        self._enter(self._pending.take_done())

    def read(self) -> None:
        """Check, log and report every step noted."""
        self._enter(self._pending.take_all())

    def _enter(self, entries: Iterator["_Pending"]) -> None:
        for step, metrics, largest, logged in entries:
            metrics, largest = jax.device_get((metrics, largest))
            total, grad_norm = float(metrics.total), float(metrics.grad_norm)
            terms, watched = _as_floats(metrics.terms), _as_floats(metrics.watched)
            numbers: dict[str, Any] = {"total": total, "grad_norm": grad_norm, "watched": watched}
            self._check.enter(step, largest=float(largest), **numbers)
            if logged:
                self._logs.write_training(step, terms=terms, seconds=self._seconds(), **numbers)
            if self.reporting.on_step is not None:
                self.reporting.on_step(Report(step, total, terms))

    def save(self, state: State, stream: Stream) -> None:
        """Save a checkpoint, after every loss until then was read and logged."""
        self._save(self._checkpoints, state, stream, keep=self.reporting.keep)

    def keep_best(self, state: State, stream: Stream, losses: Mapping[str, float]) -> None:
        """Save a checkpoint besides if its held-out loss is the least so far."""
        name = self.reporting.best_by
        if name is None:
            return
        if name not in losses:
            known = ", ".join(losses)
            raise ValueError(f"best_by: wanted a held-out loss, {known}, got {name!r}")
        if losses[name] < self._least:
            self._least = float(losses[name])
            self._save(self._best, state, stream, keep=1)

    def _save(self, folder: Path, state: State, stream: Stream, *, keep: int) -> None:
        self.read()
        self._logs.flush()
        extra: dict[str, Any] = {
            "stream": stream.get_state(),
            "first_totals": self._check.first_totals,
            "seconds": self._seconds(),
        }
        if self.reporting.best_by is not None and math.isfinite(self._least):
            extra["least"] = self._least
        try:
            save_checkpoint(folder, state, description=self._description, extra=extra, keep=keep)
        except FloatingPointError as error:
            raise self._check.error(int(state.step), f"{error} at") from error

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started


class _Pending(NamedTuple):
    """What a step left on the device, and whether it goes to the logs."""

    step: int
    metrics: Metrics
    largest: Float[Array, ""]
    logged: bool


def _is_due(step: int, every: int, last: bool) -> bool:
    return last or (every > 0 and step % every == 0)


def _next_batch(stream: Stream, done: int) -> Any:
    try:
        return next(stream)
    except StopIteration:
        raise ValueError(
            f"stream: wanted batches without end, it ended after {done}; repeat the data"
        ) from None


def _plan(state: State, num_steps: int) -> State:
    return state._replace(opt_state=plan_steps(state.opt_state, num_steps))


def _as_floats(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(number) for name, number in numbers.items()}


def make_workdir(workdir: FilePath) -> Path:
    """Make a run's folder if it is missing.

    Raises:
        ValueError: Its path is not UTF-8, in which checkpoints cannot be written.
        OSError: It cannot be made.
    """
    try:
        os.path.abspath(workdir).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"workdir: wanted a path in UTF-8, got {quoted(os.path.abspath(workdir))}, in which no "
            "checkpoint can be written; rename the folder or choose another"
        ) from error
    try:
        Path(workdir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        way_out = "name a folder that exists or can be made"
        raise reworded(error, f"cannot use workdir {quoted(workdir)}", way_out) from error
    return Path(workdir)
