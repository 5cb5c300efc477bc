"""An objective that also keeps a picture close to others, such as those of a clip's last frames."""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, Params, Scalar
from nst_jax.encoders.encoder import Encoder
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Targets, Terms, Weights
from nst_jax.losses.styles import StyleLoss
from nst_jax.losses.temporal import temporal_loss
from nst_jax.pixels import step
from nst_jax.pixels.programs import Program
from nst_jax.pixels.step import Optimizer


class Anchors(NamedTuple):
    """Pictures to stay close to. Their number is fixed, so that one program serves a clip.

    Attributes:
        images: The pictures; what a mask of 0 leaves out does not matter.
        masks: How much each of their pixels counts, from 0 to 1.
        weight: Of the sum of their temporal losses.
    """

    images: Float[Array, "anchors 1 height width 3"]
    masks: Float[Array, "anchors 1 height width"]
    weight: Float[Array, ""]


def no_anchors(count: int, *, height: int, width: int) -> Anchors:
    """Return anchors that hold nothing.

    Args:
        count: As many as a clip's other frames have.
        height: In pixels.
        width: In pixels.
    """
    shape = (count, 1, height, width)
    return Anchors(jnp.zeros((*shape, 3)), jnp.zeros(shape), jnp.zeros(()))


def anchored_objective(
    encoder: Encoder,
    image: Image,
    targets: Targets,
    encoder_params: Params,
    weights: Weights,
    anchors: Anchors,
    *,
    style_loss: StyleLoss,
    tv_loss: str,
) -> tuple[Scalar, Terms]:
    """Return perceptual.objective's total and terms, and a term more: "temporal".

    weight · Σ_a temporal_loss(x, ω_a, c_a), over the anchors a.

    Args:
        encoder: As for perceptual.objective.
        image: The picture.
        targets: As for perceptual.objective.
        encoder_params: As for perceptual.objective.
        weights: As for perceptual.objective.
        anchors: What the picture is to stay close to.
        style_loss: As for perceptual.objective.
        tv_loss: As for perceptual.objective.

    Reference: Ruder et al. 2016, §4.2 and §4.3.
    """
    total, terms = perceptual.objective(
        *(encoder, image, targets, encoder_params, weights), style_loss=style_loss, tv_loss=tv_loss
    )
    losses = jax.vmap(partial(temporal_loss, image))(anchors.images, anchors.masks)
    temporal = anchors.weight * losses.sum()
    return total + temporal, {**terms, "temporal": temporal}


@lru_cache(maxsize=4)
def make_anchored_optimizer(program: Program) -> Optimizer:
    """Return the optimiser of one picture with anchors, its arguments' last one.

    Args:
        program: As for programs.make_optimizer.
    """
    objective = partial(
        anchored_objective,
        program.encoder,
        style_loss=program.style_loss,
        tv_loss=program.tv_loss,
    )
    value_and_gradient = jax.jit(jax.value_and_grad(objective, has_aux=True))
    return step.make_optimizer(value_and_gradient, program.transformation(), objective=objective)
