"""Dumoulin, Shlens and Kudlur: A Learned Representation for Artistic Style (2017).

One network paints in many styles: they share all convolutions, and each has a scale and a bias a
channel of its own after every convolution. Styles mix by mixing these, and a new style is learnt
by training its scales and biases alone.

| hyperparameter | paper | authors' code | cpu (ours) |
|---|---|---|---|
| encoder | VGG-16 | VGG-16, TF-slim, average pooling | VGG-16, torchvision |
| first convolution | 32 maps | 32 maps | 16 maps |
| content layer | | relu3_3 | relu3_3 |
| style layers | | relu1_2, 2_2, 3_3, 4_3 | the same |
| content loss | Σ ΔF² / U | mean ΔF² | mean ΔF² |
| style loss, D = ΔFᵀF | Σ D² / U | mean (D / M)² | mean (D / M)² |
| content weight | | 1 | 1 |
| style weight a layer | | 1e-4 | 48, 6, 6, 6 |
| total variation | none | none | 5, mean |
| training pictures | 256 x 256 | 256 x 256 | random crops of 128 |
| style picture | | | 384, longer side |
| batch, steps | 16, 40,000 | 16, 40,000 | 2, 8,000 |
| Adam's rate | 1e-3 | 1e-3 | 1e-3, cosine to 0 |
| steps of a new style | 5,000 | | 1,000 |

U is the number of units of a layer. Where the paper's column is empty, `paper` has the code's
value; the size of the style pictures, which neither gives, is that of the training pictures. Both
presets run on torchvision's VGG-16 instead of one on pixels of 0 to 255: their weights are
multiplied by the gain between the two networks' inputs, squared for content and to the fourth
power for style, which leaves the balance.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nst_jax import train
from nst_jax.array_types import Image, ImageOfAnySize, Params, check_picture
from nst_jax.encoders.preprocessing import CAFFE_GAIN
from nst_jax.encoders.vgg import VGG, Architecture, Pooling
from nst_jax.losses import LayerWeights
from nst_jax.networks import dumoulin
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.runs.config_checks import check
from nst_jax.train import perceptual_training
from nst_jax.train.perceptual_training import PerceptualConfig, add_consistency, make_objective

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # vgg_16/conv1 … conv4


@dataclass(frozen=True, kw_only=True)
class Config(PerceptualConfig):
    """What is trained, on what, and how; see PerceptualConfig for the loss.

    Attributes:
        add_style_steps: Steps of a style that is added to a trained network.
    """

    # The network.
    width: int = 32  # appendix, table 1
    # The loss.
    encoder: Architecture = "vgg16"  # appendix; image_stylization/learning.py
    weights: str | None = None  # the encoder's usual set; TF-slim's is not to be had
    pooling: Pooling = "max"  # as VGG was trained
    style_size: int = 256  # ours: unpublished
    content_layers: LayerWeights = (("relu3_3", 1.0),)  # image_stylization_train.py: conv3
    style_layers: LayerWeights = tuple((layer, 1.0) for layer in STYLE_LAYERS)
    content_weight: float = CAFFE_GAIN**2  # image_stylization_train.py: 1.0
    style_weight: float = 1e-4 * CAFFE_GAIN**4  # image_stylization_train.py: 1e-4 a layer
    # The pictures.
    size: int = 256  # appendix
    shorter_side: tuple[int, int] | None = (256, 256)  # ours: square pictures from ImageNet's
    batch_size: int = 16  # appendix
    # The optimiser.
    num_steps: int = 40_000  # appendix
    add_style_steps: int = 5_000  # fig. 6: as good as 40,000 steps of a network for it alone
    learning_rate: float = 1e-3  # appendix
    schedule: train.Schedule = "constant"  # appendix

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        self.check_least({"add_style_steps": 1})
        check(bool(self.style_layers), "style_layers", "at least one layer", "none")


_CPU = Config(
    width=16,  # image_stylization/model.py: alpha 0.5
    # Alike, but for the first, which carries colour and has the smallest entries.
    style_layers=(("relu1_2", 8.0), ("relu2_2", 1.0), ("relu3_3", 1.0), ("relu4_3", 1.0)),
    content_weight=1.0,
    style_weight=6.0,
    tv_weight=5.0,
    style_size=384,
    size=128,
    shorter_side=(160, 320),
    flip=True,
    batch_size=2,
    num_steps=8_000,
    add_style_steps=1_000,
    schedule="cosine",
    average_decay=0.999,
    precision="bfloat16",
)

PRESETS: Mapping[str, Config] = {
    "paper": Config(),
    "authors": Config(pooling="average"),  # image_stylization/vgg.py
    "cpu": _CPU,
    "smoke": dataclasses.replace(
        _CPU,
        width=4,
        size=32,
        shorter_side=(32, 48),
        style_size=32,
        num_steps=4,
        add_style_steps=4,
        content_layers=(("relu2_2", 1.0),),
        style_layers=(("relu1_2", 1.0), ("relu2_2", 1.0)),
        average_decay=None,
        precision="float32",
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def compute_style_grams(
    config: Config, styles: Sequence[ImageOfAnySize], encoder: VGG, encoder_params: Params
) -> Mapping[str, Any]:
    """Return what the style loss keeps of the styles at config.style_size, by layer.

    By default that is Gram matrices, (number of styles, N, N).

    Args:
        config: Its style_size and loss count.
        styles: One painting a style.
        encoder: From load_encoder.
        encoder_params: Its parameters.

    Raises:
        ValueError: There are no styles, or the style loss keeps more of one than of another.
    """
    if not styles:
        raise ValueError("styles: wanted at least one painting, got none")
    found = [
        perceptual_training.compute_style_grams(config, style, encoder, encoder_params)
        for style in styles
    ]
    if len({str(jax.tree.map(jnp.shape, kept)) for kept in found}) > 1:
        raise ValueError(
            f"style_loss: {config.style_loss} keeps something of each position; give paintings of "
            "the same proportions or take another"
        )
    return jax.tree.map(lambda *kept: jnp.concatenate(kept), *found)


def make_loss_fn(
    config: Config, network: DumoulinNetwork, encoder: VGG, *, first_style: int = 0
) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, grams, encoder_params), for make_trainer.

    Every picture of a batch gets a style of its own, each equally likely.

    Args:
        config: Its loss counts.
        network: What is trained.
        encoder: From load_encoder.
        first_style: Styles before this one are not drawn.
    """
    objective = make_objective(config, encoder)

    def loss_fn(key, params, model_state, batch, grams, encoder_params):
        drawn = jax.random.randint(key, (len(batch),), first_style, network.num_styles)
        weights = one_hot(drawn, network.num_styles)

        def paint(images):
            return network.apply({"params": params}, images, weights)

        stylized = paint(batch)
        targets = jax.tree.map(lambda kept: kept[drawn], grams)
        found = objective(stylized, batch, targets, encoder_params)
        total, terms = add_consistency(key, config, found, batch, stylized, paint)
        return total, (terms, model_state)

    return loss_fn


