"""The compiled programs by which pixels are optimised for content and style.

What a program depends on is a Program; weights, targets and the encoder's parameters are data, so
that runs which differ in them alone share what was compiled.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax

from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.styles import StyleLoss
from nst_jax.pixels import blockwise, step
from nst_jax.pixels.step import Objective, Optimizer
from nst_jax.pixels.transformations import OptimizerName, make_transformation, over_runs


class Program(NamedTuple):
    """All that compiled programs depend on, but for sizes and layers.

    Runs that agree in it share what was compiled. Their arguments are targets, the encoder's
    parameters and perceptual.Weights.
    """

    encoder: Encoder
    style_loss: StyleLoss
    tv_loss: str
    optimizer: OptimizerName
    learning_rate: float
    history: int

    @property
    def objective(self) -> Objective:
        """(image, targets, encoder_params, weights) -> (total, terms)."""
        return partial(
            perceptual.objective, self.encoder, style_loss=self.style_loss, tv_loss=self.tv_loss
        )

    def transformation(self, *, longest_step: float | None = None) -> Any:
        """Return the optimiser's update rule, an optax transformation.

        Args:
            longest_step: As of make_transformation; by default the style loss's own.
        """
        return make_transformation(
            self.optimizer,
            learning_rate=self.learning_rate,
            history=self.history,
            longest_step=self.style_loss.longest_step if longest_step is None else longest_step,
        )


# Kept from run to run: to compile takes as long as dozens of steps of a small picture.
@lru_cache(maxsize=16)
def make_optimizer(program: Program) -> Optimizer:
    """Return the optimiser of one picture."""
    value_and_gradient = jax.jit(jax.value_and_grad(program.objective, has_aux=True))
    tx = program.transformation()
    return step.make_optimizer(value_and_gradient, tx, objective=program.objective)


@lru_cache(maxsize=16)
def make_batch_optimizer(program: Program) -> Optimizer:
    """Return the optimiser of several runs at once: all but params has a first axis of runs."""
    evaluate = jax.value_and_grad(program.objective, has_aux=True)
    value_and_gradient = jax.jit(jax.vmap(evaluate, in_axes=(0, 0, None, 0)))
    return step.make_optimizer(value_and_gradient, over_runs(program.transformation()))


@lru_cache(maxsize=16)
def make_sparing_optimizer(program: Program) -> Optimizer:
    """Return an optimiser like make_optimizer's that keeps few activations in memory.

    Its encoder must be a VGG, whose blocks can be run one by one.
    """
    evaluate = blockwise.make_value_and_gradient(
        cast(VGG, program.encoder), style_loss=program.style_loss, tv_loss=program.tv_loss
    )
    return step.make_optimizer(evaluate, program.transformation())
