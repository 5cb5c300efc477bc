"""The figure `baselines` of huang_2017: what AdaIN's decoder gains over others.

The paper's figures 5 and 6 set the whole beside three baselines: the features of photograph and
painting concatenated instead of AdaIN's (Enc-Concat-Dec), and decoders with batch or instance
normalisation after each convolution (Enc-AdaIN-BNDec, Enc-AdaIN-INDec). A normalisation gives one
style to what is to be decoded in many; features side by side leave it to the decoder to tell the
painting's style from what it shows.

All have the same loss, whose content is AdaIN's features, and learn from the same pairs, without
the steps part by part and the identity pairs of the preset `cpu`, which not all of them could have.
"""

import argparse
import dataclasses
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from experiments.common import training_curves
from experiments.common.contact_sheet import save_sheet
from experiments.common.data_folder import free_paintings, free_photographs
from experiments.common.training_curves import Training, config_defaults
from experiments.huang_2017.pairs import load_pairs
from nst_jax import files, train
from nst_jax.array_types import FeatureMap
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.huang import LAST, LAYER, Decoder
from nst_jax.networks.layers import InstanceNorm
from nst_jax.papers import huang_2017
from nst_jax.papers.huang_2017 import Config, Pair, Targets
from nst_jax.train import datasets

NUM_HELD_OUT = 16  # pairs
SHOWN = (
    ("content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"),
    ("content/eiffel_tower.jpg", "style/van_gogh_harvest.jpg"),
)
SHOWN_SIZE = 192


class NormalizedDecoder(Decoder):
    """The decoder with a normalisation after each convolution but the last.

    Fields:
        normalization: "batch" or "instance".
        train: Whether batch normalisation uses, and updates with, the batch's own statistics.
    """

    normalization: Literal["batch", "instance"] = "batch"
    train: bool = False

    def apply_layer(self, x: Array, name: str, channels: int) -> Array:
        """Return a layer's answer normalised, before its ReLU."""
        x = super().apply_layer(x, name, channels)
        if name == LAST:
            return x
        if self.normalization == "instance":
            return InstanceNorm(name=f"{name}_norm")(x)
        # As Torch's: the new value's share is a tenth.
        normalize = nn.BatchNorm(
            use_running_average=not self.train, momentum=0.9, epsilon=1e-5, name=f"{name}_norm"
        )
        return normalize(x)


class Variant(NamedTuple):
    """What stands for AdaIN and its decoder."""

    decoder: Decoder
    concatenates: bool

    def feed(self, targets: Targets, content: FeatureMap, style: FeatureMap) -> FeatureMap:
        """What the decoder is given."""
        if self.concatenates:
            return jnp.concatenate([content, style], axis=-1)
        return targets.content


def variants(config: Config) -> dict[str, Variant]:
    """The whole and the baselines by the paper's names."""
    plain = huang_2017.make_decoder(config)
    normalized = partial(NormalizedDecoder, architecture=config.encoder)
    return {
        "Enc-AdaIN-Dec": Variant(plain, concatenates=False),
        "Enc-Concat-Dec": Variant(plain, concatenates=True),
        "Enc-AdaIN-BNDec": Variant(normalized(normalization="batch"), concatenates=False),
        "Enc-AdaIN-INDec": Variant(normalized(normalization="instance"), concatenates=False),
    }


def make_loss_fn(config: Config, variant: Variant, encoder: Any) -> train.LossFn:
    """Return loss_fn(key, params, model_state, pair, encoder_params), as huang_2017's."""
    encoder = huang_2017.set_encoder(encoder, config)
    decoder = _training(variant.decoder)

    def loss_fn(key, params, model_state, pair, encoder_params):
        del key
        targets, fed = _feed(config, variant, encoder, encoder_params, pair)
        painted, model_state = decoder.apply(
            {"params": params, **model_state}, fed, mutable=["batch_stats"]
        )
        total, terms = _judge(config, encoder, encoder_params, painted, targets)
        return total, (terms, dict(model_state))

    return loss_fn


def _training(decoder: Decoder) -> Decoder:
    return decoder.clone(train=True) if isinstance(decoder, NormalizedDecoder) else decoder


def _feed(config, variant, encoder, encoder_params, pair) -> tuple[Targets, FeatureMap]:
    targets = huang_2017.compute_targets(config, pair, encoder, encoder_params)
    content, style = (encoder.apply(encoder_params, x, layers=(LAYER,))[LAYER] for x in pair)
    return targets, variant.feed(targets, content, style)


