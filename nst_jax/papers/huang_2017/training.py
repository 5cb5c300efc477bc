"""The network, and its training: part by part first, then as a whole."""

import dataclasses

import jax
import jax.numpy as jnp

from nst_jax import train
from nst_jax.array_types import Params
from nst_jax.encoders.vgg import VGG, channels_of
from nst_jax.networks.huang import (
    LAYER,
    HuangNetwork,
    encoder_params_up_to_layer,
)
from nst_jax.ops.feature_transforms import adain
from nst_jax.papers.huang_2017.config import PRESETS, WARM_START, Config
from nst_jax.papers.huang_2017.objective import (
    make_decoder,
    make_generate,
    make_loss_fn,
    make_warm_start_loss_fn,
    set_encoder,
)
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.train import Pair


def make_network(config: Config, encoder: VGG) -> HuangNetwork:
    """Return the network that paints by the decoder: around it, the encoder that it is trained for.

    Args:
        config: Its precision counts.
        encoder: From load_encoder; its padding and precision are set on it here.
    """
    return HuangNetwork(encoder=set_encoder(encoder, config), precision=config.precision)


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
    """Train a decoder to paint in any style, going on from what workdir holds.

    Without start, config.warm_start_steps come first, as make_warm_start_loss_fn says, in
    the workdir's warm_start (WARM_START); steps are counted through.

    Args:
        stream: Gives a Pair a step: train.open_pair_stream(Pair, photographs, paintings, ...).
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; its padding and precision are set on it here.
        encoder_params: Its parameters.
        held_out: Photographs and paintings whose losses are logged, each pair's.
        samples: Photographs and paintings of which sheets are written, each with each.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of a network to begin with, whose decoder is taken; None begins with a
            random one.

    Returns:
        The network that paints (see make_network), its variables (of the decoder, the moving
        average where there is one), the number of steps done and the held-out losses. After an
        interruption the former is under the number wanted, and the latter are not measured.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Huang and Belongie 2017, §6.
    """
    held_out = train.check_pair("held_out", held_out)
    samples = train.check_pair("samples", samples)
    decoder = make_decoder(config)
    init_key, warm_key, run_key = jax.random.split(jax.random.key(config.seed), 3)
    run = _Run(config, decoder, stream, encoder, encoder_params, held_out, samples)
    # One for both stages, lest an interruption falls between them.
    with deferred_interrupt(interrupted=reporting.interrupted) as interrupted:
        reporting = reporting._replace(interrupted=interrupted)
        done = 0
        if start is None:
            decoder_params = jax.jit(decoder.init)(
                init_key, jnp.zeros((1, 2, 2, channels_of(LAYER)), jnp.float32)
            )["params"]
            if config.warm_start_steps:
                folder = f"{reporting.workdir}/{WARM_START}"
                warm_reporting = reporting._replace(workdir=folder, report_every=0, time_limit=None)
                warm = run.invert_parts(warm_key, decoder_params, warm_reporting)
                if interrupted():
                    whole = reporting.length(config.num_steps)
                    whole = train.NOT_PLANNED if whole is None else warm.num_steps + whole
                    return run.complete(warm._replace(held_out={}, num_steps=whole))
                decoder_params, done = warm.variables["params"], warm.step
        else:
            decoder_params = start["params"]["decoder"]
        trained = run.transfer(run_key, decoder_params, reporting.count_from(done))
    counted = {"step": done + trained.step, "num_steps": done + trained.num_steps}
    return run.complete(trained._replace(**counted))


