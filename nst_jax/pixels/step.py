"""One step of an optimisation of pixels: init and step, jitted, of any objective."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from nst_jax.array_types import Image, ImageOfEachRun

Terms = Mapping[str, Any]
"""Weighted parts of the objective by name; they add up to the total."""

Objective = Callable[..., tuple[Any, Terms]]
"""(image, *args) -> (total, terms), traceable by JAX."""

ValueAndGradient = Callable[..., tuple[tuple[Any, Terms], Any]]
"""(image, *args) -> ((total, terms), gradient), compiled already."""


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
    """The three functions of an optimisation.

    args are what the objective takes besides the image: targets, the encoder's parameters, weights.
    step uses up its state (its buffers are given to the result); keep a copy of what you need.

    Attributes:
        init: (image, *args) -> (state, metrics).
        step: (state, *args) -> (state, metrics).
        evaluate: (image, *args) -> metrics, with no state for another optimisation.
        to_whole: (state, *args) -> the state as others read and save it, where an optimiser keeps
            it in another form: parted over devices, for example.
        from_whole: (state, *args) -> what to_whole was given.
    """

    init: Callable[..., tuple[State, Metrics]]
    step: Callable[..., tuple[State, Metrics]]
    evaluate: Callable[..., Metrics]
    to_whole: Callable[..., State] = lambda state, *args: state
    from_whole: Callable[..., State] = lambda state, *args: state


def make_optimizer(
    value_and_gradient: ValueAndGradient,
    tx: optax.GradientTransformation,
    *,
    objective: Objective | None = None,
) -> Optimizer:
    """Return init, step and evaluate.

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

    def evaluate(image: Image | ImageOfEachRun, *args) -> Metrics:
        (total, terms), _ = value_and_gradient(image, *args)
        return Metrics(total, terms)

    return Optimizer(init, step, evaluate)
