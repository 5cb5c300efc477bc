"""The host loop of an optimisation of pixels, and what it does where a run diverges.

The loop stays outside the program because XLA's CPU backend runs convolutions about four times
slower inside `while` and `scan`, and because it gives progress, saving and stopping for free.
Losses stay on the device and are read a step or two late, so that the device never waits for the
host.
"""

from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.array_types import Image, Scalar
from nst_jax.pixels.lbfgs import LbfgsState
from nst_jax.pixels.step import Metrics, Optimizer, State
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.report import DivergedError, Report

# Fixed-step L-BFGS may climb for a few steps and come back: from 3e4 times the first loss, with
# neural-style's preset on pictures of 32 pixels, here and in PyTorch.
_DIVERGENCE_FACTOR = 1e6
# How often a run begins anew from its best picture before it is given up, and how far L-BFGS may go
# in a step from there on, as a root mean square over the pixels, whose range is 1. Without a limit
# it overflows again at the next pair of little curvature.
_MAX_RESTARTS = 5
_LONGEST_STEP_ANEW = 0.05
# How many steps the host may run ahead of the losses that it has read.
_STEPS_AHEAD = 2


def run(
    optimizer: Optimizer,
    state: State,
    *args: Any,
    num_steps: int,
    first_step: int = 0,
    initial_total: float,
    on_step: Callable[[Report], None] | None = None,
    save: Callable[[State, int], None] | None = None,
    save_every: int = 0,
    interrupted: Callable[[], bool] | None = None,
    on_restart: Callable[[int], None] | None = None,
) -> tuple[State, int]:
    """Step until num_steps are done or the user interrupts; return the state and the steps done.

    Ctrl-C ends the loop after the step in progress; a second one ends it at once.

    Where the total is not finite or exceeds a million times initial_total, the run begins anew
    from its best picture, without what the optimiser remembers of the way, and does the step again.
    L-BFGS of fixed steps may overflow where a pair has little curvature; from there on no step of
    its moves the pixels by more than 0.05 in the root mean square. A run that got no better when it
    diverges again, or diverges for the sixth time, is given up.

    Args:
        optimizer: Its step is called.
        state: Where to begin. It is used up.
        *args: The objective's further arguments.
        num_steps: The number of the last step.
        first_step: How many steps were done before.
        initial_total: The total of the very first picture, by which divergence is judged.
        on_step: Called once for every step, in order, up to two steps late.
        save: Called with the state and the number of steps done, after on_step for all of them;
            it must not keep the state's arrays.
        save_every: How many steps lie between calls of save; 0 for none.
        interrupted: Asked before every step whether to stop; by default, whether Ctrl-C was
            pressed since the call. For one that began earlier, see deferred_interrupt.
        on_restart: Called with the number of a step that is done again from the best picture.

    Raises:
        DivergedError: The run was given up.
    """
    pending: deque[tuple[int, Metrics]] = deque()
    done, restarts, begun_at = first_step, 0, float("inf")

    def read(limit: int) -> DivergedError | None:
        while len(pending) > limit:
            step, metrics = pending.popleft()
            total, terms = jax.device_get((metrics.total, metrics.terms))
            best = state.best_image, state.best_total
            error = find_divergence(
                *best, step=step, total=float(total), initial_total=initial_total
            )
            if error is not None:
                pending.clear()
                return error
            if on_step is not None:
                on_step(Report(step, float(total), {k: float(v) for k, v in terms.items()}))
        return None

    stopped = False
    with nullcontext(interrupted) if interrupted else deferred_interrupt() as stop:
        while pending or (done < num_steps and not stopped):
            stopped = stopped or (done < num_steps and stop())
            going = done < num_steps and not stopped
            if going:
                state, metrics = optimizer.step(state, *args)
                done += 1
                pending.append((done, metrics))
            saves = going and save_every and done % save_every == 0 and done < num_steps
            error = read(_STEPS_AHEAD if going and not saves else 0)
            if error is not None:
                if restarts == _MAX_RESTARTS or not error.best_total < begun_at:
                    raise error
                restarts, begun_at, done = restarts + 1, error.best_total, error.step - 1
                state, _ = optimizer.init(jnp.asarray(error.best_image), *args)
                state = state._replace(opt_state=_shorten_steps(state.opt_state))
                if on_restart is not None:
                    on_restart(error.step)
            elif saves and save is not None:
                save(state, done)
    return state, done


def _shorten_steps(opt_state: Any) -> Any:
    def shorten(node):
        if isinstance(node, LbfgsState):
            return node._replace(longest=jnp.minimum(node.longest, _LONGEST_STEP_ANEW))
        return node

    return jax.tree.map(shorten, opt_state, is_leaf=lambda node: isinstance(node, LbfgsState))


def find_divergence(
    best_image: Image, best_total: Scalar, *, step: int, total: float, initial_total: float
) -> DivergedError | None:
    """Return what run raises if it gives up at this total, or None where all is well.

    Args:
        best_image: The picture with the lowest total so far.
        best_total: Its total.
        step: Its number.
        total: The objective after it.
        initial_total: The total of the very first picture.
    """
    if total <= _DIVERGENCE_FACTOR * initial_total:  # False for NaN too
        return None
    return DivergedError(
        f"The loss became {total:.4g} at step {step} (it began at {initial_total:.4g}). "
        "Try another optimizer, a smaller learning rate or lower weights.",
        step=step,
        best_image=np.asarray(best_image),
        best_total=float(best_total),
    )
