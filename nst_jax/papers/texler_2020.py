"""Texler et al.: Interactive Video Stylization Using Few-Shot Patch-Based Training (2020).

One to three frames of a clip are painted, by hand or by `nst-jax optimize`. A network learns from
small patches of them how frames turn into paintings, and paints the whole clip.

| hyperparameter | authors' code | cpu (ours) |
|---|---|---|
| first convolution, residual blocks | 32 maps, 7 | 16 maps, 7 |
| patches | 40 of 32 pixels | 16 of 32 pixels |
| L1 of pixels, on -1 to 1 | 4 | 4 |
| features of VGG-19: conv1_1, relu1_2, conv2_1 | mean dF^2 over all together, 6 | of VGG-16, 6 |
| their input | RGB from -1 to 1, no mean subtracted | the same |
| adversarial loss | least squares, 0.5 | the same |
| discriminator | patches of 34 pixels, 12 maps | the same |
| Adam of both | 4e-4, momentum 0.9 | the same |
| steps | until it is stopped (see below) | 4,000 |

The code is OndrejTexler/Few-Shot-Patch-Based-Training, _config/reference_P.yaml, models.py and
trainers.py. It runs until a user stops it; the authors name some minutes on a GPU, and warn that
too long washes strokes out. The numbers of steps here are ours. What the discriminator is shown as
real are patches of the same painted frame at other places.

Differs: the optimisers have no weight decay, of 1e-5 there; patches lie within the frame, and there
are no masks; frames are not filtered along the flow before.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import losses, train
from nst_jax.array_types import Image, ImageOfAnySize, Params, Scalar, check_picture
from nst_jax.encoders.preprocessing import SIGNED, EncoderInput
from nst_jax.encoders.vgg import VGG, Architecture, check_layers
from nst_jax.losses import AdversarialLossName, LayerWeights
from nst_jax.networks.discriminators import PatchDiscriminator
from nst_jax.networks.texler import TexlerNetwork
from nst_jax.runs.config_checks import check
from nst_jax.train import Pair
from nst_jax.train.config import TrainingConfig

_FEATURES = (("conv1_1", 0.4), ("relu1_2", 0.4), ("conv2_1", 0.2))
"""PerceptualVGG19: all elements of three layers count alike, 64, 64 and 128 / 4 a pixel."""


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """What is trained, on what, and how; sources are of the authors' code.

    total = pixel_weight · mean |y − p| + feature_weight · Σ_l f_l · mean (F_l(y) − F_l(p))²
    + adversarial_weight · (the generator's loss), for patches y of what is painted now and p of the
    painted frame, in [0, 1], with f the weights of feature_layers.

    Attributes:
        width: Maps of the first convolution. Half of them is a quarter of the parameters.
        encoder_input: What the encoder is given: what its weights want, or RGB from −1 to 1.
        feature_layers: Pairs of a layer in which patches are compared and its weight.
        pixel_weight: More keeps closer to the painted frames.
        feature_weight: More keeps closer to their edges and fine strokes.
        adversarial_loss: A name in losses.ADVERSARIAL_LOSSES.
        adversarial_weight: More makes crisper strokes, and less faithful ones. 0 trains no
            discriminator.
        discriminator_learning_rate: Of the discriminator's Adam.
        momentum: β₁ of it.
        patience: Steps that a run goes on for when the discriminator wins; see AdversarialConfig.
        painted_size: Longer side that frames are trained on at; None takes the painted ones' own.
    """

    # The network.
    width: int = 32  # reference_P.yaml: filters
    # The loss.
    encoder: Architecture = "vgg19"  # models.py: PerceptualVGG19
    weights: str | None = "vgg19-torchvision"  # the same: torchvision's
    encoder_input: EncoderInput = "signed"  # reference_P.yaml: use_normalization False
    feature_layers: LayerWeights = _FEATURES  # reference_P.yaml: [0, 3, 5]
    pixel_weight: float = 4.0 * 2  # reference_P.yaml: reconstruction_weight, on -1 to 1
    feature_weight: float = 6.0  # reference_P.yaml: perception_loss
    adversarial_loss: AdversarialLossName = "least_squares"  # reference_P.yaml: MSELoss
    adversarial_weight: float = 0.5  # reference_P.yaml
    discriminator_learning_rate: float = 4e-4  # reference_P.yaml
    momentum: float = 0.9  # reference_P.yaml: betas
    patience: int = 2_000  # ours: a discriminator may win for long where patches are few
    # The pictures.
    size: int = 32  # reference_P.yaml: patch_size
    painted_size: int | None = None  # ours
    batch_size: int = 40  # reference_P.yaml
    # The optimiser.
    num_steps: int = 10_000  # ours: the code runs until it is stopped
    learning_rate: float = 4e-4  # reference_P.yaml

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"width": 1})
        self.check_weights("pixel_weight", "feature_weight", "adversarial_weight")
        if self.painted_size is not None:
            self.check_least({"painted_size": self.size})
        shares = [share for _, share in self.feature_layers]
        finite = all(0 <= share < float("inf") for share in shares)
        check(finite, "feature_layers", "finite weights, 0 or more", shares)
        if self.feature_layers:
            check_layers(tuple(layer for layer, _ in self.feature_layers), self.encoder)
        _ = self.adversary

    @property
    def adversary(self) -> train.AdversarialConfig:
        """The discriminator's part."""
        return train.AdversarialConfig(
            loss=self.adversarial_loss,
            weight=self.adversarial_weight,
            learning_rate=self.discriminator_learning_rate,
            momentum=self.momentum,
            patience=self.patience,
        )


_CPU = Config(width=16, encoder="vgg16", weights=None, batch_size=16, num_steps=4_000)

PRESETS: Mapping[str, Config] = {
    "authors": Config(),
    "cpu": _CPU,
    "smoke": dataclasses.replace(_CPU, width=4, batch_size=2, num_steps=4),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def make_network(config: Config) -> TexlerNetwork:
    """Return the network that a configuration trains."""
    return TexlerNetwork(width=config.width)


def make_objective(
    config: Config, encoder: VGG
) -> Callable[[Any, Any, Params], tuple[Scalar, dict[str, Scalar]]]:
    """Return objective(painted, wanted, encoder_params) -> (total, terms), without a discriminator.

    Args:
        config: Its loss counts.
        encoder: From load_encoder; config.encoder_input and precision are set on it here.
    """
    encoder, layers = _set_encoder(encoder, config), tuple(dict(config.feature_layers))

    def objective(painted, wanted, encoder_params):
        terms = {"pixels": config.pixel_weight * jnp.abs(painted - wanted).mean()}
        if layers:
            found, aim = (
                encoder.apply(encoder_params, images, layers=layers) for images in (painted, wanted)
            )
            distance = losses.feature_loss(found, aim, layer_weights=config.feature_layers)
            terms["features"] = config.feature_weight * distance
        return sum(terms.values(), jnp.zeros((), jnp.float32)), terms

    return objective


def make_generate(config: Config, encoder: VGG) -> Callable[..., train.Generated]:
    """Return generate(key, params, model_state, patches, encoder_params): a batch and its losses.

    Args:
        config: Its network and loss count.
        encoder: From load_encoder.
    """
    network, objective = make_network(config), make_objective(config, encoder)

    def generate(key, params, model_state, patches, encoder_params):
        del key
        content, wanted, elsewhere = map(jnp.asarray, patches)
        variables = {"params": params, **model_state}
        painted, moved = network.apply(variables, content, train=True, mutable=["batch_stats"])
        total, terms = objective(painted, wanted, encoder_params)
        return train.Generated(painted, elsewhere, total, terms, dict(moved))

    return generate


def fit(
    stream: train.Stream,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Pair,
    samples: ImageOfAnySize,
    reporting: train.Reporting,
    start: Params | None = None,
) -> train.Trained:
    """Train a network to paint a clip as a few of its frames are painted; go on in workdir.

    Args:
        stream: Gives train.PaintedPatches a step: train.open_patch_stream.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.encoder_input and precision are set on it here.
        encoder_params: Its parameters.
        held_out: Whole frames and what was painted of them, of one size that is a multiple of 4:
            what losses are logged of. There may be no other painted frames than those of the
            stream.
        samples: Frames of the clip of which sheets are painted, of one such size.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of such a network to begin with; None begins with random ones.

    Returns:
        The network, its variables, the number of steps done and the losses of held_out. After an
        interruption the former is under config.num_steps, and the latter are not measured.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Texler et al. 2020, section 3, by their code.
    """
    held_out = train.check_pair("held_out", held_out)
    samples = check_picture("samples", samples, several=True)
    network, generate = make_network(config), make_generate(config, encoder)
    init_key, judge_key, run_key = jax.random.split(jax.random.key(config.seed), 3)
    patch = jnp.zeros((1, config.size, config.size, 3), jnp.float32)
    if start is None:
        start = jax.jit(network.init)(init_key, patch)
    paint, objective = jax.jit(network.apply), jax.jit(make_objective(config, encoder))

    def measure(variables: Params) -> tuple[Scalar, dict[str, Scalar]]:
        """The mean over frames, of which one at a time is on the device."""
        frames = zip(held_out.content, held_out.style, strict=True)
        found = [
            objective(paint(variables, frame[None]), wanted[None], encoder_params)
            for frame, wanted in frames
        ]
        return jax.tree.map(lambda *each: sum(each) / len(each), *found)

    def paint_samples(variables: Params) -> Image:
        return jnp.concatenate([paint(variables, frame[None]) for frame in samples])

    num_steps = reporting.length(config.num_steps)
    tx = train.make_network_transformation(config, num_steps=num_steps)
    if config.adversarial_weight:
        judge = PatchDiscriminator(width=12, num_halvings=2, precision=config.precision)
        trainer = train.make_adversarial_trainer(
            generate,
            train.discriminate_by(judge),
            jax.jit(judge.init)(judge_key, patch),
            tx,
            config.adversary,
            average_decay=config.average_decay,
        )
    else:
        loss_fn = train.loss_of(generate)
        trainer = train.make_trainer(loss_fn, tx, average_decay=config.average_decay)
    return train.fit_network(
        run_key,
        trainer,
        train.Subject(network, start, paint=paint_samples, measure=measure),
        stream,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


def _set_encoder(encoder: VGG, config: Config) -> VGG:
    preprocessing = SIGNED if config.encoder_input == "signed" else encoder.preprocessing
    return dataclasses.replace(encoder, preprocessing=preprocessing, precision=config.precision)


TRAINING = train.TrainingPaper(
    name="texler_2020",
    title="Train a network on a few painted frames of a clip (Texler et al. 2020).",
    presets=PRESETS,
    styles="frames",
    make_network=lambda config, num_styles, encoder: make_network(config),
    fit=fit,
    open_stream=lambda config, frames, painted: train.open_patch_stream(
        frames,
        painted,
        painted_size=config.painted_size,
        size=config.size,
        batch_size=config.batch_size,
        seed=config.seed,
    ),
)
"""How these networks are trained."""
