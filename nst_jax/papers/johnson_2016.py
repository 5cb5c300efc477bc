"""Johnson, Alahi and Fei-Fei: Perceptual Losses for Real-Time Style Transfer (2016).

A network learns to paint in one style: it is trained on photographs to lower the loss of Gatys
et al., and then paints a picture in one pass.

| hyperparameter | paper | authors' code, instance norm | cpu (ours) |
|---|---|---|---|
| encoder | VGG-16, Caffe | VGG-16, Caffe | VGG-16, torchvision |
| first convolution | 32 maps | 16 maps | 16 maps |
| normalisation | batch | instance | instance |
| output | tanh scaled to the range | 150 tanh + mean | 150 tanh + mean |
| content layer | relu2_2 | relu3_3 | relu3_3 |
| style layers | relu1_2, 2_2, 3_3, 4_3 | the same | the same |
| content loss | mean ΔF² | mean ΔF² | mean ΔF² |
| style loss, D = ΔFᵀF | Σ (D / (N M))² | mean (D / (N M))² | mean (D / M)² |
| content weight | | 1 | 1 |
| style weight a layer | | 5 | 48, 6, 6, 6 |
| total variation, ½ Σ on 0 to 255 | 1e-6 to 1e-4 | 1e-6 | 5, mean on 0 to 1 |
| training pictures | 256 x 256, aspect lost | the same | random crops of 160 |
| style picture | 256 | 256, longer side | 384, longer side |
| batch, steps | 4, 40,000 | 4, 40,000 | 2, 8,000 |
| Adam's rate | 1e-3 | 1e-3 | 1e-3, cosine to 0 |

The weights that the paper does not give are the code's. `paper` and `authors` run on torchvision's
VGG-16, since Caffe's is not to be had; their weights are multiplied by the gain between the two
networks' inputs, squared for content and to the fourth power for style, which leaves the balance.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from nst_jax import losses, train
from nst_jax.array_types import Image, ImageOfAnySize, Params, check_picture
from nst_jax.encoders.preprocessing import CAFFE_GAIN
from nst_jax.encoders.vgg import VGG, Architecture, Pooling, channels_of
from nst_jax.losses import CONTRASTIVE_LAYERS, LayerWeights, init_projections
from nst_jax.networks.johnson import PADDING, JohnsonNetwork, Normalization, Output
from nst_jax.runs.config_checks import check
from nst_jax.train.perceptual_training import (
    PerceptualConfig,
    add_consistency,
    make_objective,
    set_encoder,
)
from nst_jax.train.perceptual_training import compute_style_grams as compute_style_grams

_PROJECTIONS = "contrastive"  # among the trained parameters, and left out in the end
_OF_CONTRAST = 0x6E656172  # sets its draws apart from what else a step draws

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # §4.1


def _published(weight: float, source: str) -> LayerWeights:
    """One weight on every layer in a codebase's convention, in units of our gram_loss."""
    return tuple(
        (layer, losses.convert_gram_weight(weight, source=source, channels=channels_of(layer)))
        for layer in STYLE_LAYERS
    )


_CODE_LAYERS = _published(1.0, "fast_neural_style")


@dataclass(frozen=True, kw_only=True)
class Config(PerceptualConfig):
    """What is trained, on what, and how; see PerceptualConfig for the loss.

    Attributes:
        normalization: Of the network's layers: batch, as in the paper, or instance.
        output: How the network's last maps become a picture: unit, a tanh scaled to [0, 1], or vgg,
            150 tanh plus the mean of VGG's training pictures.
        contrastive_weight: More makes clips more consistent, as temporal_weight does, by another
            loss: neighbours are to differ as they do in the photograph (CCPL of Wu et al. 2022).
    """

    LEAST_SIZE: ClassVar[int] = PADDING + 4  # there must be something to mirror

    # The network.
    width: int = 32  # supplement, table 1
    normalization: Normalization = "batch"  # supplement
    output: Output = "unit"  # §3.1: a scaled tanh
    # The loss.
    encoder: Architecture = "vgg16"  # §4.1
    weights: str | None = None  # the encoder's usual set; the paper's Caffe model is not to be had
    pooling: Pooling = "max"  # as VGG was trained
    style_size: int = 256  # §4.1, as the training pictures; train.lua: its longer side
    content_layers: LayerWeights = (("relu2_2", 1.0),)  # §4.1
    style_layers: LayerWeights = _CODE_LAYERS  # §4.1
    content_weight: float = CAFFE_GAIN**2  # train.lua: 1; the paper gives none
    style_weight: float = 5.0 * CAFFE_GAIN**4  # train.lua: 5; the paper gives none
    tv_weight: float = 1e-6 * 255**2  # §4.1: 1e-6 to 1e-4, on pixels of 0 to 255
    tv_loss: Literal["mean", "half_sum"] = "half_sum"  # losses.TOTAL_VARIATION_LOSSES
    contrastive_weight: float = 0.0  # Wu et al. 2022: 5, beside a content weight of 1
    # The pictures.
    size: int = 256  # §4.1
    shorter_side: tuple[int, int] | None = None  # scaled to between these; None loses the aspect
    flip: bool = False  # make_style_dataset.py: none
    batch_size: int = 4  # §4.1
    # The optimiser.
    num_steps: int = 40_000  # §4.1
    learning_rate: float = 1e-3  # §4.1
    schedule: train.Schedule = "constant"  # §4.1
    halve_every: int | None = None  # train.lua: an option of the schedule "halving"
    clip_norm: float | None = None  # train.lua: none
    average_decay: float | None = None  # train.lua: none

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_weights("contrastive_weight")
        layers = (*self.content_layers, *self.style_layers)
        check(bool(layers), "style_layers", "at least one layer of content or style", "none")


