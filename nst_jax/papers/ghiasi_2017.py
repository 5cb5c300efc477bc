"""Ghiasi et al.: Exploring the Structure of a Real-time, Arbitrary Neural Artistic Stylization
Network (2017).

A transformer paints photographs; the scales and biases of its instance normalisations are linear
in an embedding of a painting. Whoever has a painting's embedding can paint after it, mix it with
others, or move from the photograph's own embedding towards it.

| hyperparameter | paper | authors' code | mobile | cpu (ours) |
|---|---|---|---|---|
| first convolution | 32 maps | 32 maps | 8 maps | 16 maps |
| painting's features | Inception-v3, Mixed_6e | the same | MobileNet-v2 | VGG-16's moments |
| bottleneck | 100 | 100 | 100 | 100 |
| predictor that ships | the same | the same | distilled | 6 convolutions, distilled |
| loss network | VGG-16 | VGG-16, average pooling | the same | VGG-16, torchvision |
| content layer | | relu3_3 | the same | relu3_3, relu4_2 |
| style layers | | relu1_2, 2_2, 3_3, 4_3 | the same | relu1_1, 2_1, 3_1, 4_1, 5_1 |
| content loss | Σ ΔF² / U | mean ΔF² | the same | Σ ΔF² / Σ F² |
| style loss, D = ΔG | Σ D² / U | mean D² | the same | log(1 + Σ D² / Σ G²) |
| content weight | | 1 | 1 | 1 |
| style weight a layer | | 5e-4 | 5e-4 | 18 × (0.2, 0.2, 0.25, 0.25, 0.1) |
| total variation, mean ΔI² | none | 5e3 | 5e3 | 2 |
| photographs | ImageNet, 256 x 256 | the same | the same | random crops of 128 |
| paintings | random crops | 256 x 256 | the same | crops of 256 from 256 to 384 |
| batch, steps | 8, 4,000,000 | 8, 8,000,000 | 8, 8,000,000 | 4, 20,000 |
| Adam's rate | 1e-5 | 1e-5 | 1e-5 | 1e-3, cosine to 0 |

Where the paper's column is empty, `paper` has the code's value. Inception-v3 and MobileNet-v2 are
not at hand. In every preset a teacher embeds paintings by VGG-16's moments; the predictor that
ships, six convolutions, learns the teacher's embeddings in the same run. The content and style
weights of `paper`, `authors` and `mobile` are multiplied by the gain between the inputs of VGG-16
on pixels of 0 to 255 and of torchvision's: squared for content, to the fourth power for style.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, train
from nst_jax.array_types import Features, Image, Params, Scalar
from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION, input_gain
from nst_jax.encoders.vgg import VGG, Pooling, channels_of
from nst_jax.losses import LayerWeights
from nst_jax.networks.ghiasi import (
    GhiasiNetwork,
    Trainee,
    without_teacher,
)
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.moments import channel_moments
from nst_jax.runs.report import Report
from nst_jax.train.config import TrainingConfig, check

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # vgg_16/conv1 … conv4
STATISTICS_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The layers whose moments the teacher embeds."""

Distances = Literal["mean", "relative"]
"""How features and Gram matrices are compared: mean squares, or shares of the target's own."""

_DISTANCES = {
    "mean": (losses.content_loss, losses.gram_loss),
    "relative": (losses.relative_content_loss, losses.log_relative_gram_loss),
}
# How much larger than torchvision's the inputs of the authors' network are: it counts to 255.
_GAIN = input_gain(CAFFE) / input_gain(TORCHVISION)


class Pairs(NamedTuple):
    """A batch: as many photographs as paintings, each painted after the painting of its place."""

    contents: Image
    paintings: Image


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """What is trained, on what, and how.

    total = content_weight · Σ_l c_l · content_l + style_weight · Σ_l s_l · style_l
    + tv_weight · total_variation_loss + distillation_weight · distillation_loss,
    with c and s the layers' own weights, and content_l and style_l as distances names them:
    content_loss and gram_loss, or relative_content_loss and log_relative_gram_loss.
    """

    # The network.
    width: int = 32  # appendix; model.py
    # The loss.
    pooling: Pooling = "average"  # image_stylization/vgg.py
    distances: Distances = "mean"  # image_stylization/learning.py
    content_layers: LayerWeights = (("relu3_3", 1.0),)  # arbitrary_image_stylization_train.py
    style_layers: LayerWeights = tuple((layer, 1.0) for layer in STYLE_LAYERS)  # the same
    content_weight: float = _GAIN**2  # arbitrary_image_stylization_train.py: 1.0
    style_weight: float = 0.5e-3 * _GAIN**4  # arbitrary_image_stylization_train.py: 0.5e-3 a layer
    tv_weight: float = 0.0  # none in the paper
    distillation_weight: float = 1.0  # ours: it moves the small predictor alone
    # The pictures.
    size: int = 256  # arbitrary_image_stylization_train.py
    shorter_side: tuple[int, int] | None = (256, 256)  # ours: square pictures from ImageNet's
    style_size: int = 256  # arbitrary_image_stylization_train.py
    style_shorter_side: tuple[int, int] = (256, 512)  # ours: the code's range is of the longer side
    batch_size: int = 8  # arbitrary_image_stylization_train.py
    # The optimiser.
    num_steps: int = 4_000_000  # section 3
    learning_rate: float = 1e-5  # arbitrary_image_stylization_train.py
    schedule: train.Schedule = "constant"  # arbitrary_image_stylization_train.py

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"width": 1, "style_size": 16})
        self.check_weights("tv_weight", "distillation_weight")
        low, high = self.style_shorter_side
        check(
            self.style_size <= low <= high,
            "style_shorter_side",
            f"a range from style_size, {self.style_size}, on",
            (low, high),
        )
        known = get_args(Distances)
        check(self.distances in known, "distances", " or ".join(known), self.distances)
        for name in ("content_layers", "style_layers"):
            weights = [weight for _, weight in getattr(self, name)]
            positive = bool(weights) and all(0 <= weight < float("inf") for weight in weights)
            check(positive, name, "at least one layer, with finite weights of 0 or more", weights)


