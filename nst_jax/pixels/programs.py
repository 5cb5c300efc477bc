"""The compiled programs by which pixels are optimised for content and style.

What a program depends on is a Program; weights, targets and the encoder's parameters are data, so
that runs which differ in them alone share what was compiled.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax

from nst_jax import losses
from nst_jax.array_types import Image, Params, Scalar
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.styles import StyleLossName
from nst_jax.pixels import step
from nst_jax.pixels.step import Optimizer
from nst_jax.pixels.transformations import OptimizerName, make_transformation, over_runs

# L-BFGS takes the length of its second step from how the gradient changed along its first, which
# moves a pixel by some 1e-5. Where a position's nearest point changes on that way the second may
# come out at 0.1 to 0.2, and covers the picture with grain that the rest of the run does not get
# rid of. From a photograph all other steps were below 0.006.
_LONGEST_STEPS: Mapping[StyleLossName, float] = {"relaxed_transport": 0.01}


class LossWeights(NamedTuple):
    """The weights as data of a program: of each layer, and of the total variation."""

    content: tuple[Any, ...]
    style: tuple[Any, ...]
    tv: Any


class Program(NamedTuple):
    """All that compiled programs depend on, but for sizes: runs that agree in it share them."""

    encoder: VGG
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    style_loss: StyleLossName
    tv_loss: str
    optimizer: OptimizerName
    learning_rate: float
    history: int

    def weigh_layers(self, weights: LossWeights) -> perceptual.Weights:
        """Return the weights by the names of their layers."""
        return perceptual.Weights(
            tuple(zip(self.content_layers, weights.content, strict=True)),
            tuple(zip(self.style_layers, weights.style, strict=True)),
        )

    def measure_variation(self, image: Image, weights: LossWeights) -> Scalar:
        """Return the picture's weighted total variation, by the formula that tv_loss names."""
        return weights.tv * losses.TOTAL_VARIATION_LOSSES[self.tv_loss](image)

    def objective(
        self, image: Image, targets: perceptual.Targets, params: Params, weights: LossWeights
    ) -> tuple[Scalar, perceptual.Terms]:
        """Return the weighted sum of what is minimised, and its terms."""
        weigh = perceptual.make_objective(
            self.encoder,
            weights=self.weigh_layers(weights),
            image_term=lambda image: self.measure_variation(image, weights),
            style_loss=self.style_loss,
        )
        return weigh(image, targets, params)

    def transformation(self) -> Any:
        """Return the optimiser's update rule, an optax transformation."""
        return make_transformation(
            self.optimizer,
            learning_rate=self.learning_rate,
            history=self.history,
            longest_step=_LONGEST_STEPS.get(self.style_loss, float("inf")),
        )


# Kept from run to run: to compile takes as long as dozens of steps of a small picture.
@lru_cache(maxsize=16)
def make_optimizer(program: Program) -> Optimizer:
    """Return the optimiser of one picture; the objective's arguments are its steps'."""
    value_and_gradient = jax.jit(jax.value_and_grad(program.objective, has_aux=True))
    tx = program.transformation()
    return step.make_optimizer(value_and_gradient, tx, objective=program.objective)


@lru_cache(maxsize=16)
def make_batch_optimizer(program: Program) -> Optimizer:
    """Return the optimiser of several runs at once: all but params has a first axis of runs."""
    evaluate = jax.value_and_grad(program.objective, has_aux=True)
    value_and_gradient = jax.jit(jax.vmap(evaluate, in_axes=(0, 0, None, 0)))
    return step.make_optimizer(value_and_gradient, over_runs(program.transformation()))


def make_sparing_optimizer(program: Program, weights: LossWeights) -> Optimizer:
    """Return an optimiser like make_optimizer's that keeps few activations in memory.

    Its weights are constants of its programs; a weight of 0 for the total variation leaves it out.
    """
    weights = jax.tree.map(float, weights)

    def image_term(image: Image) -> Scalar:
        return program.measure_variation(image, weights)

    evaluate = perceptual.make_blockwise_value_and_gradient(
        program.encoder,
        weights=program.weigh_layers(weights),
        image_term=image_term if weights.tv else None,
        style_loss=program.style_loss,
    )
    return step.make_optimizer(
        lambda image, targets, params, weights: evaluate(image, targets, params),
        program.transformation(),
    )
