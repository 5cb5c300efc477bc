"""Ruder, Dosovitskiy and Brox: Artistic Style Transfer for Videos and Spherical Images (2018).

A network paints a frame of a clip in one style, and sees what it painted of the last frame, warped
to this one. It learns from photographs alone here: a second frame is made of each, with a motion
that is known. The authors train on films besides, and say that photographs are "maybe sufficient".

| hyperparameter | authors' code | cpu (ours) |
|---|---|---|
| network | Johnson et al. 2016, 7 channels in, nearest upsampling | the same, half as wide |
| content layer | relu3_3, 1 | relu3_3 |
| style layers | relu1_2, 2_2, 3_3, 4_3; 10 each | 48, 6, 6, 6 |
| consistency | mean square on pixels of 0 to 255: 50, or 100 where half are single pictures | 500 |
| data | films : shifts : zooms : single pictures = 3 : 1 : 1 : 5 | half pairs, half single |
| motions | by −16 to 15 pixels a batch; zooms out | see train.synthetic_motion.draw_flows |
| the last picture in training | the network's own | the network's own, of the frame alone |
| frames in a row | 1, later 2 and 4 | 1 |
| pictures | 256, 4 a step | 160, 2 a step |
| steps | 60,000 to 90,000, learning rate 1e-3 | 8,000 |
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax import losses, train
from nst_jax.array_types import Image, ImageOfAnySize, Params, PRNGKey, check_picture
from nst_jax.encoders.preprocessing import CAFFE_GAIN
from nst_jax.encoders.vgg import VGG, Architecture, Pooling, channels_of
from nst_jax.losses import LayerWeights, temporal_loss
from nst_jax.networks.johnson import PADDING
from nst_jax.networks.ruder import RuderNetwork
from nst_jax.ops.warp import lands_inside, warp
from nst_jax.runs.config_checks import check
from nst_jax.train.perceptual_training import PerceptualConfig, make_objective
from nst_jax.train.perceptual_training import compute_style_grams as compute_style_grams
from nst_jax.train.synthetic_motion import draw_flows

_STYLE_LAYERS: LayerWeights = tuple(
    (
        layer,
        losses.convert_gram_weight(1.0, source="fast_neural_style", channels=channels_of(layer)),
    )
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
)


@dataclass(frozen=True, kw_only=True)
class Config(PerceptualConfig):
    """A training of one network; the defaults are the authors', but for their films.

    total = the perceptual loss of Johnson et al. 2016 + temporal_weight · temporal_loss.

    Attributes:
        temporal_weight: More keeps a picture closer to the last one: of the mean square of their
            difference, where the last one is to be had.
        single_share: How many pictures of a step have no last one, from 0 to less than 1. Where
            more have none, the others count for less.
    """

    LEAST_SIZE: ClassVar[int] = PADDING + 4  # there must be something to mirror

    # The network.
    width: int = 32  # models_video.lua
    # The loss.
    encoder: Architecture = "vgg16"  # train_video.lua
    weights: str | None = None  # the encoder's usual set; Caffe's is not to be had
    pooling: Pooling = "max"
    style_size: int = 384  # -style_image_size
    content_layers: LayerWeights = (("relu3_3", 1.0),)  # -content_layers 16
    style_layers: LayerWeights = _STYLE_LAYERS  # -style_layers 4,9,16,23
    content_weight: float = CAFFE_GAIN**2  # -content_weights 1
    style_weight: float = 10.0 * CAFFE_GAIN**4  # -style_weights 10
    tv_weight: float = 1e-6 * 255**2  # -tv_strength
    tv_loss: Literal["mean", "half_sum"] = "half_sum"  # losses.TOTAL_VARIATION_LOSSES
    temporal_weight: float = 100.0 * 255**2  # -pixel_loss_weight, with single pictures
    single_share: float = 0.5  # -data_mix: 5 of 10
    # The pictures.
    size: int = 256
    shorter_side: tuple[int, int] | None = None
    flip: bool = False
    batch_size: int = 4
    # The optimiser.
    num_steps: int = 60_000
    learning_rate: float = 1e-3
    schedule: train.Schedule = "constant"
    halve_every: int | None = None
    clip_norm: float | None = None
    average_decay: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        layers = (*self.content_layers, *self.style_layers)
        check(bool(layers), "style_layers", "at least one layer of content or style", "none")
        share = self.single_share
        check(0 <= share < 1, "single_share", "0 to less than 1", share)


_CPU = Config(
    width=16,
    # Alike, but for the first, which carries colour and has the smallest entries.
    style_layers=(("relu1_2", 8.0), ("relu2_2", 1.0), ("relu3_3", 1.0), ("relu4_3", 1.0)),
    content_weight=1.0,
    style_weight=6.0,
    tv_weight=5.0,
    tv_loss="mean",
    temporal_weight=500.0,
    size=160,
    shorter_side=(192, 384),
    flip=True,
    batch_size=2,
    num_steps=8_000,
    schedule="cosine",
    average_decay=0.999,
    precision="bfloat16",
)

PRESETS: Mapping[str, Config] = {
    "authors": Config(),
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


class Followed(NamedTuple):
    """Second frames of photographs, and how they follow the first.

    Attributes:
        images: The frames, RGB in [0, 1].
        flow: From them to the photographs, in pixels.
        mask: 1 where what is painted of the photograph is to be had.
    """

    images: Image
    flow: Float[Array, "batch height width 2"]
    mask: Float[Array, "batch height width"]


def make_network(config: Config) -> RuderNetwork:
    """Return the network that a configuration trains."""
    return RuderNetwork(width=config.width)


def follow(key: PRNGKey, photographs: Image, *, single_share: float) -> Followed:
    """Return second frames of photographs: moved, and for some without a first one.

    Args:
        key: Another one gives other motions.
        photographs: RGB in [0, 1].
        single_share: How probable it is that a picture has none, whose mask is 0 throughout.

    Reference: Ruder et al. 2018's DataLoader_video_fake.lua. Differs: motions are those of
        draw_flows, each picture has its own, and which have none is drawn for each.
    """
    motion, single = jax.random.split(key)
    count, height, width, _ = photographs.shape
    flow = draw_flows(motion, count, height=height, width=width)
    has_first = jax.random.uniform(single, (count, 1, 1), jnp.float32) >= single_share
    mask = (lands_inside(flow) & has_first).astype(jnp.float32)
    return Followed(warp(photographs, flow, sampling="nearest"), flow, mask)


def make_loss_fn(config: Config, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, grams, encoder_params), for make_trainer.

    L = L_perceptual(y) + temporal_weight · (1 / D) Σ_k m_k (y_k − w_k)², where y = g(x₂, w, m) is
    painted of a photograph's second frame x₂, and w = W(g(x)) is what is painted of the photograph
    alone, warped. No gradient flows through w.

    Args:
        config: Its network and loss count.
        encoder: From load_encoder.
    """
    network, objective = make_network(config), make_objective(config, encoder)

    def loss_fn(key, params, model_state, batch, grams, encoder_params):
        variables = {"params": params}
        second = follow(key, batch, single_share=config.single_share)
        first = lax.stop_gradient(network.apply(variables, batch)).clip(0, 1)
        warped, mask = warp(first, second.flow), second.mask[..., None]
        given = jnp.concatenate([second.images, warped, mask], -1)
        painted = network.apply(variables, given)
        total, terms = objective(painted, second.images, grams, encoder_params)
        temporal = config.temporal_weight * temporal_loss(painted, warped, second.mask)
        return total + temporal, ({**terms, "temporal": temporal}, model_state)

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
    """Train a network to paint clips in one style, going on from what workdir holds.

    Args:
        style: One painting, resized to config.style_size.
        stream: Photographs, from train.open_stream.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        held_out: Photographs whose losses are logged, of one size: those of a step, with motions
            that are always the same.
        samples: Pictures of which sheets are painted, each as a clip's first frame.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of such a network to begin with; None begins with random ones.

    Returns:
        As johnson_2016.fit.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Ruder et al. 2018, §5.
    """
    held_out = check_picture("held_out", held_out, several=True)
    samples = check_picture("samples", samples, several=True)
    network, loss_fn = make_network(config), make_loss_fn(config, encoder)
    grams = compute_style_grams(config, style, encoder, encoder_params)
    init_key, run_key, held_key = jax.random.split(jax.random.key(config.seed), 3)
    if start is None:
        shape = (1, config.size, config.size, 3)
        start = jax.jit(network.init)(init_key, jnp.zeros(shape, jnp.float32))
    paint, measure = jax.jit(network.apply), jax.jit(loss_fn)

    def measured(variables: Params):
        given = (held_key, variables["params"], {}, held_out, grams, encoder_params)
        total, (terms, _) = measure(*given)
        return total, terms

    subject = train.Subject(
        network, start, paint=lambda variables: paint(variables, samples), measure=measured
    )
    num_steps = reporting.length(config.num_steps)
    return train.fit_network(
        run_key,
        train.make_network_trainer(loss_fn, config, num_steps=num_steps),
        subject,
        stream,
        grams,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


def _fit_one(paintings, *args, **options) -> train.Trained:
    (painting,) = paintings
    return fit(painting, *args, **options)


TRAINING = train.TrainingPaper(
    name="ruder2018",
    title="Train a network of one style that sees its last picture, for clips (Ruder et al. 2018).",
    presets=PRESETS,
    styles="one",
    make_network=lambda config, num_styles, encoder: make_network(config),
    fit=_fit_one,
)
"""How these networks are trained."""
