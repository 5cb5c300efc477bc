"""Huang and Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.

A decoder learns to turn the encoder's features back into pictures, and to make of features whose
channels have a painting's means and deviations (AdaIN) a picture that has them too. It then paints
any photograph after any painting in one pass.

| hyperparameter | paper | authors' code | pytorch-AdaIN | cpu (ours) |
|---|---|---|---|---|
| encoder | VGG-19, normalised | the same | the same | VGG-16, normalised |
| padding | reflection | reflection | reflection | reflection |
| layer of AdaIN and of content | relu4_1 | relu4_1 | relu4_1 | relu4_1 |
| style layers | relu1_1, 2_1, 3_1, 4_1 | the same | the same | the same |
| content loss | ‖·‖₂ | mean of squares | mean of squares | mean of squares |
| style loss, means and deviations | ‖·‖₂ | Σ of squares | mean of squares | mean of squares |
| content weight | 1 | 1 | 1 | 1 |
| style weight | | 1e-2 | 10 | (8, 5, 3, 1) |
| identity pairs a batch, their weight | none | none | none | 2, 300 |
| their features' weights, relu1_1 to 3_1 | none | none | none | (4, 4, 1) |
| training pictures | crops of 256 from 512 | the same | from 512 x 512 | crops of 128 |
| batch, steps | 8, 160,000 | 8, 160,000 | 8, 160,000 | 4, 6,000 |
| optimiser | Adam | Adam | Adam | Muon |
| its rate | 1e-4 / (1 + 5e-5 t) | the same | the same | 1e-4, cosine to 0 |
| steps before AdaIN, part by part | none | none | none | 300, rate 5e-4 |

The paper's Euclidean norms are the squares' in all code, and its style weight, unpublished, is the
code's: 1e-1 made the decoder of the paper's pictures, by the README; 1e-2, the script's default,
keeps more of the photograph. The authors scale the shorter side to 512; pytorch-AdaIN both sides,
which a preset cannot say here: its pictures keep their aspect.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import losses, train
from nst_jax.array_types import FeatureMap, Features, Params, Scalar
from nst_jax.encoders.vgg import VGG, Architecture, channels_of
from nst_jax.losses import LayerWeights, Moments
from nst_jax.networks.huang import (
    LAYER,
    Decoder,
    HuangNetwork,
    encoder_params_up_to_layer,
)
from nst_jax.ops.feature_transforms import adain
from nst_jax.ops.moments import channel_moments
from nst_jax.runs.config_checks import check
from nst_jax.runs.interrupts import deferred_interrupt
from nst_jax.train import Pair as Pair
from nst_jax.train.config import TrainingConfig

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # §6

WARM_START = "warm_start"
"""The folder in a run's own of the steps before AdaIN."""

# What each part of the decoder takes, the layers of the part, and what it is to answer.
_PARTS = (
    ("relu4_1", ("conv4_1", "conv3_2"), "relu3_1"),
    ("relu3_1", ("conv3_1", "conv2_2"), "relu2_1"),
    ("relu2_1", ("conv2_1", "conv1_2"), "relu1_1"),
    ("relu1_1", ("conv1_1", "conv1_1"), "image"),
)


def _published(source: str) -> LayerWeights:
    """Weight 1 on every layer in a codebase's convention, in units of our moment_loss."""
    return tuple(
        (layer, losses.convert_moment_weight(1.0, source=source, channels=channels_of(layer)))
        for layer in STYLE_LAYERS
    )


