"""MGAN: photographs are painted by MDAN, and a decoder learns to do so in one pass."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from nst_jax import losses, train
from nst_jax.array_types import Image, ImageOfAnySize, Params, PRNGKey, Scalar, check_picture
from nst_jax.encoders.vgg import VGG, channels_of
from nst_jax.networks.discriminators import DeepMarkovianDiscriminator, MarkovianDiscriminator
from nst_jax.networks.huang import LAYER, encoder_params_up_to_layer
from nst_jax.networks.li_wand import LiWandDecoder, LiWandNetwork
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.papers.li_wand_2016.mgan_config import MGAN_PRESETS, MganConfig
from nst_jax.papers.li_wand_2016.painting import make_generate, make_measure, set_encoder
from nst_jax.papers.li_wand_2016.pieces import finish
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.runs.record import describe_config

Painted = Float[np.ndarray, "pictures side side 3"]


def make_network(config: MganConfig, encoder: VGG) -> LiWandNetwork:
    """Return the network that paints by the decoder: around it, the encoder that it is trained for.

    Args:
        config: Its width and precision count.
        encoder: From load_encoder; config.encoder_input and precision are set on it here.
    """
    inner: Any = set_encoder(encoder, config.painting)
    return LiWandNetwork(encoder=inner, width=config.width, precision=config.precision)


def make_decoder_generate(config: MganConfig, encoder: VGG) -> Callable[..., train.Generated]:
    """Return generate(key, params, model_state, patches, encoder_params): squares and their losses.

    What a discriminator judges are features of config.style_layer, of what the decoder paints and
    of what MDAN painted of the same photographs.

    Args:
        config: Its network and loss count.
        encoder: From load_encoder.

    Reference: Li and Wand 2016, section 4 (MGANs), by their code.
    """
    inner, decoder = set_encoder(encoder, config.painting), _decoder(config)
    layer = config.style_layer

    def generate(key, params, model_state, patches, encoder_params):
        del key
        content, wanted, _ = map(jnp.asarray, patches)
        features = inner.apply(encoder_params, content, layers=(LAYER,))[LAYER]
        variables = {"params": params, **model_state}
        painted, moved = decoder.apply(variables, features, train=True, mutable=["batch_stats"])
        made, real = (
            inner.apply(encoder_params, images, layers=(layer,))[layer]
            for images in (painted, wanted)
        )
        total = config.pixel_weight * losses.content_loss(painted, wanted)
        return train.Generated(made, real, total, {"pixels": total}, dict(moved))

    return generate


def paint_teachers(
    key: PRNGKey,
    photographs: Image,
    style: ImageOfAnySize,
    config: MganConfig,
    encoder: VGG,
    encoder_params: Params,
    *,
    reporting: train.Reporting,
) -> tuple[Painted | None, int]:
    """Return what MDAN paints of photographs, group by group, and how many steps are done.

    Each group has a folder and checkpoints of its own. The discriminator goes on from group to
    group. After an interruption there are no pictures.

    Args:
        key: Decides the discriminator's first parameters, and what is shown of the painting.
        photographs: Squares, whole groups of them.
        style: One painting, of its final size.
        config: Its teachers count.
        encoder: From load_encoder.
        encoder_params: Its parameters.
        reporting: The run's folder, how often it reports, and what may stop it.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.
    """
    painting, inner = config.painting, set_encoder(encoder, config.painting)
    init_key, run_key = jax.random.split(key)
    layers = (painting.style_layer, painting.content_layer)
    encode = jax.jit(lambda params, images: inner.apply(params, images, layers=layers))
    groups = photographs.reshape(config.num_groups, -1, *photographs.shape[1:])
    found = encode(encoder_params, groups[0])
    discriminator = MarkovianDiscriminator(precision=config.precision)
    trainer = train.make_adversarial_trainer(
        make_generate(painting, inner),
        train.discriminate_by(discriminator),
        jax.jit(discriminator.init)(init_key, found[painting.style_layer]),
        optax.adam(painting.learning_rate, b1=painting.momentum),
        painting.adversary,
    )
    description = {"config": describe_config(config), "data": reporting.data}
    adversary, pictures, done = None, [], 0
    for number, (group, folder) in enumerate(zip(groups, config.group_folders, strict=True)):
        state = trainer.init(jax.random.fold_in(run_key, number), {"image": group}, {})
        if adversary is not None:
            state = state._replace(adversary=adversary)
        own = reporting.count_from(done)._replace(
            workdir=f"{reporting.workdir}/{folder}", report_every=0, time_limit=None, best_by=None
        )
        state = train.fit(
            trainer,
            state,
            train.NoBatches(),
            encode(encoder_params, group)[painting.content_layer],
            style,
            encoder_params,
            num_steps=painting.num_steps,
            description=description,
            reporting=own,
        )
        done += int(state.step)
        if int(state.step) < painting.num_steps:
            return None, done
        adversary = state.adversary
        pictures += [np.asarray(finish(image[None], painting)) for image in state.params["image"]]
    return np.concatenate(pictures), done


def fit(
    style: ImageOfAnySize,
    stream: train.Stream,
    config: MganConfig,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Image,
    samples: ImageOfAnySize,
    reporting: train.Reporting,
    start: Params | None = None,
) -> train.Trained:
    """Train a network to paint in one style, going on from what workdir holds.

    MDAN paints config.num_teachers photographs first, in the workdir's teachers; steps are counted
    through. Then the decoder learns from squares of these.

    Args:
        style: One painting, resized to config.style_size.
        stream: Photographs of config.teacher_size, config.teachers_at_once a step, of which as many
            steps are taken as there are groups.
        config: One of MGAN_PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.encoder_input and precision are set on it here.
        encoder_params: Its parameters.
        held_out: Photographs whose distances are logged, of one size.
        samples: Photographs of which sheets are painted, of one size.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of such a network to begin with; None begins with random ones.

    Returns:
        The network (see make_network), its variables, the number of steps done and the held-out
        distances: "style", of Gram matrices to the painting's, and "content" in relu4_1. No step
        lowers either. Of a finished run the variables are those of the least style distance. After
        an interruption the number is under the one wanted, and nothing is measured.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Li and Wand 2016, section 4, by their code. Differs: teachers are squares, painted in
        groups; squares for the decoder are mirrored, and neither turned nor scaled.
    """
    held_out = check_picture("held_out", held_out, several=True)
    samples = check_picture("samples", samples, several=True)
    style = resize_longer_side(check_picture("style", style), config.style_size)
    teacher_key, judge_key, init_key, run_key = jax.random.split(jax.random.key(config.seed), 4)
    network = make_network(config, encoder)
    # One for both stages, lest an interruption falls between them.
    with deferred_interrupt(interrupted=reporting.interrupted) as interrupted:
        reporting = reporting._replace(interrupted=interrupted)
        photographs = jnp.concatenate(
            [
                jnp.asarray(train.cut_batch(jax.random.fold_in(teacher_key, number), next(stream)))
                for number in range(config.num_groups)
            ]
        )
        painted, done = paint_teachers(
            *(teacher_key, photographs, style, config, encoder, encoder_params),
            reporting=reporting,
        )
        if painted is None:
            whole = reporting.length(config.num_steps)
            whole = train.NOT_PLANNED if whole is None else config.num_teacher_steps + whole
            return train.Trained(network, {}, done, {}, whole)
        squares = train.PatchStream(
            list(np.asarray(photographs)),
            list(painted),
            size=config.size,
            batch_size=config.batch_size,
            seed=config.seed,
            flip=config.flip,
        )
        trained = _fit_decoder(
            *((judge_key, init_key, run_key), squares, style, config, network, encoder),
            encoder_params,
            held_out=held_out,
            samples=samples,
            reporting=reporting.count_from(done),
            start=start,
        )
    kept = encoder_params_up_to_layer(encoder_params)["params"]
    variables = {
        "params": {"encoder": kept, "decoder": trained.variables["params"]},
        "batch_stats": {"decoder": trained.variables["batch_stats"]},
    }
    counted = {"step": done + trained.step, "num_steps": done + trained.num_steps}
    return trained._replace(network=network, variables=variables, **counted)


def _fit_decoder(
    keys: tuple[PRNGKey, ...],
    squares: train.PatchStream,
    style: ImageOfAnySize,
    config: MganConfig,
    network: LiWandNetwork,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Image,
    samples: ImageOfAnySize,
    reporting: train.Reporting,
    start: Params | None,
) -> train.Trained:
    judge_key, init_key, run_key = keys
    decoder, encode = _decoder(config), jax.jit(network.encoder.apply, static_argnames="layers")
    if start is None:
        features = jnp.zeros((1, 2, 2, channels_of(LAYER)), jnp.float32)
        first = jax.jit(decoder.init)(init_key, features)
    else:
        first = {name: arrays["decoder"] for name, arrays in start.items()}
    paint = jax.jit(decoder.apply)
    judge = DeepMarkovianDiscriminator(width=config.width, precision=config.precision)
    square = jnp.zeros((1, config.size, config.size, 3), jnp.float32)
    judged = encode(encoder_params, square, layers=(config.style_layer,))[config.style_layer]
    num_steps = reporting.length(config.num_steps)
    trainer = train.make_adversarial_trainer(
        make_decoder_generate(config, encoder),
        train.discriminate_by(judge),
        jax.jit(judge.init)(judge_key, judged),
        train.make_network_transformation(config, num_steps=num_steps, momentum=config.momentum),
        config.adversary,
        average_decay=config.average_decay,
    )
    measured = dataclasses.replace(config.painting, content_layer=LAYER)
    distances = make_measure(measured, network.encoder)
    shown, seen = (
        encode(encoder_params, images, layers=(LAYER,))[LAYER] for images in (samples, held_out)
    )

    def measure(variables: Params) -> tuple[Scalar, dict[str, Scalar]]:
        found = distances(paint(variables, seen), seen, style, encoder_params)
        return found["style"] + found["content"], found

    subject = train.Subject(
        decoder, first, paint=lambda variables: paint(variables, shown), measure=measure
    )
    if reporting.best_by is None:
        reporting = reporting._replace(best_by="style")
    return train.fit_network(
        run_key,
        trainer,
        subject,
        squares,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


def _decoder(config: MganConfig) -> LiWandDecoder:
    return LiWandDecoder(width=config.width, precision=config.precision)


def _stages(config: MganConfig) -> tuple[train.Stage, ...]:
    groups = (train.Stage(config.teacher_steps, folder) for folder in config.group_folders)
    return (*groups, train.Stage(config.num_steps))


def _fit_one(paintings, *args, **options) -> train.Trained:
    (painting,) = paintings
    return fit(painting, *args, **options)


TRAINING = train.TrainingPaper(
    name="li_wand_2016",
    title="Train a network to paint in one style against a discriminator (Li and Wand 2016).",
    presets=MGAN_PRESETS,
    styles="one",
    make_network=lambda config, num_styles, encoder: make_network(config, encoder),
    fit=_fit_one,
    stages=_stages,
    open_stream=lambda config, photographs, paintings: train.open_stream(
        photographs,
        size=config.teacher_size,
        shorter_side=(config.teacher_size, config.teacher_size),
        flip=False,
        batch_size=config.teachers_at_once,
        seed=config.seed,
    ),
)
"""How these networks are trained."""
