"""The objective that a network of Johnson et al. 2016 is trained for, with pixels to be optimised.

It is that of johnson_2016.make_objective on one picture. What does not change from step to step,
the photograph's features, is computed once, as whoever optimises pixels would.
"""

import dataclasses
from functools import partial

import jax

from nst_jax import losses, perceptual
from nst_jax.array_types import Image, ImageOfAnySize, Params, Scalar
from nst_jax.encoders.vgg import VGG
from nst_jax.papers import johnson_2016
from nst_jax.papers.johnson_2016 import Config


def make_objective(config: Config, encoder: VGG) -> perceptual.Objective:
    """Return objective(image, targets, encoder_params) -> (total, terms)."""
    return perceptual.make_objective(
        _fitted(encoder, config),
        weights=johnson_2016.make_loss_weights(config),
        image_term=partial(_total_variation, config) if config.tv_weight else None,
    )


def compute_targets(
    config: Config, content: Image, grams: losses.Grams, encoder: VGG, encoder_params: Params
) -> perceptual.Targets:
    """Return what a photograph is compared with; grams are johnson_2016.compute_style_grams'."""
    layers = tuple(layer for layer, _ in config.content_layers)
    features = _encode(_fitted(encoder, config), encoder_params, content, layers)
    return perceptual.Targets(features, grams)


@jax.jit(static_argnums=(0, 3))
def _encode(encoder: VGG, encoder_params: Params, content: Image, layers: tuple[str, ...]):
    return encoder.apply(encoder_params, content, layers=layers)


def _fitted(encoder: VGG, config: Config) -> VGG:
    return dataclasses.replace(encoder, pooling=config.pooling, precision=config.precision)


def _total_variation(config: Config, image: ImageOfAnySize) -> Scalar:
    return config.tv_weight * losses.TOTAL_VARIATION_LOSSES[config.tv_loss](image)
