"""The objective that a network of Johnson et al. 2016 is trained for, with pixels to be optimised.

It is that of johnson_2016.make_objective on one picture. What does not change from step to step,
the photograph's features, is computed once, as whoever optimises pixels would.
"""

from functools import partial

import jax

from nst_jax import losses
from nst_jax.array_types import Image, Params
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.papers.johnson_2016 import Config
from nst_jax.pixels.step import Objective
from nst_jax.train.perceptual_training import make_loss_weights, set_encoder


def make_objective(config: Config, encoder: VGG) -> Objective:
    """Return objective(image, targets, encoder_params) -> (total, terms)."""
    return partial(
        perceptual.objective,
        set_encoder(encoder, config),
        weights=make_loss_weights(config),
        tv_loss=config.tv_loss,
    )


def compute_targets(
    config: Config, content: Image, grams: losses.Grams, encoder: VGG, encoder_params: Params
) -> perceptual.Targets:
    """Return what a photograph is compared with; grams are johnson_2016.compute_style_grams'."""
    layers = tuple(layer for layer, _ in config.content_layers)
    features = _encode(set_encoder(encoder, config), encoder_params, content, layers)
    return perceptual.Targets(features, grams)


@jax.jit(static_argnums=(0, 3))
def _encode(encoder: VGG, encoder_params: Params, content: Image, layers: tuple[str, ...]):
    return encoder.apply(encoder_params, content, layers=layers)
