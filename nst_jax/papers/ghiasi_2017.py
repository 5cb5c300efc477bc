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
| loss network | VGG-16 | VGG-16, average pooling | the same | VGG-16, torchvision |
| content layer | | relu3_3 | the same | relu3_3, relu4_2 |
| style layers | | relu1_2, 2_2, 3_3, 4_3 | the same | relu1_1, 2_1, 3_1, 4_1, 5_1 |
| content loss | Σ ΔF² / U | mean ΔF² | the same | Σ ΔF² / Σ F² |
| style loss, D = ΔG | Σ D² / U | mean D² | the same | log(1 + Σ D² / Σ G²) |
| content weight | | 1 | 1 | 1 |
| style weight a layer | | 5e-4 | 5e-4 | 11 × (0.5, 0.4, 0.25, 0.3, 0.15) |
| color weight | none | none | none | 4.4 |
| total variation, mean ΔI² | none | 5e3 | 5e3 | 2 |
| photographs | ImageNet, 256 x 256 | the same | the same | random crops of 128 |
| paintings | random crops | 256 x 256 | the same | crops of 256 from 256 to 384 |
| batch, steps | 8, 4,000,000 | 8, 8,000,000 | 8, 8,000,000 | 4, 20,000 |
| Adam's rate | 1e-5 | 1e-5 | 1e-5 | 1e-3, cosine to 0 |

Where the paper's column is empty, `paper` has the code's value. Inception-v3 and MobileNet-v2 are
not at hand: in every preset the predictor reads the means and deviations of VGG-16's relu1_1,
relu2_1 and relu3_1, and only the layers after them are trained. The content and style weights of
`paper`, `authors` and `mobile` are multiplied by the gain between the inputs of VGG-16 on pixels of
0 to 255 and of torchvision's: squared for content, to the fourth power for style.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, train
from nst_jax.array_types import Features, Image, Params, Scalar
from nst_jax.encoders.preprocessing import CAFFE_GAIN, TORCHVISION
from nst_jax.encoders.vgg import VGG, Pooling
from nst_jax.losses import LayerWeights
from nst_jax.networks.ghiasi import GhiasiNetwork, is_trained
from nst_jax.networks.style_predictors import (
    EMBEDDING_SIZE,
    STATISTICS_LAYERS,
    compute_statistics,
    measure_standard,
)
from nst_jax.ops.gram import gram_matrix
from nst_jax.runs.config_checks import check
from nst_jax.train import Pair
from nst_jax.train.perceptual_training import PerceptualConfig, add_consistency, set_encoder

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # vgg_16/conv1 … conv4
_DISTANCES = {
    "mean": (losses.content_loss, losses.gram_loss),
    "relative": (losses.relative_content_loss, losses.log_relative_gram_loss),
}
_STANDARD_PAINTINGS = 64  # whose statistics standardise the predictor's input


@dataclass(frozen=True, kw_only=True)
class Config(PerceptualConfig):
    """What is trained, on what, and how.

    total = content_weight · Σ_l c_l · content_l + style_weight · Σ_l s_l · style_l
    + color_weight · (the colours' distance) + tv_weight · (the total variation), with c and s the
    layers' own weights, and content_l and style_l as distances names them.

    Attributes:
        distances: mean compares by content_loss and gram_loss; relative by relative_content_loss
            and log_relative_gram_loss, for which all paintings count alike.
        color_weight: How much the palette's distance counts (log_relative_color_loss).
        style_size: Side in pixels of the squares that are cut out of paintings.
        style_shorter_side: The least and the most pixels that a painting's shorter side is scaled
            to before.
    """

    # The network.
    width: int = 32  # appendix; model.py
    # The loss.
    pooling: Pooling = "average"  # image_stylization/vgg.py
    distances: Literal["mean", "relative"] = "mean"  # arbitrary_image_stylization_losses.py
    content_layers: LayerWeights = (("relu3_3", 1.0),)  # arbitrary_image_stylization_train.py
    style_layers: LayerWeights = tuple((layer, 1.0) for layer in STYLE_LAYERS)  # the same
    content_weight: float = CAFFE_GAIN**2  # arbitrary_image_stylization_train.py: 1.0
    style_weight: float = 0.5e-3 * CAFFE_GAIN**4  # the same: 0.5e-3 a layer
    color_weight: float = 0.0
    # The pictures.
    size: int = 256  # arbitrary_image_stylization_train.py
    shorter_side: tuple[int, int] | None = (256, 256)  # ours: square pictures from ImageNet's
    style_size: int = 256  # arbitrary_image_stylization_train.py
    style_shorter_side: tuple[int, int] = (256, 512)  # ours: crops of random sizes, unpublished
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
        self.check_weights("color_weight")
        check(self.encoder == "vgg16", "encoder", "vgg16, which the predictor reads", self.encoder)
        check(bool(self.style_layers), "style_layers", "at least one layer", "none")
        wanted = "gram, which distances compares in one of two ways"
        check(self.style_loss == "gram", "style_loss", wanted, self.style_loss)
        low, high = sides = self.style_shorter_side
        wanted = f"a range from style_size, {self.style_size}, on"
        check(self.style_size <= low <= high, "style_shorter_side", wanted, sides)

    def vary(self, changes: Mapping[str, Any]) -> "Config":
        """Return CroppedConfig.vary's, where style_shorter_side grows with style_size.

        Args:
            changes: Values by the names of fields.
        """
        changes = dict(changes)
        if "style_size" in changes:
            factor = changes["style_size"] / self.style_size
            scaled = tuple(round(side * factor) for side in self.style_shorter_side)
            changes.setdefault("style_shorter_side", scaled)
        return super().vary(changes)


