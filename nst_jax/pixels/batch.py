"""Several pixel optimisations of one shape in one program: what an accelerator is fast at.

The runs share sizes, steps and optimiser and differ in data: pictures, targets, weights. Each goes
its own way as it would alone, but for rounding, and one that diverges stops none.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax.ops.resizing import resize
from nst_jax.pixels.levels import Level, Problem, Result
from nst_jax.pixels.loop import find_divergence
from nst_jax.pixels.step import Metrics, State
from nst_jax.runs.report import DivergedError, Report

OnStep = Callable[[Sequence[Report | None]], None]
"""Takes a report of each run; None for one that has diverged."""

# As in loop.run: how many steps the host may run ahead of the losses that it has read.
_STEPS_AHEAD = 2


def optimize_levels_together(
    problem: Problem, levels: Sequence[Level], *, on_step: OnStep | None = None
) -> list[Result | DivergedError]:
    """Return what levels.optimize_levels would return or raise for each run.

    But for one that diverges, which is not begun anew: the others would wait for it.

    Args:
        problem: Of all runs: its optimizer maps over a first axis of the picture and of its args,
            initial_at returns pictures (runs, 1, height, width, 3), and losses are (runs,). The
            optimizer must be one that begins anew at each size, as L-BFGS does.
        levels: From plan_levels, the same for all.
        on_step: Called once for every step, up to two steps late.
    """
    optimizer, state, books = problem.optimizer, None, None
    args: tuple = ()
    done = 0
    for level in levels:
        args = problem.args_at(level)
        size = {"height": level.height, "width": level.width}
        image = problem.initial_at(level) if state is None else _resize(state.image, **size)
        state, metrics = optimizer.init(image, *args)
        books = books or _Books(metrics)
        pending: deque[tuple[int, Metrics]] = deque()
        while done < level.last_step and books.any_well():
            state, metrics = optimizer.step(state, *args)
            done += 1
            pending.append((done, metrics))
            if len(pending) > _STEPS_AHEAD:
                books.enter(*pending.popleft(), state, on_step)
        while pending:
            books.enter(*pending.popleft(), state, on_step)
    # plan_levels gives at least one level.
    assert state is not None
    assert books is not None
    images = jnp.clip(state.image, 0.0, 1.0)
    # Clipping may change the losses; the last entry is that of the picture that is returned.
    _, metrics = optimizer.init(images, *args)
    return books.close(images, done, metrics)


@partial(jax.jit, static_argnames=("height", "width"))
def _resize(images: Any, *, height: int, width: int) -> Any:
    return jax.vmap(partial(resize, height=height, width=width))(images)


class _Books:
    """The losses of every run, and what ended it."""

    def __init__(self, metrics: Metrics) -> None:
        self._initial = _entries(0, metrics)
        self._steps: list[list[dict[str, Any]]] = [[] for _ in self._initial]
        self._errors: list[DivergedError | None] = [None for _ in self._initial]

    def any_well(self) -> bool:
        return any(error is None for error in self._errors)

    def enter(self, step: int, metrics: Metrics, state: State, on_step: OnStep | None) -> None:
        reports: list[Report | None] = [None for _ in self._initial]
        for run, entry in enumerate(_entries(step, metrics)):
            if self._errors[run] is not None:
                continue
            self._errors[run] = find_divergence(
                state.best_image[run],
                state.best_total[run],
                step=step,
                total=entry["total"],
                initial_total=self._initial[run]["total"],
            )
            if self._errors[run] is None:
                self._steps[run].append(entry)
                terms = {name: entry[name] for name in metrics.terms}
                reports[run] = Report(step, entry["total"], terms)
        if on_step is not None:
            on_step(reports)

    def close(self, images: Any, done: int, metrics: Metrics) -> list[Result | DivergedError]:
        return [
            self._errors[run] or self._result(run, images[run], last)
            for run, last in enumerate(_entries(done, metrics))
        ]

    def _result(self, run: int, image: Any, last: dict[str, Any]) -> Result:
        steps, initial = self._steps[run], self._initial[run]
        before_clipping = steps[-1] if steps else initial
        steps = [*steps[:-1], last]
        return Result(image, steps, initial, before_clipping, interrupted=False, restarts=[])


def _entries(step: int, metrics: Metrics) -> list[dict[str, Any]]:
    """An entry of a record's steps for each run."""
    totals, terms = jax.device_get((metrics.total, metrics.terms))
    return [
        {"step": step, "total": float(total), **{k: float(v[run]) for k, v in terms.items()}}
        for run, total in enumerate(totals)
    ]