def one_hot(styles: Int[Array, " batch"], num_styles: int) -> Float[Array, "batch {num_styles}"]:
    """Return the style weights that give each picture of a batch the style of that number."""
    return jax.nn.one_hot(styles, num_styles, dtype=jnp.float32)


def fit(
    styles: Sequence[ImageOfAnySize],
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
    """Train a network to paint in several styles, going on from what workdir holds.

    Args:
        styles: The paintings, each resized to config.style_size.
        stream: Training pictures, from train.open_stream.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        held_out: Pictures whose losses are logged, of one size; each in one style, in turn.
        samples: Pictures of which stylised sheets are written, of one size; each in all styles.
        reporting: The run's folder, how often it reports, and what identifies its data and start.
        start: The variables of a network of as many styles to begin with; None begins with random
            ones.

    Returns:
        The network, its variables (the moving average where there is one), the number of steps
        done (under config.num_steps after an interruption), and the held-out losses, none then.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Dumoulin et al. 2017, §2.2 and appendix.
    """
    network = DumoulinNetwork(num_styles=len(styles), width=config.width)
    init_key, run_key = jax.random.split(jax.random.key(config.seed))
    if start is None:
        images = jnp.zeros((1, config.size, config.size, 3), jnp.float32)
        weights = jnp.zeros((1, len(styles)), jnp.float32)
        start = jax.jit(network.init)(init_key, images, weights)
    return _fit(
        run_key,
        network,
        start,
        stream,
        compute_style_grams(config, styles, encoder, encoder_params),
        config,
        encoder,
        encoder_params,
        held_out=held_out,
        samples=samples,
        num_steps=config.num_steps,
        reporting=reporting,
    )


def add_style(
    style: ImageOfAnySize,
    network: DumoulinNetwork,
    variables: Params,
    stream: train.Stream,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    held_out: Image,
    samples: ImageOfAnySize,
    reporting: train.Reporting,
) -> train.Trained:
    """Teach a trained network one more style by training nothing but that style's own arrays.

    Args:
        style: The new painting.
        network: The trained network.
        variables: Its variables.
        stream: Training pictures, from train.open_stream.
        config: Its loss, pictures and optimiser count; add_style_steps is the number of steps.
        encoder: From load_encoder.
        encoder_params: Its parameters.
        held_out: As for fit, all in the new style.
        samples: As for fit, in the new style alone.
        reporting: As for fit; the folder is not that of the network's own training.

    Returns:
        A network of one style more, the last one, and its variables; the other styles' are as
        they were.

    Raises:
        ValueError, OSError, TrainingDivergedError: As train.fit.

    Reference: Dumoulin et al. 2017, fig. 6.
    """
    first = network.num_styles
    network = dataclasses.replace(network, num_styles=first + 1)
    _, run_key = jax.random.split(jax.random.key(config.seed))
    found = compute_style_grams(config, [style], encoder, encoder_params)
    return _fit(
        run_key,
        network,
        {"params": dumoulin.add_style(variables["params"])},
        stream,
        # The other styles are not drawn: what stands in their places does not matter.
        jax.tree.map(lambda kept: jnp.repeat(kept, first + 1, axis=0), found),
        config,
        encoder,
        encoder_params,
        first_style=first,
        trainable=dumoulin.is_style_table,
        held_out=held_out,
        samples=samples,
        num_steps=config.add_style_steps,
        reporting=reporting,
    )


def _fit(
    key,
    network,
    start,
    stream,
    grams,
    config,
    encoder,
    encoder_params,
    *,
    first_style=0,
    trainable=None,
    held_out,
    samples,
    num_steps,
    reporting,
) -> train.Trained:
    """Train the styles from first_style on; sheets show the samples in each of them."""
    held_out = check_picture("held_out", held_out, several=True)
    samples = check_picture("samples", samples, several=True)
    drawn = jnp.arange(first_style, network.num_styles)
    held_out_styles = jnp.resize(drawn, (len(held_out),))
    targets = jax.tree.map(lambda kept: kept[held_out_styles], grams)
    held_out_weights = one_hot(held_out_styles, network.num_styles)
    repeated = jnp.repeat(samples, len(drawn), axis=0)
    sample_weights = one_hot(jnp.tile(drawn, len(samples)), network.num_styles)
    paint, objective = jax.jit(network.apply), jax.jit(make_objective(config, encoder))
    subject = train.Subject(
        network,
        start,
        paint=lambda variables: paint(variables, repeated, sample_weights),
        measure=lambda variables: objective(
            paint(variables, held_out, held_out_weights), held_out, targets, encoder_params
        ),
    )
    loss_fn = make_loss_fn(config, network, encoder, first_style=first_style)
    num_steps = reporting.length(num_steps)
    return train.fit_network(
        key,
        train.make_network_trainer(loss_fn, config, num_steps=num_steps, trainable=trainable),
        subject,
        stream,
        grams,
        encoder_params,
        config=config,
        num_steps=num_steps,
        reporting=reporting,
    )


TRAINING = train.TrainingPaper(
    name="dumoulin2017",
    title=(
        "Train a network to paint in several styles, or teach it one more (Dumoulin et al. 2017)."
    ),
    presets=PRESETS,
    styles="several",
    make_network=lambda config, num_styles, encoder: DumoulinNetwork(
        num_styles=num_styles, width=config.width
    ),
    fit=fit,
    add_style=add_style,
)
"""How these networks are trained."""
