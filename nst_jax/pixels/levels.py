"""Pixel optimisations over one or several sizes of a picture, which can be saved and resumed.

Coarse sizes are cheap and lay out large shapes; fine ones add the brush strokes. The same code
serves one size and several, one run and several that are steps of one batch: an accelerator that
one picture does not fill takes a batch in hardly more time.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nst_jax.ops.resizing import fit_longer_side, resize
from nst_jax.pixels import loop
from nst_jax.pixels.books import Books, Entry, OnStep, Result, read_entries
from nst_jax.pixels.saved_state import Save, SavedRun, state_from_arrays, state_to_arrays
from nst_jax.pixels.step import Metrics, Optimizer, State
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.report import DivergedError, Report

# Below this longer side VGG's deep layers see a handful of positions.
_LEAST_COARSE_SIZE = 64


Enough = Callable[[Sequence[Entry]], bool]
"""Whether a run may end: of the entries of its steps so far, the newest of which may be missing."""


class Level(NamedTuple):
    """One size of a run, and the number of the last step taken at it."""

    height: int
    width: int
    scale: float
    last_step: int


class Problem(NamedTuple):
    """What is optimised, at every size, by one run or by several that are steps of one batch.

    Of several runs the optimizer maps over a first axis of the picture and of its args, initial_at
    returns pictures (runs, 1, height, width, 3), and losses are (runs,). Its optimizer must be one
    that begins anew at each size, as L-BFGS does.

    Attributes:
        optimizer: Serves all sizes.
        args_at: The objective's further arguments at a level.
        initial_at: The picture to begin with, at the first level.
        is_mean: Whether the objective is a mean over pixels, so that Adam's moments have a meaning
            at another size.
    """

    optimizer: Optimizer
    args_at: Callable[[Level], tuple]
    initial_at: Callable[[Level], Any]
    is_mean: bool = True


def plan_levels(
    height: int,
    width: int,
    *,
    scales: Sequence[tuple[float, float]],
    num_steps: int,
    fits: Callable[[Level], bool] = lambda level: True,
) -> list[Level]:
    """Return the sizes to run, coarse to fine, with the steps shared out among them.

    A coarse size is left out if it gets no step, its longer side is under 64 pixels, or it does not
    fit; its steps then go to the next one.

    Args:
        height: Of the final picture.
        width: Of the final picture.
        scales: Pairs of a factor on the size and a share of the steps; the last factor is 1.
        num_steps: Over all sizes together.
        fits: Whether the encoder can take the pictures of a coarse size.

    Raises:
        ValueError: The factors do not rise to 1, or a share is negative, or all are 0.
    """
    factors, shares = [scale for scale, _ in scales], [share for _, share in scales]
    if not factors or factors[0] <= 0 or factors[-1] != 1 or factors != sorted(set(factors)):
        raise ValueError(f"scales: wanted rising factors that end in 1, got {factors}")
    if min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(f"scales: wanted shares of 0 or more, not all 0, got {shares}")
    levels, cumulated, begun = [], 0.0, 0
    for factor, share in scales[:-1]:
        cumulated += share
        last = round(num_steps * cumulated / sum(shares))
        longer = round(max(height, width) * factor)
        if last > begun and longer >= _LEAST_COARSE_SIZE:
            level = Level(*fit_longer_side(height, width, longer), factor, last)
            if fits(level):
                levels.append(level)
                begun = last
    return [*levels, Level(height, width, 1.0, num_steps)]


def resize_state(
    optimizer: Optimizer,
    state: State,
    *args: Any,
    height: int,
    width: int,
) -> tuple[State, Metrics]:
    """Return the state carried to another size of the picture, evaluated on the new args.

    The picture is resampled. Adam's moments are too, and rescaled: the losses are means, so a
    pixel's gradient is inversely proportional to the number of pixels, r = old / new, its first
    moment scales by r and its second by r². The count of steps goes on. L-BFGS forgets its pairs,
    since they belong to a space of another dimension, and begins with its cautious first step.

    Args:
        optimizer: For the new size; one that was made for the old size serves.
        state: At the old size, of an objective that is a mean over pixels.
        *args: The objective's further arguments at the new size.
        height: New height in pixels.
        width: New width in pixels.
    """
    old_height, old_width = state.image.shape[-3:-1]
    ratio = (old_height * old_width) / (height * width)
    fresh, metrics = restart_at_size(optimizer, state, *args, height=height, width=width)

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
        fresh = optimizer.from_whole(fresh._replace(opt_state=carried), *args)
    return fresh, metrics


def restart_at_size(
    optimizer: Optimizer, state: State, *args: Any, height: int, width: int
) -> tuple[State, Metrics]:
    """Return a fresh state that begins with the resampled picture, or pictures, of another.

    Args:
        optimizer: For the new size.
        state: At the old size.
        *args: The objective's further arguments at the new size.
        height: New height in pixels.
        width: New width in pixels.
    """
    several = state.image.ndim == 5  # an axis of runs before the picture's own
    resized = (_resize_each if several else resize)(state.image, height=height, width=width)
    return optimizer.init(resized, *args)


@partial(jax.jit, static_argnames=("height", "width"))
def _resize_each(images: Any, *, height: int, width: int) -> Any:
    return jax.vmap(partial(resize, height=height, width=width))(images)


def optimize_levels(
    problem: Problem,
    levels: Sequence[Level],
    *,
    on_step: Callable[[Report], None] | None = None,
    on_preview: Callable[[np.ndarray, int], None] | None = None,
    save: Save | None = None,
    save_every: int = 0,
    resume: SavedRun | None = None,
    enough: Enough | None = None,
) -> Result:
    """Run every level of a single run in turn and return the picture of the last one.

    Args:
        problem: What is optimised.
        levels: From plan_levels.
        on_step: Called once for every step, up to two steps late.
        on_preview: Called with the clipped picture and the step whenever save is.
        save: Called every save_every steps and on Ctrl-C, with what resume wants back.
        save_every: Steps between saves; 0 for none but on Ctrl-C.
        resume: What save was given by a run of the same problem: the run goes on from there. With
            the same levels it ends as if it had never stopped; with more steps it goes on for
            longer.
        enough: Asked before every step at the last size, of the entries so far, whether to end.

    Raises:
        DivergedError: The run was given up.
        ValueError: resume belongs to another run.
    """

    def tell(reports: Sequence[Report | None]) -> None:
        (report,) = reports
        if on_step is not None and report is not None:
            on_step(report)

    (result,) = optimize_runs(
        problem,
        levels,
        on_step=tell,
        on_preview=on_preview,
        save=save,
        save_every=save_every,
        resume=resume,
        enough=enough,
    )
    if isinstance(result, DivergedError):
        raise result
    return result


def optimize_runs(
    problem: Problem,
    levels: Sequence[Level],
    *,
    on_step: OnStep | None = None,
    on_preview: Callable[[np.ndarray, int], None] | None = None,
    save: Save | None = None,
    save_every: int = 0,
    resume: SavedRun | None = None,
    enough: Enough | None = None,
) -> list[Result | DivergedError]:
    """Run every level in turn and return, for each run, its result or what ended it.

    Each of several runs goes its own way as it would alone, but for rounding. One that diverges is
    not begun anew, and stops none.

    Args:
        problem: What is optimised; it says whether there are several runs.
        levels: From plan_levels, the same for all runs.
        on_step: Called once for every step, up to two steps late.
        on_preview: As of optimize_levels; of a single run.
        save: The same.
        save_every: The same.
        resume: The same.
        enough: The same.

    Raises:
        ValueError: resume belongs to another run.
    """
    optimizer, state, books, args = problem.optimizer, None, None, ()
    first, done = (0, 0) if resume is None else _find_place(levels, *resume)
    # Around all levels, since compiling for the next size takes long too.
    with deferred_interrupt() as pressed:
        for index in range(first, len(levels)):
            level = levels[index]
            if state is not None:
                state = optimizer.to_whole(state, *args)
            args = problem.args_at(level)
            if state is None:
                state, metrics = optimizer.init(problem.initial_at(level), *args)
            else:
                carry = resize_state if problem.is_mean else restart_at_size
                size = {"height": level.height, "width": level.width}
                state, metrics = carry(optimizer, state, *args, **size)
            if books is None:
                books = Books(read_entries(0, metrics), on_step=on_step)
                if resume is not None:
                    state = state_from_arrays(optimizer.to_whole(state, *args), resume[0])
                    state = optimizer.from_whole(state, *args)
                    _reopen(books, resume[1])
            else:
                books.begun_at = math.inf  # totals of another size say nothing here
            whole = partial(_to_whole, optimizer, args)
            keeper = _Keeper(books, index, whole, save, on_preview)
            is_last = index == len(levels) - 1
            stop = _either(pressed, enough if is_last else None, books)
            state, done = loop.run(
                optimizer,
                state,
                *args,
                books=books,
                num_steps=level.last_step,
                first_step=done,
                save=keeper.keep,
                save_every=save_every,
                interrupted=stop,
            )
            interrupted = pressed() and done < levels[-1].last_step and books.any_well()
            if interrupted:
                keeper.keep(state, done)
            if interrupted or not books.any_well():
                break
    # plan_levels gives at least one level, and it ran.
    assert state is not None
    assert books is not None
    if not books.any_well():
        return [error for error in books.errors if error is not None]
    images = jnp.clip(optimizer.to_whole(state, *args).image, 0.0, 1.0)
    # Clipping may change the losses; the last entry is that of the picture that is returned.
    return books.close(images, done, optimizer.evaluate(images, *args), interrupted=interrupted)


def _to_whole(optimizer: Optimizer, args: tuple, state: State) -> State:
    return optimizer.to_whole(state, *args)


def _either(pressed: Callable[[], bool], enough: Enough | None, books: Books) -> Callable[[], bool]:
    """Whether Ctrl-C came, or the steps from now on are enough."""
    if enough is None:
        return pressed
    begun = len(books.steps[0])
    return lambda: pressed() or enough(books.steps[0][begun:])


class _Keeper(NamedTuple):
    """Hands a single run's state and picture over."""

    books: Books
    level: int
    to_whole: Callable[[State], State]
    save: Save | None
    on_preview: Callable[[np.ndarray, int], None] | None

    def keep(self, state: State, step: int) -> None:
        books, state = self.books, self.to_whole(state)
        if self.save is not None:
            progress = {"level": self.level, "step": step, "steps": [*books.steps[0]]}
            before = {"initial": books.initial[0], "restarts": [*books.restarts]}
            metadata = {**progress, **before, "begun_at": books.begun_at}
            self.save(state_to_arrays(state), metadata)
        if self.on_preview is not None:
            self.on_preview(np.clip(np.asarray(state.image), 0.0, 1.0), step)


def _reopen(books: Books, metadata: Mapping[str, Any]) -> None:
    """Enter what a saved run had in its books."""
    books.initial = [metadata["initial"]]
    books.steps = [[*metadata["steps"]]]
    books.restarts = [*metadata.get("restarts", ())]
    books.begun_at = metadata.get("begun_at", math.inf)


def _find_place(
    levels: Sequence[Level], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> tuple[int, int]:
    """The level at which a saved run goes on, and the steps that it has done.

    A run of more steps has the same sizes, but the saved one may be past a size's new last step.
    """
    step = metadata["step"]
    if step > levels[-1].last_step:
        raise ValueError(
            f"num_steps: the saved run is at step {step} already; wanted as many or more, "
            f"got {levels[-1].last_step}"
        )
    size = arrays[".image"].shape[1:3] if ".image" in arrays else None
    sizes = [(level.height, level.width) for level in levels]
    return sizes.index(size) if size in sizes else min(metadata["level"], len(levels) - 1), step


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
        "last_steps": [level.last_step for level in levels],
        "initial": result.initial,
        "before_clipping": result.before_clipping,
        "interrupted": result.interrupted,
        "restarts": result.restarts,
    }