_AUTHORS = Config(
    tv_weight=0.5 * 1e4,  # arbitrary_image_stylization_train.py; its code halves the squares
    num_steps=8_000_000,  # arbitrary_image_stylization_train.py
)
_CPU = Config(
    width=16,  # ours: half, so that a CPU paints a picture of 512 pixels in a tenth of a second
    pooling="max",
    distances="relative",
    content_layers=(("relu3_3", 0.5), ("relu4_2", 0.5)),
    style_layers=(
        ("relu1_1", 0.2),
        ("relu2_1", 0.2),
        ("relu3_1", 0.25),
        ("relu4_1", 0.25),
        ("relu5_1", 0.1),
    ),
    content_weight=1.0,
    style_weight=18.0,
    tv_weight=2.0,
    size=128,
    shorter_side=(160, 320),
    flip=True,
    style_shorter_side=(256, 384),
    batch_size=4,
    num_steps=20_000,
    learning_rate=1e-3,
    schedule="cosine",
    clip_norm=10.0,
    average_decay=0.998,
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(),
    "authors": _AUTHORS,
    "mobile": dataclasses.replace(_AUTHORS, width=8),  # alpha 0.25
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=4,
        size=32,
        shorter_side=(32, 48),
        style_size=32,
        style_shorter_side=(32, 48),
        batch_size=2,
        num_steps=4,
        content_layers=(("relu2_2", 1.0),),
        style_layers=(("relu1_1", 0.5), ("relu2_1", 0.5)),
        average_decay=None,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def distillation_loss(
    embeddings: Float[Array, "batch size"], taught: Float[Array, "batch size"]
) -> Scalar:
    """Return the mean squared difference of a predictor's embeddings from its teacher's.

    L = Σ (e − t)² / (batch · size). The teacher gets no gradient.

    Args:
        embeddings: The predictor's, e.
        taught: The teacher's, t.

    Reference: the authors' arbitrary_image_stylization_distill_mobilenet.py.
    """
    return jnp.square(embeddings - jax.lax.stop_gradient(taught)).mean()


def compute_statistics(features: Features) -> Float[Array, "batch size"]:
    """Return the channel moments of STATISTICS_LAYERS, one after another: 2,944 numbers a picture.

    Args:
        features: VGG's, by layer.
    """
    found = [moment for layer in STATISTICS_LAYERS for moment in channel_moments(features[layer])]
    return jnp.concatenate(found, -1)


def measure_standard(
    paintings: Image, encoder: VGG, encoder_params: Params
) -> dict[str, Float[Array, " size"]]:
    """Return the mean and the deviation of paintings' statistics, for the teacher's "standard".

    Args:
        paintings: At least two, of one size.
        encoder: From load_encoder.
        encoder_params: Its parameters.

    Raises:
        ValueError: There are fewer than two.
    """
    if len(paintings) < 2:
        raise ValueError(
            f"paintings: wanted at least 2, got {len(paintings)}; to paint after a single one, "
            "train johnson2016"
        )

    @jax.jit
    def measure(params, images):
        return compute_statistics(encoder.apply(params, images, layers=STATISTICS_LAYERS))

    # One at a time: a GPU has room for all, a laptop has not.
    found = jnp.concatenate([measure(encoder_params, image[None]) for image in paintings])
    return {"mean": found.mean(0), "deviation": found.std(0) + 1e-3}


def make_objective(
    config: Config, encoder: VGG
) -> Callable[[Image, Image, Features, Params], tuple[Scalar, dict[str, Scalar]]]:
    """Return objective(stylized, contents, painting_features, encoder_params) -> (total, terms).

    terms holds 'content', 'style' and 'tv', already weighted: total is their sum.

    Args:
        config: Its loss counts.
        encoder: From load_encoder, as set_encoder answers it.
    """
    content_distance, style_distance = _DISTANCES[config.distances]
    content_layers = tuple(layer for layer, _ in config.content_layers)
    style_layers = tuple(layer for layer, _ in config.style_layers)
    both = tuple(dict.fromkeys((*content_layers, *style_layers)))

    def objective(stylized, contents, painting_features, encoder_params):
        wanted = encoder.apply(encoder_params, contents, layers=content_layers)
        found = encoder.apply(encoder_params, stylized, layers=both)
        grams, target_grams = (
            {layer: gram_matrix(features[layer]) for layer in style_layers}
            for features in (found, painting_features)
        )
        content = losses.sum_over_layers(content_distance, found, wanted, config.content_layers)
        style = losses.sum_over_layers(style_distance, grams, target_grams, config.style_layers)
        terms = {
            "content": config.content_weight * content,
            "style": config.style_weight * style,
            "tv": config.tv_weight * losses.total_variation_loss(stylized),
        }
        return terms["content"] + terms["style"] + terms["tv"], terms

    return objective


def make_loss_fn(config: Config, network: Trainee, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, encoder_params), for make_trainer.

    Args:
        config: Its loss counts.
        network: What is trained.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
    """
    encoder = set_encoder(encoder, config)
    objective = make_objective(config, encoder)

    def loss_fn(key, params, model_state, batch: Pairs, encoder_params):
        del key
        painted_after = encoder.apply(encoder_params, batch.paintings, layers=_layers(config))
        (stylized, taught, embeddings), moved = network.apply(
            {"params": params, **model_state},
            *batch,
            compute_statistics(painted_after),
            train=True,
            mutable=["batch_stats"],
        )
        total, terms = objective(stylized, batch.contents, painted_after, encoder_params)
        distillation = config.distillation_weight * distillation_loss(embeddings, taught)
        return total + distillation, (
            terms | {"distillation": distillation},
            {**model_state, **moved},
        )

    return loss_fn


def set_encoder(encoder: VGG, config: Config) -> VGG:
    """Return the encoder with the pooling and the precision that a configuration wants."""
    return dataclasses.replace(encoder, pooling=config.pooling, precision=config.precision)


def _layers(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*STATISTICS_LAYERS, *(layer for layer, _ in config.style_layers))))


def init(config: Config, standard: Mapping[str, Float[Array, " size"]]) -> Params:
    """Return a Trainee's first variables.

    Args:
        config: Its width and seed count.
        standard: From measure_standard.
    """
    size = 2 * sum(map(channels_of, STATISTICS_LAYERS))
    pictures, statistics = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, size))
    key = jax.random.split(jax.random.key(config.seed))[0]
    variables = jax.jit(Trainee(width=config.width).init)(key, pictures, pictures, statistics)
    return {**variables, "standard": {"teacher": dict(standard)}}


def fit(
    stream: train.Stream,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    workdir: str,
    paintings: Image,
    held_out: Pairs,
    samples: Pairs,
    data: Mapping[str, Any],
    on_step: Callable[[Report], None] | None = None,
    save_every: int = 250,
    report_every: int = 250,
) -> train.Trained:
    """Train a transformer and its predictors, going on from what workdir holds.

    Args:
        stream: Batches of Pairs, of config.size and config.style_size.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder.
        encoder_params: Its parameters.
        workdir: The run's folder; see train.fit.
        paintings: Some of one size, from whose statistics the teacher's standard is.
        held_out: Pairs whose losses are logged, painted as the model file will.
        samples: Pairs of which stylised sheets are written, likewise.
        data: What identifies the data, as what JSON can hold: a run is not resumed on others.
        on_step: Called with every step's losses.
        save_every: Steps between checkpoints.
        report_every: Steps between held-out losses, and between sheets.

    Returns:
        A GhiasiNetwork, its variables (the moving average where there is one), the number of steps
        done (under config.num_steps after Ctrl-C), and the held-out losses, none after Ctrl-C.

    Raises:
        ValueError: There are fewer than two paintings; or as train.fit.
        OSError, TrainingDivergedError: As train.fit.

    Reference: Ghiasi et al. 2017, section 3.
    """
    encoder = set_encoder(encoder, config)
    trainee = Trainee(width=config.width)
    start = init(config, measure_standard(paintings, encoder, encoder_params))
    objective, network = make_objective(config, encoder), GhiasiNetwork(width=config.width)

    @jax.jit
    def paint(variables: Params, pairs: Pairs) -> Image:
        variables = without_teacher(variables)
        embeddings = network.apply(variables, pairs.paintings, method="embed")
        return network.apply(variables, pairs.contents, embeddings)

    @jax.jit
    def measure(variables: Params, pairs: Pairs, encoder_params: Params):
        after = encoder.apply(encoder_params, pairs.paintings, layers=_layers(config))
        return objective(paint(variables, pairs), pairs.contents, after, encoder_params)

    trained = train.fit_network(
        jax.random.split(jax.random.key(config.seed))[1],
        trainee,
        start,
        make_loss_fn(config, trainee, encoder),
        stream,
        encoder_params,
        config=config,
        num_steps=config.num_steps,
        paint=lambda variables: paint(variables, samples),
        measure=lambda variables: measure(variables, held_out, encoder_params),
        workdir=workdir,
        description={"config": dataclasses.asdict(config), "data": data},
        report_every=report_every,
        save_every=save_every,
        on_step=on_step,
    )
    return trained._replace(network=network, variables=without_teacher(trained.variables))
