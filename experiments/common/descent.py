"""Optimising pixels by L-BFGS as a yardstick: the loss after each step, and steps counted."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from nst_jax.array_types import Image
from nst_jax.pixels import loop
from nst_jax.pixels import step as pixel_step
from nst_jax.pixels.books import Books, read_entries
from nst_jax.pixels.step import Optimizer, ValueAndGradient
from nst_jax.pixels.transformations import make_transformation
from nst_jax.runs.report import Report

HISTORY = 100  # pairs, as Torch's L-BFGS
POINTS = 20  # of a curve that are kept


class Limits(NamedTuple):
    """How many steps a curve has: at least so many, and at most, where the loss is not reached."""

    least: int
    most: int


def make_optimizer(evaluate: ValueAndGradient) -> Optimizer:
    """Torch's L-BFGS on (image, *args) -> ((total, terms), gradient), which is compiled."""
    tx = make_transformation("lbfgs", learning_rate=1.0, history=HISTORY)
    return pixel_step.make_optimizer(evaluate, tx)


def descend(
    optimizer: Optimizer,
    image: Image,
    args: tuple[Any, ...],
    until: Any,
    limits: Limits,
) -> list[Report]:
    """The loss after each step of L-BFGS, the first entry before any, until it is as low as asked.

    It has as many steps as the limits say, and ends where the run gives up.
    """
    until = float(until)
    state, metrics = optimizer.init(jnp.copy(image), *args)
    terms = {name: float(term) for name, term in metrics.terms.items()}
    reports = [Report(0, float(metrics.total), terms)]
    # Divergence ends the curve, which then shows it.
    loop.run(
        optimizer,
        state,
        *args,
        books=Books(
            read_entries(0, metrics),
            on_step=lambda found: reports.extend(report for report in found if report is not None),
        ),
        num_steps=limits.most,
        interrupted=lambda: (
            len(reports) > limits.least and min(report.total for report in reports) <= until
        ),
    )
    return reports


def first_step_at(losses: Sequence[float], wanted: float) -> int | None:
    """The number of steps after which the loss is for the first time no higher than wanted."""
    return next((step for step, loss in enumerate(losses) if loss <= wanted), None)


def spacing(num_steps: int) -> int:
    """How many steps lie between the points of a curve that are kept."""
    return max(1, num_steps // POINTS)


def describe_steps(steps: Sequence[int | None]) -> dict[str, Any]:
    """Mean, spread and range of numbers of steps, some of which may not have been enough."""
    # Where some were not reached there is no mean, but a median while they are the fewer.
    ordered = sorted(math.inf if step is None else step for step in steps)
    missed = steps.count(None)
    return {
        "photographs": len(steps),
        "not_reached": missed,
        "mean": None if missed else statistics.mean(ordered),
        "deviation": None if missed or len(steps) < 2 else statistics.stdev(ordered),
        "median": _finite(statistics.median(ordered)),
        "least": _finite(ordered[0]),
        "most": _finite(ordered[-1]),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
