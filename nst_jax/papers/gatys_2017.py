"""Gatys, Ecker, Bethge, Hertzmann and Shechtman: Controlling Perceptual Factors (CVPR 2017).

Here is the control of scale: a new style image that has one painting's forms and another's fine
texture. Control of colour is config.color of gatys_2016, by nst_jax.ops.color. High resolution is
its preset gatys_2017_high_resolution.

| mixing of scales, §6.1 | paper | authors' code | ours: cpu |
|---|---|---|---|
| encoder | VGG-19 | VGG-19, Caffe | VGG-16, torchvision |
| initial picture | | the coarse style | the coarse style |
| layers at 512 pixels | | relu1_1, relu2_1 | relu1_1, relu2_1 |
| layers at 1024 pixels | | relu1_1 … relu4_1 | |
| weights | | 1e3, shared out equally | the same |
| style loss, D = ΔFᵀF | Σ (D / M)² / (4 N²) | mean (D / M)² | mean (D / M)² |
| colours | | both styles matched to the content, pca | the fine one to the coarse, pca |
| optimiser | L-BFGS | L-BFGS, 100 pairs | L-BFGS, 20 pairs |
| steps | | 500 | 100 |

Matching the fine style to the coarse one, after that was matched to the content, comes to the same
as the authors' matching of both.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import numpy as np

from nst_jax.array_types import ImageOfAnySize, Params, check_picture
from nst_jax.encoders.encoder import Encoder, describe_encoder
from nst_jax.encoders.vgg import FIRST_LAYERS, VGG, Architecture, Pooling
from nst_jax.losses import STYLE_LOSSES, LayerWeights, perceptual
from nst_jax.losses.perceptual import Weights, weigh_layers
from nst_jax.ops import color
from nst_jax.ops.color import Color
from nst_jax.ops.convolution import Precision
from nst_jax.pixels import programs
from nst_jax.pixels.levels import Level, Problem, describe_levels, optimize_levels, plan_levels
from nst_jax.pixels.programs import Program
from nst_jax.pixels.transformations import OptimizerName
from nst_jax.runs.compile_time import stopwatch
from nst_jax.runs.config_checks import check, check_types
from nst_jax.runs.record import Record, make_record
from nst_jax.runs.report import Report

STYLE_LAYERS = FIRST_LAYERS  # §3


def low_layers(count: int) -> LayerWeights:
    """Return the lowest of STYLE_LAYERS, with equal weights that sum to 1.

    Args:
        count: How many, from 1 to 5.

    Raises:
        ValueError: It is out of range.
    """
    if not 1 <= count <= len(STYLE_LAYERS):
        raise ValueError(f"scale: wanted 1 to {len(STYLE_LAYERS)} layers, got {count}")
    return tuple((layer, 1 / count) for layer in STYLE_LAYERS[:count])


_AT_512 = low_layers(2)


@dataclass(frozen=True)
class Config:
    """How the scales of two styles are mixed; style_weight is in units of gram_loss."""

    encoder: Architecture = "vgg16"  # ours: its weights come with the package
    weights: str | None = None  # the encoder's usual set
    pooling: Pooling = "max"  # as VGG was trained
    num_steps: int = 100  # ours: of two layers most is done by then
    style_layers: LayerWeights = _AT_512  # ScaleControl.ipynb
    style_weight: float = 1e3  # ScaleControl.ipynb
    color: Color = "pca"  # ScaleControl.ipynb; luminance has no meaning here
    optimizer: OptimizerName = "lbfgs"  # §3
    learning_rate: float = 1.0  # the authors' notebooks
    history: int = 20  # ours, as in gatys_2016
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        maps = ("style", *color.COLOR_MAPS)  # luminance has no meaning here
        check(self.color in maps, "color", ", ".join(maps), self.color)
        check(self.num_steps >= 0, "num_steps", "0 or more", self.num_steps)
        check(
            0 < self.style_weight < float("inf"),
            "style_weight",
            "a number above 0",
            self.style_weight,
        )
        check(self.style_layers != (), "style_layers", "at least one layer", "none")
        finite = all(0 <= share < float("inf") for _, share in self.style_layers)
        check(finite, "style_layers", "finite weights, 0 or more", self.style_layers)
        check(self.history >= 1, "history", "1 or more", self.history)
        positive = 0 < self.learning_rate < float("inf")
        check(positive, "learning_rate", "a number above 0", self.learning_rate)


_PAPER = Config(
    encoder="vgg19",  # §3
    weights="vgg19-keras",  # the Caffe weights of the notebooks
    num_steps=500,  # ScaleControl.ipynb
    history=100,  # Torch7's optim.lbfgs
)

PRESETS: Mapping[str, Config] = {
    "paper": _PAPER,  # for styles of about 512 pixels
    "paper_1024": dataclasses.replace(_PAPER, style_layers=low_layers(4)),  # ScaleControl.ipynb
    "cpu": Config(),
    "smoke": Config(num_steps=4, style_layers=low_layers(1)),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


def mix_scales(
    coarse: ImageOfAnySize,
    fine: ImageOfAnySize,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    on_step: Callable[[Report], None] | None = None,
) -> tuple[ImageOfAnySize, Record]:
    """Return a style image with the forms of one and the fine texture of another.

    x* = argmin_x style_weight · Σ_l w_l · gram_loss_l(x, fine) over low layers, from x = coarse.
    Nothing else holds the forms than where the descent begins, and that low layers see no more.

    Args:
        coarse: The style image whose forms are kept; the result has its size.
        fine: The one whose texture is taken, of any size, first recoloured by config.color.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        on_step: Called with every step's losses.

    Returns:
        The picture, clipped to [0, 1], and the record, as gatys_2016.stylize has it. On Ctrl-C
        the picture is that of the last step, and `record["info"]["interrupted"]` is true.

    Raises:
        ValueError: There are several pictures, or a layer is unknown.
        DivergedError: The loss ceased to be a sensible number.

    Reference: Gatys et al. 2017, §6.1.
    """
    coarse, fine = check_picture("coarse", coarse), check_picture("fine", fine)
    encoder = dataclasses.replace(encoder, pooling=config.pooling, precision=config.precision)
    texture = color.prepare_style(fine, coarse, color=config.color, when="before")
    levels = plan(coarse, config)
    with stopwatch() as watch:
        problem = _problem(coarse, texture, config, encoder, encoder_params)
        result = optimize_levels(problem, levels, on_step=on_step)
        jax.block_until_ready(result.image)
        seconds = watch()
    info = describe_levels(describe_encoder(encoder), levels, result)
    record = make_record(config, made=result.image, seconds=seconds, steps=result.steps, info=info)
    return result.image, record


def plan(coarse: ImageOfAnySize, config: Config) -> list[Level]:
    """Return the one size at which mix_scales runs, and the number of its last step.

    Args:
        coarse: The style image whose forms are kept.
        config: Its num_steps counts.
    """
    height, width = coarse.shape[1:3]
    return plan_levels(height, width, scales=((1.0, 1.0),), num_steps=config.num_steps)


def _problem(
    coarse: ImageOfAnySize,
    texture: ImageOfAnySize,
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
) -> Problem:
    style = weigh_layers(config.style_layers, config.style_weight)
    weights = Weights({}, {layer: np.float32(weight) for layer, weight in style.items()})
    grams = perceptual.compute_styles(encoder, encoder_params, texture, weights=weights)
    targets = perceptual.Targets({}, grams)
    program = Program(
        encoder,
        STYLE_LOSSES["gram"],
        "mean",
        config.optimizer,
        config.learning_rate,
        config.history,
    )
    return Problem(
        programs.make_optimizer(program),
        args_at=lambda level: (targets, encoder_params, weights),
        initial_at=lambda level: coarse,
    )
