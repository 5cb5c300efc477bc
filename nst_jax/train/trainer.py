"""One training step as one compiled program: loss, gradient, update and the moving average."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from nst_jax.array_types import Params, PRNGKey, Scalar
from nst_jax.train import sharding
from nst_jax.train.decoded_once import cut_batch

Terms = Mapping[str, Scalar]
"""Weighted parts of the loss by name; they add up to the total."""

ModelState = Any
"""A network's variables that are not trained: {"batch_stats": ...} or {}."""

LossFn = Callable[..., tuple[Scalar, tuple[Terms, ModelState]]]
"""(key, params, model_state, batch, *args) -> (total, (terms, model_state)), traceable by JAX."""


_OF_PICTURES = 0x70696373  # sets what pictures are cut by apart from what the loss draws


class State(NamedTuple):
    """All that a run needs to go on, besides the position in its data."""

    step: Int[Array, ""]
    params: Params
    model_state: ModelState
    opt_state: Any
    average: Params
    """The moving average of params, or None without one."""
    key: Any
    adversary: Any = None
    """All of a discriminator that is trained beside; see train.adversarial."""


class Metrics(NamedTuple):
    """What a step found before its update; scalars on the device."""

    total: Float[Array, ""]
    terms: Terms
    grad_norm: Float[Array, ""]
    watched: Mapping[str, Scalar] = {}
    """What is logged besides and adds up to nothing."""


class Fault(NamedTuple):
    """Why a run must end, though all its numbers are finite."""

    what: str
    """A clause that goes on with "step 7." """
    advice: str
    """What to try, as the rest of "try ..."."""


class Trainer(NamedTuple):
    """init(key, params, model_state) -> state and step(state, batch, *args) -> (state, metrics).

    fault, if any, is asked of every step's watched numbers whether the run must end. It takes the
    place of comparing losses with the first ones, which says nothing where an opponent learns too.

    args are what the loss takes besides: targets and a fixed encoder's parameters. Of a batch of
    decoded_once.Crops the step makes the arrays that the loss takes. A batch is split over the
    local devices, all else is on each of them. step uses up its state (its buffers are given to
    the result); init leaves what it was given as it was.
    """

    init: Callable[[PRNGKey, Params, ModelState], State]
    step: Callable[..., tuple[State, Metrics]]
    fault: Callable[[Mapping[str, float]], Fault | None] | None = None


def make_trainer(
    loss_fn: LossFn, tx: optax.GradientTransformation, *, average_decay: float | None = None
) -> Trainer:
    """Return init and step, the latter compiled as one program for each batch shape.

    Step t, counted from 0, gives the loss the key fold_in(state.key, t), so that a run that goes
    on from a saved state draws what it would have drawn. With a decay d the average moves after
    the update, a ← d' a + (1 − d') params with d' = min(d, (2 + t) / (11 + t)): early on it
    forgets faster, so that the first parameters do not weigh on it for 1 / (1 − d) steps.

    Args:
        loss_fn: What is to become small; its gradient is taken with respect to params.
        tx: What turns gradients into updates, such as make_transformation's.
        average_decay: d above; None keeps no average.

    Raises:
        ValueError: average_decay is not between 0 and 1.
    """

    def advance(state: State, batch, args):
        key, batch = draw_step(state, batch)
        evaluate = jax.value_and_grad(loss_fn, argnums=1, has_aux=True)
        (total, (terms, model_state)), grads = evaluate(
            key, state.params, state.model_state, batch, *args
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = move_average(state.average, params, state.step, average_decay)
        after = State(state.step + 1, params, model_state, opt_state, average, state.key)
        return after, Metrics(total, terms, gradient_norm(grads, opt_state))

    return compile_trainer(advance, tx, average_decay=average_decay)


def compile_trainer(
    advance: Callable[[State, Any, tuple[Any, ...]], tuple[State, Metrics]],
    tx: optax.GradientTransformation,
    *,
    average_decay: float | None = None,
    adversary: Any = None,
    fault: Callable[[Mapping[str, float]], Fault | None] | None = None,
) -> Trainer:
    """Return a trainer whose step is advance(state, batch, args), over all local devices.

    Args:
        advance: Traceable by JAX.
        tx: Its opt_state is a part of the state.
        average_decay: Whether the state has an average; see make_trainer.
        adversary: What else is a part of the first state.
        fault: Of the Trainer.

    Raises:
        ValueError: average_decay is not between 0 and 1.
    """
    if average_decay is not None and not 0 < average_decay < 1:
        raise ValueError(f"average_decay: wanted a number between 0 and 1, got {average_decay}")
    everywhere, split = sharding.local_placement()

    def start(key, params, model_state, adversary):
        # Copies, since a step gives the buffers away that it is called with.
        given = (key, params, model_state, adversary)
        key, params, model_state, adversary = jax.tree.map(jnp.copy, given)
        average = None if average_decay is None else jax.tree.map(jnp.copy, params)
        first = jnp.zeros((), jnp.int32)
        return State(first, params, model_state, tx.init(params), average, key, adversary)

    start = jax.jit(start, out_shardings=everywhere)
    compiled = jax.jit(
        advance,
        donate_argnums=0,
        in_shardings=(everywhere, split, everywhere),
        out_shardings=everywhere,
    )

    def init(key: PRNGKey, params: Params, model_state: ModelState) -> State:
        return start(*sharding.replicate((key, params, model_state, adversary)))

    def step(state: State, batch: Any, *args: Any) -> tuple[State, Metrics]:
        sharding.check_batch(batch)
        return compiled(state, batch, args)

    return Trainer(init, step, fault)


def draw_step(state: State, batch: Any) -> tuple[PRNGKey, Any]:
    """Return the key of a state's next step, and its batch with the pictures cut out."""
    key = jax.random.fold_in(state.key, state.step)
    return key, cut_batch(jax.random.fold_in(key, _OF_PICTURES), batch)


def averaged_params(state: State) -> Params:
    """Return the parameters to export: the moving average, or without one the last."""
    return state.params if state.average is None else state.average


def move_average(
    average: Params, params: Params, step: Int[Array, ""], limit: float | None
) -> Params:
    """Return the moving average after an update, as make_trainer has it; None without a limit."""
    if limit is None:
        return None
    count = step.astype(jnp.float32)
    decay = jnp.minimum(limit, (2 + count) / (11 + count))
    return jax.tree.map(partial(_between, decay), average, params)


def _between(decay, old, new):
    return new + decay.astype(new.dtype) * (old - new)


def gradient_norm(grads: Params, opt_state: Any) -> Scalar:
    """Return the norm that the transformation saw, where it notes one, or else all gradients'.

    Asking for the norm of parameters that are not trained would have their gradients computed.
    """
    seen = optax.tree.get(opt_state, "grad_norm", None)
    return optax.tree.norm(grads) if seen is None else seen
