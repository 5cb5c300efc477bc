"""An adversarial term beside the loss of a network that paints: its pictures against paintings.

The discriminator is shown paintings of all kinds and pictures painted after them. It does not know
which painting a picture is after, and so draws every picture towards what paintings have in common:
the network's own loss of style must stay.

Reference: Chen et al. 2021 (IEContraAST), by their code: three sizes, least squares, the
discriminator's Adam at 1e-4 with momentum 0.5, a step of each a turn. Differs: half as many maps.
"""

from typing import Any

import jax
import jax.numpy as jnp

from nst_jax.networks.discriminators import MultiscaleDiscriminator
from nst_jax.train.adversarial import (
    AdversarialConfig,
    Generate,
    discriminate_by,
    loss_of,
    make_adversarial_trainer,
)
from nst_jax.train.fit_network import make_network_trainer, make_network_transformation
from nst_jax.train.trainer import Trainer
from nst_jax.train.transformations import Trainable

LEAST_SIZE = 32
"""The least side of pictures that a discriminator can judge."""

_WIDTH = 32
_MOST_SCALES = 3
_OF_DISCRIMINATOR = 0x64697363  # sets its first parameters apart from the network's


def make_painter_trainer(
    generate: Generate, config: Any, *, num_steps: int | None, trainable: Trainable | None = None
) -> Trainer:
    """Return make_network_trainer's, or with adversarial_weight one with a discriminator beside.

    Args:
        generate: Paints a batch, with the network's own loss; made and real are pictures of
            config.size.
        config: A TrainingConfig with an adversarial_weight.
        num_steps: Length of the run; None for one with a time limit.
        trainable: Which parameters of the network are trained; None trains all.
    """
    options: Any = {"num_steps": num_steps, "trainable": trainable}
    if not config.adversarial_weight:
        return make_network_trainer(loss_of(generate), config, **options)
    network = MultiscaleDiscriminator(width=_WIDTH, num_scales=num_scales(config.size))
    key = jax.random.fold_in(jax.random.key(config.seed), _OF_DISCRIMINATOR)
    pictures = jnp.zeros((1, config.size, config.size, 3), jnp.float32)
    return make_adversarial_trainer(
        generate,
        discriminate_by(network),
        jax.jit(network.init)(key, pictures),
        make_network_transformation(config, **options),
        AdversarialConfig(weight=config.adversarial_weight, learning_rate=1e-4),
        average_decay=config.average_decay,
    )


def least_side(size: int) -> int:
    """Return the least side of paintings that can be judged as pictures of that side are.

    Args:
        size: In pixels.
    """
    return 2 ** (4 + num_scales(max(size, LEAST_SIZE)))


def num_scales(size: int) -> int:
    """Return at how many sizes pictures of that side are judged: three, or as many as fit.

    Args:
        size: In pixels, at least LEAST_SIZE.
    """
    return min(_MOST_SCALES, size.bit_length() - 5)