_AUTHORS = Config(
    tv_weight=0.5 * 1e4,  # arbitrary_image_stylization_train.py; its code halves the squares
    num_steps=8_000_000,  # arbitrary_image_stylization_train.py
)
_CPU = Config(
    width=16,  # ours: half, so that a CPU paints a picture of 512 pixels in a tenth of a second
    pooling="max",
    distances="relative",
    content_layers=(("relu3_3", 0.5), ("relu4_2", 0.5)),
    style_layers=tuple(
        (f"relu{block}_1", share) for block, share in enumerate((0.5, 0.4, 0.25, 0.3, 0.15), 1)
    ),
    content_weight=1.0,
    style_weight=11.0,
    color_weight=4.4,
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


def make_objective(
    config: Config, encoder: VGG
) -> Callable[[Image, Pair, Features, Params], tuple[Scalar, dict[str, Scalar]]]:
    """Return objective(stylized, pair, painting_features, encoder_params) -> (total, terms).

    terms holds 'content', 'style', 'tv' and, if wanted, 'color', weighted: total is their sum.

    Args:
        config: Its loss counts.
        encoder: As set_encoder answers it.
    """
    content_distance, style_distance = _DISTANCES[config.distances]
    content_layers, style_layers = (
        tuple(dict(pairs)) for pairs in (config.content_layers, config.style_layers)
    )
    both = tuple(dict.fromkeys((*content_layers, *style_layers)))

    def objective(stylized, pair, painting_features, encoder_params):
        contents = jnp.asarray(pair.content)
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
            "tv": config.tv_weight * losses.TOTAL_VARIATION_LOSSES[config.tv_loss](stylized),
        }
        if config.color_weight:
            color = losses.log_relative_color_loss(stylized, jnp.asarray(pair.style))
            terms["color"] = config.color_weight * color
        return sum(terms.values(), jnp.zeros((), jnp.float32)), terms

    return objective


def make_loss_fn(config: Config, network: GhiasiNetwork, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, encoder_params), for make_trainer.

    Args:
        config: Its loss counts.
        network: What is trained.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
    """
    encoder = set_encoder(encoder, config)
    objective = make_objective(config, encoder)

    def loss_fn(key, params, model_state, batch: Pair, encoder_params):
        content, style = map(jnp.asarray, batch)
        after = encoder.apply(encoder_params, style, layers=_layers(config))
        variables, statistics = {"params": params, **model_state}, compute_statistics(after)
        options = {"mutable": ["batch_stats"], "method": "paint_in_training"}
        stylized, moved = network.apply(variables, content, statistics, **options)
        found = objective(stylized, Pair(content, style), after, encoder_params)
        total, terms = add_consistency(
            *(key, config, found, content, stylized),
            lambda images: network.apply(variables, images, statistics, **options)[0],
        )
        return total, (terms, moved)

    return loss_fn


def _layers(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*STATISTICS_LAYERS, *dict(config.style_layers))))


def make_network(config: Config) -> GhiasiNetwork:
    """Return the network of a configuration."""
    return GhiasiNetwork(width=config.width, pooling=config.pooling)


def init(
    config: Config, standard: Mapping[str, Float[Array, " statistics"]], encoder_params: Params
) -> Params:
    """Return a network's first variables, with the predictor's encoder in place.

    Args:
        config: Its network and seed count.
        standard: From measure_standard.
        encoder_params: VGG-16's on torchvision's pixels.
    """
    key = jax.random.split(jax.random.key(config.seed))[0]
    inputs = (jnp.zeros(shape, jnp.float32) for shape in ((1, 32, 32, 3), (1, EMBEDDING_SIZE)))
    variables = jax.jit(make_network(config).init)(key, *inputs)
    params, stats = variables["params"], variables["batch_stats"]
    kept = {name: encoder_params["params"][name] for name in params["predictor"]["encoder"]}
    predictor = {**params["predictor"], "encoder": kept}
    return {
        "params": {**params, "predictor": predictor},
        "batch_stats": {**stats, "predictor": {"head": dict(standard)}},
    }


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
        after = encoder.apply(encoder_params, jnp.asarray(held_out.style), layers=_layers(config))
        return objective(paint(variables, held_out), held_out, after, encoder_params)

    styles = jnp.tile(samples.style, (len(samples.content), 1, 1, 1))
    sheet = Pair(jnp.repeat(samples.content, len(samples.style), axis=0), styles)
    loss_fn = make_loss_fn(config, network, encoder)
    num_steps = reporting.length(config.num_steps)
    trainer = train.make_network_trainer(loss_fn, config, num_steps=num_steps, trainable=is_trained)
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
