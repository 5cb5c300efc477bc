"""The books of a loop: the losses of every run that it steps together, and what ended each."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax.array_types import Image
from nst_jax.pixels.step import Metrics, State
from nst_jax.runs.report import DivergedError, Report

OnStep = Callable[[Sequence[Report | None]], None]
"""Takes a report of each run; None for one that has diverged."""

Entry = dict[str, Any]
"""A step's number, total and terms, as a record has them."""

# Fixed-step L-BFGS may climb for a few steps and come back: from 3e4 times the first loss, with
# neural-style's preset on pictures of 32 pixels, here and in PyTorch.
_DIVERGENCE_FACTOR = 1e6


class Result(NamedTuple):
    """A finished or interrupted run.

    Attributes:
        image: The picture, clipped to [0, 1].
        steps: One entry a step: its number, the total and the terms. The last is the picture's.
        initial: The entry of the picture before the first step.
        before_clipping: The entry of the last step's picture as it left the optimiser.
        interrupted: Whether Ctrl-C ended the run early.
        restarts: The steps that were done again from the best picture, see loop.run.
    """

    image: Image
    steps: list[Entry]
    initial: Entry
    before_clipping: Entry
    interrupted: bool
    restarts: list[int]


class Books:
    """The losses of one run or of several that are steps of one batch.

    Attributes:
        initial: Each run's entry before its first step.
        steps: Each run's entries, one a step.
        errors: What ended each run; None while it goes on.
        restarts: The steps that a run was sent back to, see loop.run; of one run alone.
        begun_at: The total with which it began anew last, at this size.
    """

    def __init__(self, initial: Sequence[Entry], *, on_step: OnStep | None = None) -> None:
        self.initial = list(initial)
        self.steps: list[list[Entry]] = [[] for _ in initial]
        self.errors: list[DivergedError | None] = [None for _ in initial]
        self.restarts: list[int] = []
        self.begun_at = math.inf
        self._on_step = on_step

    def any_well(self) -> bool:
        """Return whether a run is left that has not diverged."""
        return any(error is None for error in self.errors)

    def enter(
        self,
        step: int,
        metrics: Metrics,
        state: Callable[[], State],
        noise_totals: Callable[[], Sequence[float]],
    ) -> None:
        """Write down a step's losses, and what has diverged.

        A run has diverged where its total is not finite, or exceeds a million times the first one
        and that of white noise too. The latter is for runs that begin at their goal, where the
        first total is nothing but rounding.

        Args:
            step: Its number.
            metrics: The losses after it, one or one for each run.
            state: Returns the state, with the best pictures so far.
            noise_totals: Returns the totals of white noise; called when a total is suspicious.
        """
        reports: list[Report | None] = [None for _ in self.initial]
        for run, entry in enumerate(read_entries(step, metrics)):
            if self.errors[run] is not None:
                continue
            total, first = entry["total"], self.initial[run]["total"]
            if not total <= _DIVERGENCE_FACTOR * first and (  # True for NaN too
                not math.isfinite(total) or not total <= noise_totals()[run]
            ):
                self.errors[run] = _describe_divergence(state(), run, entry, first)
                continue
            self.steps[run].append(entry)
            terms = {name: entry[name] for name in metrics.terms}
            reports[run] = Report(step, total, terms)
        # A single run that has diverged may begin anew: no step of its is reported twice.
        if self._on_step is not None and (len(reports) > 1 or reports[0] is not None):
            self._on_step(reports)

    def close(
        self, images: Any, done: int, metrics: Metrics, *, interrupted: bool
    ) -> list[Result | DivergedError]:
        """Return what came of each run.

        Args:
            images: The clipped picture, or that of each run.
            done: The steps done.
            metrics: Of the clipped pictures; clipping may have changed their losses.
            interrupted: Whether Ctrl-C ended the runs.
        """
        results: list[Result | DivergedError] = []
        for run, last in enumerate(read_entries(done, metrics)):
            error, steps, initial = self.errors[run], self.steps[run], self.initial[run]
            image = _of_run(images, run, metrics)
            before_clipping = steps[-1] if steps else initial
            steps = [*steps[:-1], last]
            result = Result(image, steps, initial, before_clipping, interrupted, self.restarts)
            results.append(error or result)
        return results


def read_entries(step: int, metrics: Metrics) -> list[Entry]:
    """Return an entry for each run; one where the losses have no axis of runs.

    Args:
        step: Its number.
        metrics: On the device.
    """
    totals, terms = jax.device_get((metrics.total, metrics.terms))
    columns = {name: np.atleast_1d(values) for name, values in {"total": totals, **terms}.items()}
    return [
        {"step": step, **{name: float(values[run]) for name, values in columns.items()}}
        for run in range(np.size(totals))
    ]


def _describe_divergence(state: State, run: int, entry: Entry, first: float) -> DivergedError:
    return DivergedError(
        f"The loss became {entry['total']:.4g} at step {entry['step']} (it began at {first:.4g}). "
        "Try another optimizer, a smaller learning rate or lower weights.",
        step=entry["step"],
        best_image=np.asarray(_of_run(state.best_image, run, state)),
        best_total=float(np.ravel(state.best_total)[run]),
    )


def _of_run(images: Any, run: int, losses: Metrics | State) -> Any:
    """A run's own picture, where losses say whether there is an axis of runs."""
    return images[run] if losses.total.ndim else images