_CODE_LAYERS = _published("huang_2017")


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """What is trained, on what, and how. Weights are in units of content_loss and moment_loss.

    total = content_weight · content_loss(relu4_1, the AdaIN features)
    + style_weight · Σ_l s_l · moment_loss_l, with s the layers' own weights,
    + identity_weight · mean (D(f(x)) − x)² + Σ_l i_l · content_loss_l, with i the weights of
    identity_layers, over the identity pairs: those of a photograph x with itself as the painting,
    which every batch has identity_pairs of, and whose features the second sum compares.

    Attributes:
        style_layers: Pairs of a layer whose moments are matched and its weight.
        identity_pairs: How many photographs of a batch are painted after themselves.
        identity_weight: More keeps pictures that are painted after themselves as they are.
        identity_layers: Pairs of a layer in which these pairs' features are compared and its
            weight.
        warm_start_steps: Steps before all others, in which the decoder's parts learn to invert the
            encoder's.
        warm_start_rate: Length of these steps.
    """

    SIZE_STEP: ClassVar[int] = 8  # three poolings, which the decoder undoes

    # The loss.
    encoder: Architecture = "vgg19"  # §6
    weights: str | None = "vgg19-adain"  # §6: normalised
    style_layers: LayerWeights = _CODE_LAYERS  # §6: equal weights
    content_weight: float = 1.0  # train.lua
    style_weight: float = 1e-2  # train.lua
    identity_pairs: int = 0  # none here; the identity loss is Park and Lee's (2019)
    identity_weight: float = 0.0  # the same
    identity_layers: LayerWeights = ()  # the same
    # The pictures.
    size: int = 256  # §6.1
    shorter_side: tuple[int, int] | None = (512, 512)  # §6.1
    batch_size: int = 8  # §6.1
    # The optimiser.
    num_steps: int = 160_000  # train.lua
    learning_rate: float = 1e-4  # train.lua
    schedule: train.Schedule = "inverse_time"  # train.lua
    decay: float = 5e-5  # train.lua
    warm_start_steps: int = 0  # ours: each part of the decoder alone, before AdaIN
    warm_start_rate: float = 5e-4  # ours: of these steps

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"warm_start_steps": 0, "identity_pairs": 0})
        pairs = self.identity_pairs
        check(pairs <= self.batch_size, "identity_pairs", f"at most {self.batch_size}", pairs)
        weight = self.identity_weight
        check(0 <= weight < float("inf"), "identity_weight", "a finite number, 0 or more", weight)
        rate = self.warm_start_rate
        check(0 < rate < float("inf"), "warm_start_rate", "a finite number above 0", rate)
        for field in ("style_layers", "identity_layers"):
            given = getattr(self, field)
            finite = all(0 <= share < float("inf") for _, share in given)
            check(finite, field, "finite weights, 0 or more", given)
            unknown = {layer for layer, _ in given} - set(STYLE_LAYERS)
            check(not unknown, field, f"some of {', '.join(STYLE_LAYERS)}", sorted(unknown))

    def vary(self, changes: Mapping[str, Any]) -> "Config":
        """Return the configuration with these fields changed, and with what follows from them.

        Beside what TrainingConfig says: identity_pairs, unless given, become at most half of a
        batch, so that some pictures are still painted after paintings.

        Args:
            changes: Values by the names of fields.
        """
        changes = dict(changes)
        if "batch_size" in changes:
            most = changes["batch_size"] // 2
            changes.setdefault("identity_pairs", max(0, min(self.identity_pairs, most)))
        return super().vary(changes)


_CPU = Config(
    encoder="vgg16",
    weights="vgg16-normalized",
    style_layers=tuple(zip(STYLE_LAYERS, (8.0, 5.0, 3.0, 1.0), strict=True)),
    style_weight=1.0,
    identity_pairs=2,
    identity_weight=3e2,
    identity_layers=tuple(zip(STYLE_LAYERS[:3], (4.0, 4.0, 1.0), strict=True)),
    size=128,
    shorter_side=(144, 320),
    flip=True,
    batch_size=4,
    num_steps=6_000,
    optimizer="muon",
    learning_rate=1e-4,  # at twice as much filters fall silent
    schedule="cosine",
    average_decay=0.99,
    warm_start_steps=300,
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(style_weight=1e-1),  # README: what the paper's pictures are reproduced by
    "authors": Config(),
    "pytorch_adain": Config(
        style_layers=tuple((layer, 1.0) for layer in STYLE_LAYERS),  # function.py: means
        style_weight=10.0,  # train.py
    ),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        size=32,
        shorter_side=(32, 48),
        batch_size=2,
        num_steps=4,
        warm_start_steps=2,
        identity_pairs=0,
        identity_weight=0.0,
        identity_layers=(),
        average_decay=None,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


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


def make_loss_fn(config: Config, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, pair, encoder_params), for make_trainer.

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

    def loss_fn(key, params, model_state, pair, encoder_params):
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
        return sum(terms.values(), jnp.zeros((), jnp.float32)), (terms, model_state)

    return loss_fn


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


def make_decoder(config: Config) -> Decoder:
    """Return the decoder that a configuration trains."""
    return Decoder(architecture=config.encoder, precision=config.precision)


def make_network(config: Config, encoder: VGG) -> HuangNetwork:
    """Return the network that paints by the decoder: around it, the encoder that it is trained for.

    Args:
        config: Its precision counts.
        encoder: From load_encoder; its padding and precision are set on it here.
    """
    return HuangNetwork(encoder=set_encoder(encoder, config), precision=config.precision)


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
    moments = _moments(features)
    terms = {
        "content": config.content_weight * losses.content_loss(features[LAYER], targets.content),
        "style": config.style_weight
        * losses.moments_loss(moments, targets.style, layer_weights=config.style_layers),
    }
    return terms["content"] + terms["style"], terms


def _moments(features: Features) -> dict[str, Moments]:
    return {layer: channel_moments(found) for layer, found in features.items()}


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
                    whole = warm.num_steps + config.num_steps
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
        loss_fn = make_loss_fn(config, self.encoder)
        num_steps = reporting.length(config.num_steps)
        trainer = train.make_network_trainer(loss_fn, config, num_steps=num_steps)
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


def _fit_any(paintings, *args, **options) -> train.Trained:
    del paintings  # they come with the photographs
    return fit(*args, **options)


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
    fit=_fit_any,
    stages=_stages,
    open_stream=lambda config, photographs, paintings: train.open_pair_stream(
        Pair, photographs, paintings, **train.stream_options(config)
    ),
)
"""How these networks are trained."""
