"""The host loop of an optimisation of pixels, and what it does where a run diverges.

The loop stays outside the program because XLA's CPU backend runs convolutions about four times
slower inside `while` and `scan`, and because it gives progress, saving and stopping for free.
Losses stay on the device and are read a step or two late, so that the device never waits for the
host. One run or several that are steps of one batch: the loop is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.pixels.books import Books
from nst_jax.pixels.lbfgs import LbfgsState
from nst_jax.pixels.step import Metrics, Optimizer, State
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.lagged import Lagged

# How often a run begins anew from its best picture before it is given up, and how far L-BFGS may go
# in a step from there on, as a root mean square over the pixels, whose range is 1. Without a limit
# it overflows again at the next pair of little curvature.
_MAX_RESTARTS = 5
_LONGEST_STEP_ANEW = 0.05


def run(
    optimizer: Optimizer,
    state: State,
    *args: Any,
    books: Books,
    num_steps: int,
    first_step: int = 0,
    save: Callable[[State, int], None] | None = None,
    save_every: int = 0,
    interrupted: Callable[[], bool] | None = None,
) -> tuple[State, int]:
    """Step until num_steps are done or the user interrupts; return the state and the steps done.

    Ctrl-C ends the loop after the step in progress; a second one ends it at once.

    Where a single run diverges (see Books.enter), it begins anew from its best picture, without
    what the optimiser remembers of the way, and does the step again. L-BFGS of fixed steps may
    overflow where a pair has little curvature; from there on no step of its moves the pixels by
    more than 0.05 in the root mean square. A run that got no better when it diverges again, or
    diverges for the sixth time, at whichever size, is given up. Of several runs one that diverges
    is given up at once, since the others would wait for it. The loop ends when no run is left;
    books.errors say why.

    Args:
        optimizer: Its step is called.
        state: Where to begin. It is used up.
        *args: The objective's further arguments.
        books: What is entered of every step, up to two steps late.
        num_steps: The number of the last step.
        first_step: How many steps were done before.
        save: Called with the state and the number of steps done, after all of them are entered;
            it must not keep the state's arrays.
        save_every: How many steps lie between calls of save; 0 for none.
        interrupted: Asked before every step whether to stop; by default, whether Ctrl-C was
            pressed since the call. For one that began earlier, see deferred_interrupt.
    """
    pending: Lagged[tuple[int, Metrics]] = Lagged()
    done, stopped, single = first_step, False, len(books.initial) == 1

    @cache
    def noise_totals() -> Sequence[float]:
        noise = np.random.default_rng(0).random(state.image.shape, np.float32)
        return np.atleast_1d(optimizer.evaluate(jnp.asarray(noise), *args).total).tolist()

    def read(entries: Iterator[tuple[int, Metrics]]) -> None:
        for step, metrics in entries:
            books.enter(step, metrics, lambda: optimizer.to_whole(state, *args), noise_totals)
            if not books.any_well():
                return

    with deferred_interrupt(interrupted=interrupted) as stop:
        while books.any_well() and (pending or (done < num_steps and not stopped)):
            stopped = stopped or (done < num_steps and stop())
            going = done < num_steps and not stopped
            if going:
                state, metrics = optimizer.step(state, *args)
                done += 1
                pending.put((done, metrics))
            saves = going and save_every and done % save_every == 0 and done < num_steps
            read(pending.take_done() if going and not saves else pending.take_all())
            error = books.errors[0] if single else None
            if error is not None:
                pending.clear()
                if len(books.restarts) == _MAX_RESTARTS or not error.best_total < books.begun_at:
                    break
                books.errors[0] = None
                books.begun_at, done = error.best_total, error.step - 1
                state, _ = optimizer.init(jnp.asarray(error.best_image), *args)
                state = state._replace(opt_state=_shorten_steps(state.opt_state))
                books.restarts.append(error.step)
            elif saves and save is not None:
                save(state, done)
    return state, done


def _shorten_steps(opt_state: Any) -> Any:
    def shorten(node):
        if isinstance(node, LbfgsState):
            return node._replace(longest=jnp.minimum(node.longest, _LONGEST_STEP_ANEW))
        return node

    return jax.tree.map(shorten, opt_state, is_leaf=lambda node: isinstance(node, LbfgsState))
