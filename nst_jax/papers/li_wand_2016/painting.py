"""The run: one picture and one discriminator, as a training of nst_jax.train."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from nst_jax import losses, train
from nst_jax.array_types import Image, ImageOfAnySize, Params, Scalar, check_picture
from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.preprocessing import SIGNED
from nst_jax.encoders.vgg import FIRST_LAYERS, VGG, block_of, least_side, num_blocks
from nst_jax.networks.discriminators import MarkovianDiscriminator
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.papers.li_wand_2016.config import Config
from nst_jax.papers.li_wand_2016.pieces import finish, piece_side, random_piece
from nst_jax.runs.record import describe_config

_PATCH = 8  # of MarkovianDiscriminator, in positions


class Painted(NamedTuple):
    """What a run came to.

    Attributes:
        image: The picture in [0, 1]: the last one, or where reporting.best_by names a distance and
            all steps are done, the one with the least.
        step: How many steps are done: fewer than config.num_steps after an interruption.
        held_out: "style", the distance of Gram matrices to the painting's, which no step lowers,
            and "content", in units of content_loss; see make_measure. Empty after an interruption.
    """

    image: Image
    step: int
    held_out: Mapping[str, float]


def stylize(
    content: ImageOfAnySize,
    style: ImageOfAnySize,
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
    *,
    reporting: train.Reporting,
) -> Painted:
    """Return the content image painted with patches that pass for the painting's.

    A run goes on from what the workdir holds, to the bit. The workdir's metrics.jsonl has, for each
    step, the terms and how often the discriminator was right.

    Args:
        content: One picture, resized to config.size; the run begins with it.
        style: One painting, resized to config.style_size.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling, precision and encoder_input are set on it here.
        encoder_params: Its parameters.
        reporting: The run's folder, and how often it reports.

    Raises:
        ValueError: A picture is none, or too small for the layers; or as train.fit.
        OSError, TrainingDivergedError: As train.fit. The latter too where the discriminator wins
            for config.patience steps.

    Reference: Li and Wand 2016, eqs. (1) and (2), by their code. Differs: patches of the painting
        are those of one piece of it a step, turned and scaled at random, where the authors draw
        patches from 18 copies.
    """
    content = resize_longer_side(check_picture("content", content), config.size)
    style = resize_longer_side(check_picture("style", style), config.style_size)
    encoder = set_encoder(encoder, config)
    _check_sizes(content, style, config)
    init_key, run_key = jax.random.split(jax.random.key(config.seed))
    layers = (config.style_layer, config.content_layer)
    found = jax.jit(lambda params, image: encoder.apply(params, image, layers=layers))(
        encoder_params, content
    )
    discriminator = MarkovianDiscriminator(patch=_PATCH, precision=config.precision)
    trainer = train.make_adversarial_trainer(
        make_generate(config, encoder),
        train.discriminate_by(discriminator),
        jax.jit(discriminator.init)(init_key, found[config.style_layer]),
        optax.adam(config.learning_rate, b1=config.momentum),
        config.adversary,
    )
    target = found[config.content_layer]
    measure = make_measure(config, encoder)

    def evaluate(state: train.State) -> Mapping[str, float]:
        picture = finish(state.params["image"], config)
        numbers = measure(picture, target, style, encoder_params)
        return {name: float(number) for name, number in numbers.items()}

    data = {**reporting.data, "pictures": [_hash(picture) for picture in (content, style)]}
    description = {"config": describe_config(config), "data": data}
    state = train.fit(
        trainer,
        trainer.init(run_key, {"image": content}, {}),
        train.NoBatches(),
        target,
        style,
        encoder_params,
        num_steps=config.num_steps,
        description=description,
        reporting=reporting,
        sample=lambda state: finish(state.params["image"], config),
        evaluate=evaluate,
    )
    step = int(state.step)
    if reporting.best_by is not None and step == config.num_steps:
        best = train.load_best(reporting.workdir, like=state, description=description)
        state = state if best is None else best
    held_out = evaluate(state) if step == config.num_steps else {}
    return Painted(finish(state.params["image"], config), step, held_out)


def make_measure(config: Config, encoder: Encoder) -> Callable[..., dict[str, Scalar]]:
    """Return how far a picture is from both: (image, content_features, style, params) -> distances.

    "style" is Σ_l gram_loss over the first layer of each block of the encoder that the run uses,
    "content" is content_loss in config.content_layer. The discriminator has no part in them.

    Args:
        config: Its layers count.
        encoder: From set_encoder.
    """
    used = num_blocks((config.style_layer, config.content_layer))
    of_style = tuple(layer for layer in FIRST_LAYERS if block_of(layer) < used)

    @jax.jit
    def measure(image, target, style, encoder_params):
        layers = tuple(dict.fromkeys((*of_style, config.content_layer)))
        own = encoder.apply(encoder_params, image, layers=layers)
        wanted = encoder.apply(encoder_params, style, layers=of_style)
        distances = [
            losses.gram_loss(gram_matrix(own[layer]), gram_matrix(wanted[layer]))
            for layer in of_style
        ]
        content = losses.content_loss(own[config.content_layer], target)
        return {"style": sum(distances), "content": content}

    return measure


def make_generate(config: Config, encoder: Encoder) -> Any:
    """Return how a step's picture and pieces of the painting become features and losses.

    It is train's Generate: (key, {"image": picture}, {}, (), content_features, style,
    encoder_params) -> train.Generated.

    Args:
        config: Its layers, weights and changes of the painting count.
        encoder: From set_encoder.
    """
    layers = tuple(dict.fromkeys((config.style_layer, config.content_layer)))
    variation = losses.TOTAL_VARIATION_LOSSES[config.tv_loss]

    def generate(key, params, model_state, batch, target, style, encoder_params):
        del batch
        image = params["image"]
        found = encoder.apply(encoder_params, image, layers=layers)
        piece = random_piece(
            key, style, rotation=config.rotation, scaling=config.scaling, flip=config.flip
        )
        real = encoder.apply(encoder_params, piece, layers=(config.style_layer,))
        terms = {
            "content": config.content_weight
            * losses.content_loss(found[config.content_layer], target),
            "tv": config.tv_weight * variation(image),
        }
        total = terms["content"] + terms["tv"]
        made = found[config.style_layer]
        return train.Generated(made, real[config.style_layer], total, terms, model_state)

    return generate


def set_encoder(encoder: Encoder, config: Config) -> Encoder:
    """Return a VGG with the pooling, precision and input that a configuration wants.

    An encoder of your own stays as it is.

    Args:
        encoder: From load_encoder, or one of your own.
        config: Its pooling, precision and encoder_input count.
    """
    if not isinstance(encoder, VGG):
        return encoder
    preprocessing = SIGNED if config.encoder_input == "signed" else encoder.preprocessing
    return dataclasses.replace(
        encoder,
        pooling=config.pooling,
        precision=config.precision,
        preprocessing=preprocessing,
    )


def _hash(picture: ImageOfAnySize) -> str:
    return hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()


def _check_sizes(content: Image, style: ImageOfAnySize, config: Config) -> None:
    """Refuse pictures whose layers have no patch, or nothing at all."""
    least_style = least_side(config.style_layer, positions=_PATCH)
    least_content = max(least_style, least_side(config.content_layer))
    side = piece_side(*style.shape[1:3], rotation=config.rotation, scaling=config.scaling)
    given = (("content", min(content.shape[1:3]), least_content), ("style", side, least_style))
    for name, found, least in given:
        if found < least:
            what = "pieces of" if name == "style" else "sides of"
            size = "size" if name == "content" else "style_size"
            raise ValueError(
                f"{name}: wanted {what} {least} pixels at least for {config.style_layer} and "
                f"{config.content_layer}, got {found}; give a larger {size} or shallower layers"
            )