class _Run:
    """What the two stages of a training have in common."""

    def __init__(self, config, decoder, stream, encoder, encoder_params, held_out, samples):
        self.config, self.decoder, self.stream = config, decoder, stream
        self.encoder, self.encoder_params = set_encoder(encoder, config), encoder_params
        self.held_out, self.samples = held_out, samples

    def complete(self, trained: train.Trained) -> train.Trained:
        """The decoder with its encoder around it."""
        params = {
            "encoder": encoder_params_up_to_layer(self.encoder_params)["params"],
            "decoder": trained.variables["params"],
        }
        network = make_network(self.config, self.encoder)
        return trained._replace(network=network, variables={"params": params})

    def invert_parts(self, key, decoder_params, reporting: train.Reporting) -> train.Trained:
        config = dataclasses.replace(
            self.config,
            learning_rate=self.config.warm_start_rate,
            schedule="constant",
            average_decay=None,
        )
        loss_fn = make_warm_start_loss_fn(self.config, self.encoder)
        subject = train.Subject(
            self.decoder,
            {"params": decoder_params},
            paint=self._painting(self._reconstruct),
            measure=self._measuring(loss_fn),
        )
        trainer = train.make_network_trainer(loss_fn, config, num_steps=config.warm_start_steps)
        return self._fit(key, trainer, subject, config, config.warm_start_steps, reporting)

    def transfer(self, key, decoder_params, reporting: train.Reporting) -> train.Trained:
        config = self.config
        # What is held out is painted after paintings alone: a photograph that is painted after
        # itself says nothing about style.
        unpaired = dataclasses.replace(config, identity_pairs=0)
        subject = train.Subject(
            self.decoder,
            {"params": decoder_params},
            paint=self._painting(self._paint_pairs),
            measure=self._measuring(make_loss_fn(unpaired, self.encoder)),
        )
        generate = make_generate(config, self.encoder)
        num_steps = reporting.length(config.num_steps)
        trainer = train.make_painter_trainer(generate, config, num_steps=num_steps)
        if config.adversarial_weight and reporting.best_by is None:
            reporting = reporting._replace(best_by="style")
        return self._fit(key, trainer, subject, config, num_steps, reporting)

    def _fit(self, key, trainer, subject, config, num_steps, reporting) -> train.Trained:
        return train.fit_network(
            key,
            trainer,
            subject,
            self.stream,
            self.encoder_params,
            config=config,
            num_steps=num_steps,
            reporting=reporting,
        )

    def _painting(self, paint):
        paint = jax.jit(paint)
        return lambda variables: paint(variables, self.samples, self.encoder_params)

    def _measuring(self, loss_fn):
        loss_fn = jax.jit(loss_fn)

        def measure(variables):
            key = jax.random.key(0)  # of which neither loss draws
            total, (terms, _) = loss_fn(
                key, variables["params"], {}, self.held_out, self.encoder_params
            )
            return total, terms

        return measure

    def _reconstruct(self, variables, samples: Pair, encoder_params):
        return self.decoder.apply(variables, self._encode(encoder_params, samples.content))

    def _paint_pairs(self, variables, samples: Pair, encoder_params):
        """Every photograph after every painting."""
        content, style = (self._encode(encoder_params, images) for images in samples)
        features = adain(
            jnp.repeat(content, len(style), axis=0), jnp.tile(style, (len(content), 1, 1, 1))
        )
        return self.decoder.apply(variables, features)

    def _encode(self, encoder_params, images):
        return self.encoder.apply(encoder_params, images, layers=(LAYER,))[LAYER]


def _stages(config: Config) -> tuple[train.Stage, ...]:
    whole = train.Stage(config.num_steps)
    if not config.warm_start_steps:
        return (whole,)
    return (train.Stage(config.warm_start_steps, WARM_START), whole)


TRAINING = train.TrainingPaper(
    name="huang2017",
    title="Train a network to paint after any painting (Huang and Belongie 2017).",
    presets=PRESETS,
    styles="any",
    make_network=lambda config, num_styles, encoder: make_network(config, encoder),
    fit=fit,
    without_first_stages=lambda config: dataclasses.replace(config, warm_start_steps=0),
    stages=_stages,
    open_stream=lambda config, photographs, paintings: train.open_pair_stream(
        Pair, photographs, paintings, **train.stream_options(config)
    ),
)
"""How these networks are trained."""
