"""The training: pairs of photographs and paintings, each painting of any style."""

import jax
import jax.numpy as jnp

from nst_jax import train
from nst_jax.array_types import Image, Params
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.ghiasi import is_trained
from nst_jax.networks.style_predictors import measure_standard
from nst_jax.papers.ghiasi_2017.config import PRESETS, Config
from nst_jax.papers.ghiasi_2017.objective import (
    init,
    make_generate,
    make_network,
    make_objective,
    read_layers,
)
from nst_jax.train import Pair
from nst_jax.train.perceptual_training import set_encoder

_STANDARD_PAINTINGS = 64  # whose statistics standardise the predictor's input


def fit(
    stream: train.Stream,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Pair,
    samples: Pair,
    reporting: train.Reporting,
    start: Params | None = None,
) -> train.Trained:
    """Train a transformer and its predictor, going on from what workdir holds.

    Args:
        stream: Gives a Pair a step, as TRAINING opens it.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        held_out: Photographs and paintings whose losses are logged, each pair's.
        samples: Photographs and paintings of which sheets are written, each with each.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of a network to begin with; None begins with random ones, and with the
            standard of the stream's first paintings.

    Returns:
        A GhiasiNetwork, its variables (the moving average where there is one), the number of steps
        done and the held-out losses. After an interruption the former is under the number wanted,
        and the latter are not measured.

    Raises:
        ValueError: There are fewer than two paintings, or the encoder is not VGG-16 on
            torchvision's pixels; or as train.fit.
        OSError, TrainingDivergedError: As train.fit.

    Reference: Ghiasi et al. 2017, section 3.
    """
    if encoder.preprocessing != TORCHVISION:
        raise ValueError(
            "weights: wanted VGG-16 on torchvision's pixels, which the predictor reads, "
            f"got {config.weights}; leave it out"
        )
    held_out = train.check_pair("held_out", held_out)
    samples = train.check_pair("samples", samples)
    encoder = set_encoder(encoder, config)
    network = make_network(config)
    if start is None:
        batches = range(-(-_STANDARD_PAINTINGS // config.batch_size))
        key = jax.random.key(config.seed)
        cut = (train.cut_batch(jax.random.fold_in(key, n), next(stream)).style for n in batches)
        paintings = jnp.concatenate([jnp.asarray(images) for images in cut])
        start = init(config, measure_standard(paintings, encoder, encoder_params), encoder_params)
    objective, apply = make_objective(config, encoder), network.apply

    @jax.jit
    def paint(variables: Params, pair: Pair) -> Image:
        return apply(variables, pair.content, apply(variables, pair.style, method="embed"))

    @jax.jit
    def measure(variables: Params, encoder_params: Params):
        after = encoder.apply(
            encoder_params, jnp.asarray(held_out.style), layers=read_layers(config)
        )
        return objective(paint(variables, held_out), held_out, after, encoder_params)

    styles = jnp.tile(samples.style, (len(samples.content), 1, 1, 1))
    sheet = Pair(jnp.repeat(samples.content, len(samples.style), axis=0), styles)
    generate = make_generate(config, network, encoder)
    num_steps = reporting.length(config.num_steps)
    trainer = train.make_painter_trainer(
        generate, config, num_steps=num_steps, trainable=is_trained
    )
    if config.adversarial_weight and reporting.best_by is None:
        reporting = reporting._replace(best_by="style")
    subject = train.Subject(
        network,
        start,
        paint=lambda variables: paint(variables, sheet),
        measure=lambda variables: measure(variables, encoder_params),
    )
    return train.fit_network(
        jax.random.split(jax.random.key(config.seed))[1],
        trainer,
        subject,
        stream,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


def _open_stream(config, photographs, paintings):
    """Pairs of photographs and, of sizes of their own, paintings."""
    if len(paintings) < 2:
        raise ValueError(
            f"style_dir: wanted at least 2 paintings, got {len(paintings)}; to paint after a "
            "single one, train johnson2016"
        )
    options = train.stream_options(config)
    of_paintings = {
        "size": config.style_size,
        "shorter_side": config.style_shorter_side,
        "seed": (config.seed + 1) % 2**32,
    }
    streams = (
        train.open_stream(photographs, **options),
        train.open_stream(paintings, **(options | of_paintings)),
    )
    return train.zip_streams(Pair, *streams)


TRAINING = train.TrainingPaper(
    name="ghiasi2017",
    title="Train a fast network to paint after any painting (Ghiasi et al. 2017).",
    presets=PRESETS,
    styles="any",
    make_network=lambda config, num_styles, encoder: make_network(config),
    fit=fit,
    trainable=is_trained,
    open_stream=_open_stream,
)
"""How these networks are trained."""