_CPU = Config(
    width=16,  # the released instance-normalised models
    normalization="instance",
    output="vgg",
    content_layers=(("relu3_3", 1.0),),
    # Alike, but for the first, which carries colour and has the smallest entries.
    style_layers=(("relu1_2", 8.0), ("relu2_2", 1.0), ("relu3_3", 1.0), ("relu4_3", 1.0)),
    content_weight=1.0,
    style_weight=6.0,
    tv_weight=5.0,
    tv_loss="mean",
    style_size=384,
    size=160,
    shorter_side=(192, 384),
    flip=True,
    batch_size=2,
    num_steps=8_000,
    learning_rate=1e-3,
    schedule="cosine",
    average_decay=0.999,
    precision="bfloat16",
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(),
    "authors": Config(
        width=16,  # README: the released instance-normalised models have half the filters
        normalization="instance",  # train.lua: -use_instance_norm 1
        output="vgg",  # train.lua: -tanh_constant 150
        content_layers=(("relu3_3", 1.0),),  # train.lua: -content_layers 16
        style_size=384,  # doc/training.md's example
    ),
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=4,
        size=48,
        shorter_side=(48, 64),
        style_size=48,
        num_steps=4,
        content_layers=(("relu2_2", 1.0),),
        style_layers=(("relu1_2", 1.0), ("relu2_2", 1.0)),
        average_decay=None,
        precision="float32",
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def make_network(config: Config) -> JohnsonNetwork:
    """Return the network that a configuration trains."""
    return JohnsonNetwork(
        width=config.width, normalization=config.normalization, output=config.output
    )


def make_loss_fn(config: Config, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, grams, encoder_params), for make_trainer.

    Args:
        config: Its network and loss count.
        encoder: From load_encoder.
    """
    network, objective = make_network(config), make_objective(config, encoder)
    judge = set_encoder(encoder, config)

    def compare(key, projections, encoder_params, photographs, stylized):
        painted, own = (
            judge.apply(encoder_params, images, layers=CONTRASTIVE_LAYERS)
            for images in (stylized, photographs)
        )
        return losses.contrastive_loss(
            jax.random.fold_in(key, _OF_CONTRAST), painted, own, projections
        )

    def loss_fn(key, params, model_state, batch, grams, encoder_params):
        variables = {"params": params, **model_state}

        def paint(images):
            return network.apply(variables, images, train=True, mutable=["batch_stats"])

        stylized, moved = paint(batch)
        found = objective(stylized, batch, grams, encoder_params)
        total, terms = add_consistency(
            key, config, found, batch, stylized, lambda images: paint(images)[0]
        )
        if config.contrastive_weight:
            given = (params[_PROJECTIONS], encoder_params, batch, stylized)
            contrast = config.contrastive_weight * compare(key, *given)
            total, terms = total + contrast, {**terms, "contrast": contrast}
        return total, (terms, dict(moved))

    return loss_fn


def fit(
    style: ImageOfAnySize,
    stream: train.Stream,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Image,
    samples: ImageOfAnySize,
    reporting: train.Reporting,
    start: Params | None = None,
) -> train.Trained:
    """Train a network to paint in one style, going on from what workdir holds.

    Args:
        style: One painting, resized to config.style_size.
        stream: Training pictures, from train.open_stream.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        held_out: Pictures whose losses are logged, of one size.
        samples: Pictures of which stylised sheets are written, of one size.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of such a network of another style to begin with, which has learnt
            already what all styles share; None begins with random ones.

    Returns:
        The network, its variables (the moving average where there is one), the number of steps
        done and the held-out losses. After an interruption the former is under config.num_steps,
        and the latter are not measured.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Johnson et al. 2016, §4.1.
    """
    held_out = check_picture("held_out", held_out, several=True)
    samples = check_picture("samples", samples, several=True)
    network = make_network(config)
    grams = compute_style_grams(config, style, encoder, encoder_params)
    init_key, run_key = jax.random.split(jax.random.key(config.seed))
    if start is None:
        shape = (1, config.size, config.size, 3)
        start = jax.jit(network.init)(init_key, jnp.zeros(shape, jnp.float32))
    assert start is not None
    if config.contrastive_weight:
        projections = init_projections(jax.random.fold_in(init_key, _OF_CONTRAST))
        start = {**start, "params": {**start["params"], _PROJECTIONS: projections}}
    paint, objective = jax.jit(network.apply), jax.jit(make_objective(config, encoder))
    subject = train.Subject(
        network,
        start,
        paint=lambda variables: paint(variables, samples),
        measure=lambda variables: objective(
            paint(variables, held_out), held_out, grams, encoder_params
        ),
    )
    num_steps = reporting.length(config.num_steps)
    trained = train.fit_network(
        run_key,
        train.make_network_trainer(make_loss_fn(config, encoder), config, num_steps=num_steps),
        subject,
        stream,
        grams,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )
    own = {name: x for name, x in trained.variables["params"].items() if name != _PROJECTIONS}
    return trained._replace(variables={**trained.variables, "params": own})


def _fit_one(paintings, *args, **options) -> train.Trained:
    (painting,) = paintings
    return fit(painting, *args, **options)


TRAINING = train.TrainingPaper(
    name="johnson2016",
    title="Train a network to paint in one style (Johnson et al. 2016).",
    presets=PRESETS,
    styles="one",
    make_network=lambda config, num_styles, encoder: make_network(config),
    fit=_fit_one,
)
"""How these networks are trained."""
