"""A pixel optimisation over one or several sizes of a picture, which can be saved and resumed.

Coarse sizes are cheap and lay out large shapes; fine ones add the brush strokes. The same loop
serves a single size, so that saving, resuming and interrupting are written once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.array_types import Image
from nst_jax.ops.resizing import fit_longer_side, resize
from nst_jax.pixels import loop
from nst_jax.pixels.saved_state import Save, SavedRun, state_from_arrays, state_to_arrays
from nst_jax.pixels.step import Metrics, Optimizer, State
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.report import Report

# Below this longer side VGG's deep layers see a handful of positions.
_LEAST_COARSE_SIZE = 64


class Level(NamedTuple):
    """One size of a run, and the number of the last step taken at it."""

    height: int
    width: int
    scale: float
    last_step: int


class Problem(NamedTuple):
    """What is optimised, at every size.

    Attributes:
        optimizer: Serves all sizes.
        args_at: The objective's further arguments at a level.
        initial_at: The picture to begin with, at the first level.
    """

    optimizer: Optimizer
    args_at: Callable[[Level], tuple]
    initial_at: Callable[[Level], Image]


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
    steps: list[dict[str, float]]
    initial: dict[str, float]
    before_clipping: dict[str, float]
    interrupted: bool
    restarts: list[int]


def plan_levels(
    height: int, width: int, *, scales: Sequence[tuple[float, float]], num_steps: int
) -> list[Level]:
    """Return the sizes to run, coarse to fine, with the steps shared out among them.

    A coarse size is left out if it gets no step or its longer side is under 64 pixels; its steps
    then go to the next one.

    Args:
        height: Of the final picture.
        width: Of the final picture.
        scales: Pairs of a factor on the size and a share of the steps; the last factor is 1.
        num_steps: Over all sizes together.

    Raises:
        ValueError: The factors do not rise to 1, or a share is negative, or all are 0.
    """
    factors, shares = [scale for scale, _ in scales], [share for _, share in scales]
    if not factors or factors[0] <= 0 or factors[-1] != 1 or factors != sorted(set(factors)):
        raise ValueError(f"scales: wanted rising factors that end in 1, got {factors}")
    if min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(f"scales: wanted shares of 0 or more, not all 0, got {shares}")
    levels, cumulated, begun = [], 0.0, 0
    for factor, share in scales:
        cumulated += share
        final = factor == 1
        last = num_steps if final else round(num_steps * cumulated / sum(shares))
        longer = round(max(height, width) * factor)
        if final or (last > begun and longer >= _LEAST_COARSE_SIZE):
            size = (height, width) if final else fit_longer_side(height, width, longer)
            levels.append(Level(*size, factor, last))
            begun = last
    return levels


def resize_state(
    optimizer: Optimizer,
    state: State,
    *args: Any,
    height: int,
    width: int,
) -> tuple[State, Metrics]:
    """Return the state carried to another size of the picture, evaluated on the new args.

    The picture is resampled. Adam's moments are too, and rescaled: our losses are means, so a
    pixel's gradient is inversely proportional to the number of pixels, r = old / new, its first
    moment scales by r and its second by r². The count of steps goes on. L-BFGS forgets its pairs,
    since they belong to a space of another dimension, and begins with its cautious first step.

    Args:
        optimizer: For the new size; one that was made for the old size serves.
        state: At the old size.
        *args: The objective's further arguments at the new size.
        height: New height in pixels.
        width: New width in pixels.
    """
    old_height, old_width = state.image.shape[1:3]
    ratio = (old_height * old_width) / (height * width)
    image = resize(state.image, height=height, width=width)
    fresh, metrics = optimizer.init(image, *args)

    def carry(node):
        if not isinstance(node, optax.ScaleByAdamState):
            return node
        moments = jnp.asarray(node.mu), jnp.asarray(node.nu)
        mean, square = (resize(moment, height=height, width=width) for moment in moments)
        mean, square = ratio * mean, ratio**2 * square
        return node._replace(mu=mean, nu=jnp.maximum(square, 0.0))

    def is_adam(node) -> bool:
        return isinstance(node, optax.ScaleByAdamState)

    if any(is_adam(node) for node in jax.tree.leaves(state.opt_state, is_leaf=is_adam)):
        carried = jax.tree.map(carry, state.opt_state, is_leaf=is_adam)
        fresh = fresh._replace(opt_state=carried)
    return fresh, metrics


def optimize_levels(
    problem: Problem,
    levels: Sequence[Level],
    *,
    on_step: Callable[[Report], None] | None = None,
    on_preview: Callable[[np.ndarray, int], None] | None = None,
    save: Save | None = None,
    save_every: int = 0,
    resume: SavedRun | None = None,
) -> Result:
    """Run every level in turn and return the picture of the last one.

    Args:
        problem: What is optimised.
        levels: From plan_levels.
        on_step: Called once for every step, up to two steps late.
        on_preview: Called with the clipped picture and the step whenever save is.
        save: Called every save_every steps and on Ctrl-C, with what resume wants back.
        save_every: Steps between saves; 0 for none but on Ctrl-C.
        resume: What save was given by a run of the same problem and levels: the run goes on from
            there and ends as if it had never stopped.

    Raises:
        DivergedError: The loss ceased to be a sensible number.
        ValueError: resume belongs to another run.
    """
    optimizer = problem.optimizer
    arrays, metadata = resume if resume is not None else ({}, {"level": 0, "step": 0, "steps": []})
    steps, done, state = list(metadata["steps"]), metadata["step"], None
    initial, interrupted = metadata.get("initial"), False
    restarts = list(metadata.get("restarts", []))

    def remember(report: Report) -> None:
        steps.append({"step": report.step, "total": report.total, **report.terms})
        if on_step is not None:
            on_step(report)

    def save_at(index: int, state: State, step: int) -> None:
        if save is not None:
            progress = {"level": index, "step": step, "steps": [*steps], "initial": initial}
            save(state_to_arrays(state), {**progress, "restarts": [*restarts]})
        if on_preview is not None:
            on_preview(np.clip(np.asarray(state.image), 0.0, 1.0), step)

    # Around all levels, since compiling for the next size takes long too.
    with deferred_interrupt() as pressed:
        for index in range(metadata["level"], len(levels)):
            level = levels[index]
            args = problem.args_at(level)
            if state is None:
                state, metrics = optimizer.init(problem.initial_at(level), *args)
                state = state_from_arrays(state, arrays) if resume is not None else state
            else:
                size = {"height": level.height, "width": level.width}
                state, metrics = resize_state(optimizer, state, *args, **size)
            initial = initial or _entry(0, metrics)
            state, done = loop.run(
                optimizer,
                state,
                *args,
                num_steps=level.last_step,
                first_step=done,
                initial_total=initial["total"],
                on_step=remember,
                save=lambda state, step, index=index: save_at(index, state, step),
                save_every=save_every,
                interrupted=pressed,
                on_restart=restarts.append,
            )
            interrupted = pressed() and done < levels[-1].last_step
            if interrupted:
                save_at(index, state, done)
                break
    # plan_levels gives at least one level, and it ran.
    assert state is not None
    assert initial is not None
    image = jnp.clip(state.image, 0.0, 1.0)
    before_clipping = steps[-1] if steps else initial
    # Clipping may change the losses; the last entry is that of the picture that is returned.
    _, metrics = optimizer.init(image, *args)
    steps[-1:] = [_entry(done, metrics)]
    return Result(image, steps, initial, before_clipping, interrupted, restarts)


def describe_levels(encoder: str, levels: Sequence[Level], result: Result) -> dict[str, Any]:
    """Return what a record says of a run under info.

    Args:
        encoder: The architecture of the network that judged.
        levels: From plan_levels.
        result: What came of them.
    """
    return {
        "encoder": encoder,
        "sizes": [[level.height, level.width] for level in levels],
        "initial": result.initial,
        "before_clipping": result.before_clipping,
        "interrupted": result.interrupted,
        "restarts": result.restarts,
    }


def _entry(step: int, metrics: Metrics) -> dict[str, int | float]:
    total, terms = jax.device_get((metrics.total, metrics.terms))
    return {"step": step, "total": float(total), **{k: float(v) for k, v in terms.items()}}