def _judge(config, encoder, encoder_params, painted, targets):
    features = encoder.apply(encoder_params, painted, layers=huang_2017.loss_layers(config))
    return huang_2017.sum_terms(config, features, targets)


def baselines(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `baselines`."""
    config = training_curves.shorten(
        huang_2017.PRESETS["cpu"],
        options,
        optimizer="adam",
        learning_rate=1e-3,
        warm_start_steps=0,
        identity_pairs=0,
        identity_weight=0.0,
        identity_layers=(),
        # These rather than the preset's, which has changed since: what is compared stays the same.
        style_weight=2.0,
        style_layers=tuple(zip(huang_2017.STYLE_LAYERS, (8.0, 4.0, 2.0, 1.0), strict=True)),
    )
    pictures = _Pictures(options.data, config.size)
    encoding = load_encoder(config.encoder, weights=config.weights)
    trainings = {
        name: training_curves.for_seeds(
            config,
            options,
            partial(
                _make_training,
                named=(name, variant),
                encoding=encoding,
                pictures=pictures,
                every=options.every,
            ),
        )
        for name, variant in variants(config).items()
    }
    records = training_curves.run_all(trainings, out, options.workdir)
    training_curves.finish(out, {"decoders of AdaIN": records}, records)
    cells = [(training_curves.load_picture(out, name), name) for name in records]
    save_sheet(out / "sheet.jpg", [cells], side=2 * SHOWN_SIZE)


class _Pictures:
    """What all variants learn from, and what they are measured and shown on."""

    def __init__(self, data: Path, size: int):
        self.photographs, _ = free_photographs(data, "content/train")
        self.paintings, _ = free_paintings(data, "style/train")
        self.held_out = load_pairs(data, size=size, count=NUM_HELD_OUT)
        self.shown = Pair(
            *(
                train.load_fixed_batch(
                    [files.asset_path(name) for name in names], size=SHOWN_SIZE, count=len(SHOWN)
                )
                for names in zip(*SHOWN, strict=True)
            )
        )

    def open_stream(self, config: Config) -> datasets.PictureStream:
        return train.open_pair_stream(
            Pair,
            self.photographs,
            self.paintings,
            size=config.size,
            shorter_side=config.shorter_side,
            flip=config.flip,
            batch_size=config.batch_size,
            seed=config.seed,
        )

    def describe(self) -> dict[str, Any]:
        return {
            "photographs": train.describe_pictures(self.photographs),
            "paintings": train.describe_pictures(self.paintings),
        }


def _make_training(
    config: Config,
    *,
    named: tuple[str, Variant],
    encoding: tuple[Any, Any],
    pictures: _Pictures,
    every: int,
) -> Training:
    (name, variant), (encoder, encoder_params) = named, encoding
    data = {"decoder": name, **pictures.describe()}
    description = {"config": dataclasses.asdict(config), "data": data}
    own = huang_2017.set_encoder(encoder, config)

    @jax.jit
    def paint_pair(variables, pair, encoder_params):
        targets, fed = _feed(config, variant, own, encoder_params, pair)
        return variant.decoder.apply(variables, fed), targets

    @jax.jit
    def measure(variables, pair, encoder_params):
        painted, targets = paint_pair(variables, pair, encoder_params)
        return _judge(config, own, encoder_params, painted, targets)

    def fit(workdir: str) -> train.Trained:
        init_key, run_key = jax.random.split(jax.random.key(config.seed))
        channels = 1024 if variant.concatenates else 512
        start = jax.jit(variant.decoder.init)(init_key, jnp.zeros((1, 2, 2, channels)))
        subject = train.Subject(
            variant.decoder,
            start,
            paint=lambda variables: paint_pair(variables, pictures.shown, encoder_params)[0],
            measure=lambda variables: measure(variables, pictures.held_out, encoder_params),
        )
        loss_fn = make_loss_fn(config, variant, encoder)
        with closing(pictures.open_stream(config)) as stream:
            return train.fit_network(
                run_key,
                train.make_network_trainer(loss_fn, config, num_steps=config.num_steps),
                subject,
                stream,
                encoder_params,
                config=config,
                num_steps=config.num_steps,
                reporting=train.Reporting(workdir=workdir, data=data, report_every=every),
            )

    def paint(trained: train.Trained) -> Any:
        painted, _ = paint_pair(trained.variables, pictures.shown, encoder_params)
        return jnp.concatenate(list(painted), axis=0)[None]  # one below the other

    return Training({**description, "every": every}, fit, paint, config_defaults(config))
