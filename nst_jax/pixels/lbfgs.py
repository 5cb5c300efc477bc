"""L-BFGS as Torch has it, as an optax gradient transformation.

optax.lbfgs is another algorithm: it searches along each direction, scales its first update itself
and keeps pairs that Torch drops. The published recipes of style transfer mean this one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

# Torch's L-BFGS keeps a pair only above this curvature.
LEAST_CURVATURE = 1e-10
"""A pair of steps is kept above this curvature."""


class LbfgsState(NamedTuple):
    """State of `lbfgs`; vectors are raveled parameters.

    longest is the root mean square that a step may have: `lbfgs`'s longest_step, until whoever
    begins a run anew after an accident shortens it.
    """

    count: Array
    longest: Array
    num_pairs: Array
    steps: Array
    differences: Array
    curvatures: Array
    scale: Array
    previous_grads: Array
    previous_updates: Array


def lbfgs(
    *, learning_rate: float = 1.0, history: int = 100, longest_step: float = float("inf")
) -> optax.GradientTransformation:
    """Return L-BFGS with a fixed step, as Torch has it and as the published recipes mean it.

    x ← x + t d with d = −H g from the two-loop recursion over the last `history` pairs
    s = x_k − x_{k−1}, y = g_k − g_{k−1}. A pair is kept only if y·s > 1e−10; H₀ = (y·s / y·y) I of
    the last pair kept. t = learning_rate, and in the first step learning_rate · min(1, 1 / ‖g‖₁).
    There is no line search: one step costs one evaluation of the objective.

    Args:
        learning_rate: Length of a step in units of the quasi-Newton step.
        history: How many pairs are kept; each costs two copies of the parameters.
        longest_step: The root mean square that a step may have over all parameters. A longer one
            is shortened to it, in its direction. Torch's L-BFGS has no such bound.

    Raises:
        ValueError: history is below 1, or longest_step is not above zero.

    Reference: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 7.4 and 7.5. Differs: step
    and acceptance of pairs are those of Torch's optim.lbfgs.
    """
    if history < 1:
        raise ValueError(f"history: wanted at least 1 pair, got {history}")
    if not longest_step > 0:
        raise ValueError(f"longest_step: wanted a number above 0, got {longest_step}")

    def init(params: optax.Params) -> LbfgsState:
        vector, _ = ravel_pytree(params)
        rows = jnp.zeros((history, vector.size), vector.dtype)
        return LbfgsState(
            count=jnp.zeros((), jnp.int32),
            longest=jnp.full((), longest_step, vector.dtype),
            num_pairs=jnp.zeros((), jnp.int32),
            steps=rows,
            differences=jnp.zeros_like(rows),
            curvatures=jnp.ones((history,), vector.dtype),
            scale=jnp.ones((), vector.dtype),
            previous_grads=jnp.zeros_like(vector),
            previous_updates=jnp.zeros_like(vector),
        )

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, LbfgsState]:
        del params
        gradient, unravel = ravel_pytree(updates)
        state = _remember_pair(state, gradient)
        direction = _two_loop_recursion(state, gradient)
        first = learning_rate * jnp.minimum(1.0, 1.0 / jnp.abs(gradient).sum())
        step = jnp.where(state.count == 0, first, learning_rate) * direction
        step = _shorten(step, state.longest)
        state = state._replace(
            count=state.count + 1, previous_grads=gradient, previous_updates=step
        )
        return unravel(step), state

    return optax.GradientTransformation(init, update)


def _shorten(step: Array, longest: Array) -> Array:
    """The step, shortened to a root mean square of longest if it has more.

    Squares of numbers above 1.8e19 overflow in float32. So the step is scaled by a power of two,
    which is exact, before it is squared.
    """
    _, exponent = jnp.frexp(jnp.abs(step).max())
    scale = jnp.ldexp(jnp.ones((), step.dtype), jnp.clip(exponent - 1, -100, 126))
    scaled = step / scale
    length, bound = jnp.sqrt(jnp.mean(jnp.square(scaled))), longest / scale
    return jnp.where(length > bound, scaled * (longest / length), step)


def _remember_pair(state: LbfgsState, gradient: Array) -> LbfgsState:
    history = state.steps.shape[0]
    step, difference = state.previous_updates, gradient - state.previous_grads
    curvature = jnp.vdot(difference, step)
    keep = (state.count > 0) & (curvature > LEAST_CURVATURE)
    slot = state.num_pairs % history
    return state._replace(
        num_pairs=state.num_pairs + keep.astype(jnp.int32),
        steps=state.steps.at[slot].set(jnp.where(keep, step, state.steps[slot])),
        differences=state.differences.at[slot].set(
            jnp.where(keep, difference, state.differences[slot])
        ),
        curvatures=state.curvatures.at[slot].set(
            jnp.where(keep, curvature, state.curvatures[slot])
        ),
        scale=jnp.where(keep, curvature / jnp.vdot(difference, difference), state.scale),
    )


def _two_loop_recursion(state: LbfgsState, gradient: Array) -> Array:
    """−H g over the pairs kept, newest first and then oldest first."""
    history = state.steps.shape[0]
    length = jnp.minimum(state.num_pairs, history)

    def newest_first(i, carry):
        q, alphas = carry
        slot = (state.num_pairs - 1 - i) % history
        alpha = jnp.vdot(state.steps[slot], q) / state.curvatures[slot]
        return q - alpha * state.differences[slot], alphas.at[slot].set(alpha)

    def oldest_first(i, r):
        slot = (state.num_pairs - length + i) % history
        beta = jnp.vdot(state.differences[slot], r) / state.curvatures[slot]
        return r + (alphas[slot] - beta) * state.steps[slot]

    q, alphas = jax.lax.fori_loop(
        0, length, newest_first, (-gradient, jnp.zeros_like(state.curvatures))
    )
    return jax.lax.fori_loop(0, length, oldest_first, state.scale * q)
