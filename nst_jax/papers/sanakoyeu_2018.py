"""Sanakoyeu et al.: A Style-Aware Content Loss for Real-time HD Style Transfer (2018).

A network learns to paint like a painter, from a folder of works and not from one painting. Its own
encoder, which is trained too, says what of a photograph is to stay: what matters to this painter.

| hyperparameter | authors' code | cpu (ours) |
|---|---|---|
| encoder, decoder: first maps | 32 | 16 |
| discriminator: layers, maps | 7, 128 to 1024 | 6, 32 to 256 |
| style-aware content loss | mean of differences' sizes, 100 | the same |
| transformed-image loss: means over 10 x 10 pixels | mean of squares on -1 to 1, 100 | the same |
| adversarial loss | cross-entropy of logits, 1 a head | the same |
| who learns | the discriminator where its mean success is under 0.8 | the same |
| crops | 1 of 768 pixels | 1 of 256 pixels |
| Adam of both | 2e-4, momentum 0.9 | the same |
| steps | 300,000 | 20,000 |

The code is CompVis/adaptive-style-transfer, model.py, module.py and main.py. By our notes the paper
squares the style-aware content loss, weights the adversarial term 0.001, and lowers the rate after
200,000 steps; there is no preset after it.

Differs: of the code's changes of pictures crops of several sizes and mirroring are here, turning,
shearing and changed colours are not.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, train
from nst_jax.array_types import FeatureMap, Image, Params, Scalar
from nst_jax.encoders.vgg import FIRST_LAYERS, VGG
from nst_jax.losses import AdversarialLossName
from nst_jax.networks.sanakoyeu import LEAST_SIDE, SanakoyeuDiscriminator, SanakoyeuNetwork
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.moving_mean import moving_mean
from nst_jax.runs.config_checks import check
from nst_jax.train import Pair
from nst_jax.train.config import CroppedConfig

_SQUARE = 10  # module.py: transformer_block, kernel_size
_MEASURED = FIRST_LAYERS[:4]
_CONTENT = "relu4_1"


@dataclass(frozen=True, kw_only=True)
class Config(CroppedConfig):
    """What is trained, on what, and how; sources are of the authors' code.

    total = content_weight · style_aware_content_loss + image_weight · transformed_image_loss
    + adversarial_weight · (the generator's loss, a mean over the discriminator's heads).

    Attributes:
        encoder: The network by which held-out distances are measured; it has no part in the loss.
        width: Maps of the network's first convolution.
        judge_width: Of the discriminator's, halved.
        judge_layers: Layers of the discriminator, from 1 to 7: pictures of 2^(1 + judge_layers)
            pixels at least.
        content_weight: More keeps more of what the network's own encoder sees in the photograph.
        image_weight: More keeps more of the photograph's colours and large forms.
        adversarial_loss: A name in losses.ADVERSARIAL_LOSSES.
        adversarial_weight: More paints more boldly.
        discriminator_learning_rate: Of the discriminator's Adam.
        momentum: β₁ of both.
        success_rate: How often the discriminator must be right before the network learns.
        patience: Steps that a run goes on for when the discriminator wins; see JudgeConfig.
    """

    LEAST_SIZE: ClassVar[int] = LEAST_SIDE
    SIZE_STEP: ClassVar[int] = 16

    # The networks.
    width: int = 32  # main.py: ngf
    judge_width: int = 64  # main.py: ndf
    judge_layers: int = 7  # module.py
    # The loss.
    content_weight: float = 100.0  # main.py: feature_loss_weight
    image_weight: float = 100.0 * 2**2  # main.py: transformer_loss_weight, on -1 to 1
    adversarial_loss: AdversarialLossName = "non_saturating"  # module.py: sce_criterion
    adversarial_weight: float = 5.0  # main.py: discr_loss_weight, 1 for each of five heads
    discriminator_learning_rate: float = 2e-4  # main.py: lr
    momentum: float = 0.9  # TensorFlow's Adam
    success_rate: float = 0.8  # main.py: discr_success_rate
    patience: int = 2_000  # ours: the code has no such guard
    # The pictures.
    size: int = 768  # main.py: image_size
    shorter_side: tuple[int, int] | None = (800, 1200)  # ours; the code's rule is of longer sides
    flip: bool = True  # img_augm.py
    batch_size: int = 1  # main.py
    # The optimiser.
    num_steps: int = 300_000  # main.py
    learning_rate: float = 2e-4  # main.py

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"width": 1, "judge_width": 1})
        self.check_weights("content_weight", "image_weight")
        check(1 <= self.judge_layers <= 7, "judge_layers", "1 to 7", self.judge_layers)
        least = 2 ** (1 + self.judge_layers)
        wanted = f"{least} or more for {self.judge_layers} judge_layers"
        check(self.size >= least, "size", wanted, self.size)
        _ = self.judge

    @property
    def judge(self) -> train.GatedConfig:
        """The discriminator's part."""
        return train.GatedConfig(
            loss=self.adversarial_loss,
            weight=self.adversarial_weight,
            learning_rate=self.discriminator_learning_rate,
            momentum=self.momentum,
            success_rate=self.success_rate,
            patience=self.patience,
        )


_CPU = Config(
    width=16,
    judge_width=16,
    judge_layers=6,
    size=256,
    shorter_side=(288, 512),
    num_steps=20_000,
    average_decay=0.999,
)

