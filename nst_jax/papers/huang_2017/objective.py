"""What the decoder is trained for: the losses of a batch, before AdaIN and with it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp

from nst_jax import losses, train
from nst_jax.array_types import FeatureMap, Features, Params, Scalar
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import Moments
from nst_jax.networks.huang import (
    LAYER,
    Decoder,
)
from nst_jax.ops.feature_transforms import adain
from nst_jax.ops.moments import channel_moments
from nst_jax.papers.huang_2017.config import STYLE_LAYERS, Config
from nst_jax.train import Pair

# What each part of the decoder takes, the layers of the part, and what it is to answer.
_PARTS = (
    ("relu4_1", ("conv4_1", "conv3_2"), "relu3_1"),
    ("relu3_1", ("conv3_1", "conv2_2"), "relu2_1"),
    ("relu2_1", ("conv2_1", "conv1_2"), "relu1_1"),
    ("relu1_1", ("conv1_1", "conv1_1"), "image"),
)


_DISTANCES = {
    "mean": (losses.content_loss, losses.moment_loss),
    "relative": (losses.relative_content_loss, losses.log_relative_moment_loss),
}


class Targets(NamedTuple):
    """What painted pictures are compared with."""

    content: FeatureMap
    """AdaIN's features, which the decoder is to show."""
    style: Mapping[str, Moments]
    """By layer, the paintings' channel moments."""
    identity: Features
    """In the identity layers, what photographs that are painted after themselves are to show."""


def set_encoder(encoder: VGG, config: Config) -> VGG:
    """Return the encoder with reflection padding and the precision that config wants.

    Reference: the authors' code; zeros around a picture would darken its border.
    """
    return dataclasses.replace(encoder, padding="reflect", precision=config.precision)


def make_decoder(config: Config) -> Decoder:
    """Return the decoder that a configuration trains."""
    return Decoder(architecture=config.encoder, precision=config.precision)


def make_loss_fn(config: Config, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, pair, encoder_params), for make_trainer.

    It is the loss of make_generate, without a discriminator's part.

    Args:
        config: Its loss counts.
        encoder: From load_encoder; its padding and precision are set on it here.
    """
    return train.loss_of(make_generate(config, encoder))


def make_generate(config: Config, encoder: VGG) -> Callable[..., train.Generated]:
    """Return generate(key, params, model_state, pair, encoder_params): a batch and its losses.

    What a discriminator judges is what is painted after paintings, and what is real the paintings.

    Each photograph i of a Pair is painted after painting i, the first identity_pairs of them after
    themselves. What is painted is not encoded again where no term wants its features.

    Args:
        config: Its loss counts.
        encoder: From load_encoder; its padding and precision are set on it here.

    Reference: Huang and Belongie 2017, eqs. (11) to (13); the identity losses are those of Park
    and Lee 2019 (SANet).
    """
    encoder, decoder = set_encoder(encoder, config), make_decoder(config)
    layers, count = loss_layers(config), config.identity_pairs
    compares_features = bool(count and config.identity_layers)

    def generate(key, params, model_state, pair, encoder_params):
        del key
        targets = compute_targets(config, pair, encoder, encoder_params, identity_pairs=count)
        painted = decoder.apply({"params": params}, targets.content)
        terms = {}
        if config.content_weight or config.style_weight or compares_features:
            features = encoder.apply(encoder_params, painted, layers=layers)
            _, terms = sum_terms(config, features, targets)
        if compares_features:
            found = {layer: features[layer][:count] for layer in targets.identity}
            terms["identity_features"] = losses.feature_loss(
                found, targets.identity, layer_weights=config.identity_layers
            )
        if count:
            differences = painted[:count] - pair.content[:count]
            terms["identity"] = config.identity_weight * jnp.square(differences).mean()
        total = sum(terms.values(), jnp.zeros((), jnp.float32))
        real = jnp.asarray(pair.style)
        return train.Generated(painted[count:], real, total, terms, model_state)

    return generate


def make_warm_start_loss_fn(config: Config, encoder: VGG) -> train.LossFn:
    """Return the loss_fn of the steps before AdaIN: each part of the decoder inverts the encoder's.

    L = Σ_p mean (D_p(f_in(x)) − f_out(x))²: from relu4_1 to relu3_1, from there to relu2_1 and
    relu1_1, and from there to the picture x, one of the pair's contents. The parts learn side by
    side, so that after a few hundred steps the whole decoder shows every edge of a picture.

    Args:
        config: Its encoder and precision count.
        encoder: From load_encoder.
    """
    encoder, decoder = set_encoder(encoder, config), make_decoder(config)

    def loss_fn(key, params, model_state, pair, encoder_params):
        del key
        features = encoder.apply(encoder_params, pair.content, layers=STYLE_LAYERS)
        wanted = {**features, "image": pair.content}
        terms = {}
        for source, (first, last), target in _PARTS:
            found = decoder.apply(
                {"params": params}, features[source], first=first, last=last, method="run_layers"
            )
            terms[target] = losses.content_loss(found, wanted[target])
        return sum(terms.values(), jnp.zeros((), jnp.float32)), (terms, model_state)

    return loss_fn


def loss_layers(config: Config) -> tuple[str, ...]:
    """Return the layers that the loss looks at, each once."""
    weighted = (*config.style_layers, *config.identity_layers)
    return tuple(dict.fromkeys((*(layer for layer, _ in weighted), LAYER)))


def compute_targets(
    config: Config, pair: Pair, encoder: VGG, encoder_params: Params, *, identity_pairs: int = 0
) -> Targets:
    """Return what pictures of pair's photographs after its paintings are compared with.

    Args:
        config: Its style and identity layers count.
        pair: Photographs and paintings.
        encoder: From set_encoder.
        encoder_params: Its parameters.
        identity_pairs: So many photographs, the first ones, are painted after themselves: AdaIN
            leaves their features alone. The paintings in their places are not looked at.

    Reference: Huang and Belongie 2017, eq. (8) and the targets of eqs. (12) and (13).
    """
    photographs, paintings = (jnp.asarray(images) for images in pair)
    layers = loss_layers(config)
    content = encoder.apply(encoder_params, photographs, layers=layers)
    style = content
    if identity_pairs < len(paintings):
        style = encoder.apply(encoder_params, paintings[identity_pairs:], layers=layers)
        style = {
            layer: jnp.concatenate([content[layer][:identity_pairs], found])
            for layer, found in style.items()
        }
    identity = {layer: content[layer][:identity_pairs] for layer, _ in config.identity_layers}
    return Targets(adain(content[LAYER], style[LAYER]), _moments(style), identity)


def sum_terms(
    config: Config, features: Features, targets: Targets
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return (total, terms) of pictures whose features are given; terms are weighted.

    Args:
        config: Its weights count.
        features: In loss_layers(config).
        targets: From compute_targets.

    Reference: Huang and Belongie 2017, eqs. (11) to (13).
    """
    compare_content, compare_moments = _DISTANCES[config.distances]
    style = losses.sum_over_layers(
        compare_moments, _moments(features), targets.style, config.style_layers
    )
    terms = {
        "content": config.content_weight * compare_content(features[LAYER], targets.content),
        "style": config.style_weight * style,
    }
    return terms["content"] + terms["style"], terms


def _moments(features: Features) -> dict[str, Moments]:
    return {layer: channel_moments(found) for layer, found in features.items()}
