"""Gradient transformations that move pixels."""

from typing import Literal

import jax
import optax

from nst_jax.pixels.lbfgs import lbfgs

OptimizerName = Literal["lbfgs", "adam", "lbfgs_zoom"]


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