PRESETS: Mapping[str, Config] = {
    "authors": Config(),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=2,
        judge_width=2,
        judge_layers=4,
        size=32,
        shorter_side=(32, 48),
        batch_size=2,
        num_steps=4,
        average_decay=None,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def style_aware_content_loss(painted: FeatureMap, photographs: FeatureMap) -> Scalar:
    """Return mean |E(y) − E(x)|, with E the encoder that is trained.

    Args:
        painted: E of what is painted.
        photographs: E of the photographs.

    Reference: Sanakoyeu et al. 2018, eq. (3). Differs, as the code does: sizes, not squares.
    """
    return jnp.abs(painted - photographs).mean()


def transformed_image_loss(painted: Image, photographs: Image) -> Scalar:
    """Return mean (T(y) − T(x))², with T the means over 10 × 10 pixels around each.

    Args:
        painted: What is painted.
        photographs: What it is painted of.

    Reference: Sanakoyeu et al. 2018, eq. (4), by the code, which calls its T a simplified one.
    """
    return jnp.square(moving_mean(painted - photographs, _SQUARE)).mean()


def make_network(config: Config) -> SanakoyeuNetwork:
    """Return the network that a configuration trains."""
    return SanakoyeuNetwork(width=config.width, precision=config.precision)


def make_generate(config: Config) -> Callable[..., train.Generated]:
    """Return generate(key, params, model_state, pair): a batch and its losses.

    What a discriminator is to tell from paintings are painted pictures, and photographs too.

    Args:
        config: Its network and loss count.
    """
    network = make_network(config)

    def generate(key, params, model_state, pair: Pair):
        del key
        photographs, paintings = map(jnp.asarray, pair)
        variables = {"params": params}
        painted = network.apply(variables, photographs)
        kept, wanted = (
            network.apply(variables, images, method="encode") for images in (painted, photographs)
        )
        content = style_aware_content_loss(kept, wanted)
        terms = {
            "content": config.content_weight * content,
            "image": config.image_weight * transformed_image_loss(painted, photographs),
        }
        total = terms["content"] + terms["image"]
        return train.Generated(painted, paintings, total, terms, model_state, photographs)

    return generate


def make_measure(encoder: VGG) -> Callable[..., dict[str, Scalar]]:
    """Return measure(painted, pair, encoder_params) -> held-out distances, which no step lowers.

    "style" is Σ_l gram_loss of the mean Gram matrix of what is painted and that of the paintings,
    over relu1_1, 2_1, 3_1 and 4_1; "content" is content_loss in relu4_1.

    Args:
        encoder: From load_encoder.
    """

    def mean_gram(features: FeatureMap) -> Float[Array, "1 channels channels"]:
        return gram_matrix(features).mean(0, keepdims=True)

    def measure(painted, pair, encoder_params):
        found, photographs, paintings = (
            encoder.apply(encoder_params, jnp.asarray(images), layers=_MEASURED)
            for images in (painted, pair.content, pair.style)
        )
        distances = [
            losses.gram_loss(mean_gram(found[layer]), mean_gram(paintings[layer]))
            for layer in _MEASURED
        ]
        content = losses.content_loss(found[_CONTENT], photographs[_CONTENT])
        return {"style": sum(distances, jnp.zeros((), jnp.float32)), "content": content}

    return measure


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
    """Train a network to paint like a collection of paintings, going on from what workdir holds.

    Args:
        stream: Gives a Pair of photographs and paintings a step, as TRAINING opens it.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; it measures held-out distances, and is not trained.
        encoder_params: Its parameters.
        held_out: Photographs and paintings between which distances are logged.
        samples: Photographs of which sheets are painted; the paintings are not looked at.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of such a network to begin with; None begins with random ones.

    Returns:
        The network, its variables (the moving average where there is one, and of a finished run
        those of the least style distance), the number of steps done and the held-out distances;
        see make_measure. After an interruption the number is under config.num_steps, and nothing
        is measured.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Sanakoyeu et al. 2018, section 3, by their code.
    """
    held_out = train.check_pair("held_out", held_out)
    samples = train.check_pair("samples", samples)
    network = make_network(config)
    judge = SanakoyeuDiscriminator(
        width=config.judge_width, num_layers=config.judge_layers, precision=config.precision
    )
    init_key, judge_key, run_key = jax.random.split(jax.random.key(config.seed), 3)
    pictures = jnp.zeros((1, config.size, config.size, 3), jnp.float32)
    if start is None:
        start = jax.jit(network.init)(init_key, pictures)
    num_steps = reporting.length(config.num_steps)
    trainer = train.make_gated_trainer(
        make_generate(config),
        train.discriminate_by(judge),
        jax.jit(judge.init)(judge_key, pictures),
        train.make_network_transformation(config, num_steps=num_steps, momentum=config.momentum),
        config.judge,
        average_decay=config.average_decay,
    )
    paint, distances = jax.jit(network.apply), jax.jit(make_measure(encoder))

    def measure(variables: Params) -> tuple[Scalar, dict[str, Any]]:
        found = distances(paint(variables, held_out.content), held_out, encoder_params)
        return found["style"] + found["content"], found

    if reporting.best_by is None:
        reporting = reporting._replace(best_by="style")
    return train.fit_network(
        run_key,
        trainer,
        train.Subject(
            network,
            start,
            paint=lambda variables: paint(variables, samples.content),
            measure=measure,
        ),
        stream,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


def _open_stream(config, photographs, paintings):
    """Pairs of photographs and paintings."""
    options = train.stream_options(config)
    other = options | {"seed": (config.seed + 1) % 2**32}
    streams = (train.open_stream(photographs, **options), train.open_stream(paintings, **other))
    return train.zip_streams(Pair, *streams)


TRAINING = train.TrainingPaper(
    name="sanakoyeu_2018",
    title="Train a network to paint like a painter (Sanakoyeu et al. 2018).",
    presets=PRESETS,
    styles="collection",
    make_network=lambda config, num_styles, encoder: make_network(config),
    fit=fit,
    open_stream=_open_stream,
)
"""How these networks are trained."""
