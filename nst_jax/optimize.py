"""Optimising pixels: the picture is the parameter, and init / step / run move it.

A run is a host loop around one jitted step. The loop stays outside the program because XLA's CPU
backend runs convolutions about four times slower inside `while` and `scan`, and because it gives
progress, saving and stopping for free. Losses stay on the device and are read a step or two late,
so that the device never waits for the host.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import monitoring
from jaxtyping import Array

from nst_jax.array_types import Image, ImageOfEachRun, Scalar
from nst_jax.lbfgs import LbfgsState, lbfgs

Terms = Mapping[str, Any]
"""Weighted parts of the objective by name; they add up to the total."""

Objective = Callable[..., tuple[Any, Terms]]
"""(image, *args) -> (total, terms), traceable by JAX."""

ValueAndGradient = Callable[..., tuple[tuple[Any, Terms], Any]]
"""(image, *args) -> ((total, terms), gradient), compiled already."""

OptimizerName = Literal["lbfgs", "adam", "lbfgs_zoom"]

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


class DivergedError(Exception):
    """The objective became NaN, infinite or absurdly large.

    Attributes:
        step: The step after which it was found.
        best_image: The picture with the lowest total until then, a NumPy array.
        best_total: Its total.
    """

    def __init__(self, message: str, *, step: int, best_image: np.ndarray, best_total: float):
        super().__init__(message)
        self.step, self.best_image, self.best_total = step, best_image, best_total


class State(NamedTuple):
    """A picture being optimised, with the gradient and loss that belong to it."""

    image: Array
    grads: Array
    total: Array
    opt_state: Any
    best_image: Array
    best_total: Array


class Metrics(NamedTuple):
    """The objective at the picture that a step arrived at; scalars on the device."""

    total: Array
    terms: Terms


class Optimizer(NamedTuple):
    """init(image, *args) -> (state, metrics) and step(state, *args) -> (state, metrics).

    args are what the objective takes besides the image: targets and the encoder's parameters.
    step uses up its state (its buffers are given to the result); keep a copy of what you need.
    """

    init: Callable[..., tuple[State, Metrics]]
    step: Callable[..., tuple[State, Metrics]]


def make_transformation(
    name: OptimizerName,
    *,
    learning_rate: float,
    history: int = 100,
    longest_step: float = float("inf"),
) -> optax.GradientTransformation:
    """Return the gradient transformation of that name.

    Args:
        name: 'lbfgs' (Torch's, fixed step), 'adam' (Kingma and Ba 2015, β 0.9 and 0.999), or
            'lbfgs_zoom' (optax's L-BFGS, whose line search evaluates the objective several times
            a step; learning_rate is not used).
        learning_rate: For Adam in pixel units (the image's range is 1); for 'lbfgs' usually 1.
        history: Pairs that both forms of L-BFGS keep.
        longest_step: The root mean square that a step of 'lbfgs' may have; others have no bound.

    Raises:
        ValueError: No optimiser of that name, a learning rate or a longest_step that is not above
            zero, or a history below 1.
    """
    if not learning_rate > 0:
        raise ValueError(f"learning_rate: wanted a number above 0, got {learning_rate}")
    if name == "lbfgs":
        return lbfgs(learning_rate=learning_rate, history=history, longest_step=longest_step)
    if name == "adam":
        return optax.adam(learning_rate)
    if name == "lbfgs_zoom":
        return optax.lbfgs(memory_size=history)
    raise ValueError(f"optimizer: wanted lbfgs, adam or lbfgs_zoom, got {name!r}")


def over_runs(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return tx for several parameters at once, stacked along a new first axis, each on its own.

    Args:
        tx: One that looks at gradients alone: 'lbfgs' or 'adam'.
    """
    update = jax.vmap(lambda updates, state: tx.update(updates, state))
    return optax.GradientTransformation(
        jax.vmap(tx.init), lambda updates, state, params=None: update(updates, state)
    )


def make_optimizer(
    value_and_gradient: ValueAndGradient,
    tx: optax.GradientTransformation,
    *,
    objective: Objective | None = None,
) -> Optimizer:
    """Return init and step.

    The evaluation is a program apart from the update, so that a picture size compiles it once for
    init, for every step and for whoever else calls it, and so that it may be several programs.
    With both arguments mapped over a first axis, by jax.vmap and over_runs, it serves several runs.

    Args:
        value_and_gradient: (image, *args) -> ((total, terms), gradient), compiled: the jitted
            jax.value_and_grad(objective, has_aux=True), or a block-by-block one.
        tx: What turns gradients into updates.
        objective: (image, *args) -> (total, terms); wanted by a tx with a line search only.
    """
    extended = optax.with_extra_args_support(tx)

    def update(image, opt_state, grads, total, *args):
        def value_fn(image):
            if objective is None:
                raise ValueError("objective: this optimizer has a line search and needs it")
            return objective(image, *args)[0]

        updates, opt_state = extended.update(
            grads, opt_state, image, value=total, grad=grads, value_fn=value_fn
        )
        return optax.apply_updates(image, updates), opt_state

    def arrive(image, opt_state, best_image, best_total, evaluation):
        (total, terms), grads = evaluation
        better = total < best_total
        # One number, or one for each of several runs at once.
        of_image = better.reshape(better.shape + (1,) * (image.ndim - better.ndim))
        best_image = jnp.where(of_image, image, best_image)
        best_total = jnp.where(better, total, best_total)
        state = State(image, grads, total, opt_state, best_image, best_total)
        return state, Metrics(total, terms)

    def start(image, evaluation):
        (total, terms), grads = evaluation
        # Copies, not one buffer under two names: a step gives its buffers away.
        best = jnp.copy(image), jnp.copy(total)
        return State(image, grads, total, tx.init(image), *best), Metrics(total, terms)

    update = jax.jit(update, donate_argnums=(0, 1))
    arrive = jax.jit(arrive, donate_argnums=(1, 2, 3))
    start = jax.jit(start)

    def init(image: Image | ImageOfEachRun, *args) -> tuple[State, Metrics]:
        return start(image, value_and_gradient(image, *args))

    def step(state: State, *args) -> tuple[State, Metrics]:
        best = state.best_image, state.best_total
        image, opt_state = update(state.image, state.opt_state, state.grads, state.total, *args)
        del state  # the old gradient needs no room while the objective runs
        return arrive(image, opt_state, *best, value_and_gradient(image, *args))

    return Optimizer(init, step)


class Report(NamedTuple):
    """What `run` tells of a step: its number, counted from 1, and numbers on the host."""

    step: int
    total: float
    terms: Mapping[str, float]


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


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed since the block began.

    The first one does nothing else: an exception amid a step would lose the state, whose buffers
    were given away. The second one does what Ctrl-C did before. Outside the main thread, where
    Python allows no such change, Ctrl-C keeps its meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)
    seen = threading.Event()

    def handler(number, frame):
        if seen.is_set() and callable(before):
            before(number, frame)
        seen.set()

    signal.signal(signal.SIGINT, handler)
    try:
        yield seen.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def compile_seconds() -> Iterator[Callable[[], float]]:
    """Yield a function that tells how long JAX has been compiling since the block began.

    Tracing, lowering and XLA's compilation, in seconds; a program found in the persistent
    compilation cache counts with the time that it took to load. What other threads compile does
    not count.
    """
    spent, thread = [0.0], threading.get_ident()

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        # Of functions traced within others JAX reports the outermost alone: nothing counts twice.
        if event.startswith("/jax/core/compile/") and threading.get_ident() == thread:
            spent[0] += duration_secs

    monitoring.register_event_duration_secs_listener(listen)
    try:
        yield lambda: spent[0]
    finally:
        monitoring.unregister_event_duration_listener(listen)
