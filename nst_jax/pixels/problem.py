"""What a run minimises: targets, weights and the program, made of pictures and a configuration."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.array_types import Image, ImageOfAnySize, Params
from nst_jax.encoders import vgg
from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Targets, Weights, weigh_layers
from nst_jax.ops.resizing import fit_longer_side, resize, resize_longer_side
from nst_jax.pixels import programs
from nst_jax.pixels.config import Config
from nst_jax.pixels.layouts import WHOLE, Layout, arrange
from nst_jax.pixels.levels import Level, Problem, plan_levels
from nst_jax.pixels.pictures import RunPictures, size_of
from nst_jax.pixels.programs import Program
from nst_jax.regions.guidance import Guides
from nst_jax.regions.run_regions import Size, check_presence

_LEAST_STYLE_SIZE = 16


def set_encoder(encoder: Encoder, config: Config) -> Encoder:
    """Return the encoder with the pooling and the precision that a configuration wants.

    An encoder of one's own keeps what it has, but for fields of these names.

    Args:
        encoder: A VGG from load_encoder, or one of your own.
        config: Its pooling, precision and remat count.

    Raises:
        ValueError: It is no encoder, or config.remat wants one that runs block by block.
    """
    if not callable(getattr(encoder, "apply", None)):
        raise ValueError(
            f"encoder: wanted one with apply(params, images, layers=...), got {encoder!r}; "
            "load_encoder returns one and its parameters"
        )
    if config.remat and not isinstance(encoder, VGG):
        raise ValueError("remat: wanted a VGG, which runs block by block; leave it out")
    named: Any = getattr(encoder, "__dataclass_fields__", {})
    wanted = {"pooling": config.pooling, "precision": config.precision}
    changes = {name: value for name, value in wanted.items() if name in named}
    return dataclasses.replace(cast(Any, encoder), **changes) if changes else encoder


def plan(
    content: ImageOfAnySize, config: Config, *, styles: Sequence[ImageOfAnySize] = ()
) -> list[Level]:
    """Return the sizes at which stylize runs, and the number of each one's last step.

    A coarse size at which the content image or a style would be too small for the encoder's layers
    is left out.

    Args:
        content: The content image.
        config: Its size, style_size, scales, num_steps, layers and style loss count.
        styles: The style images; without any, a size is planned as if they always fitted.
    """
    height, width = content.shape[1:3]
    if config.size is not None:
        height, width = fit_longer_side(height, width, config.size)
    longer = config.style_size or max(height, width)

    def fits(level: Level) -> bool:
        of_styles = [
            fit_longer_side(*size_of(style), _scaled(longer, level.scale)) for style in styles
        ]
        return _find_small((level.height, level.width), of_styles, config) is None

    return plan_levels(height, width, scales=config.scales, num_steps=config.num_steps, fits=fits)


def check_sizes(pictures: RunPictures, config: Config, final: Level) -> None:
    """Raise a ValueError where a picture of the final size is too small for the encoder's layers.

    Args:
        pictures: Of the run.
        config: Its layers and style_size count.
        final: From plan.
    """
    longer = style_size(config, final, final)
    of_styles = [fit_longer_side(*size_of(style), longer) for style in pictures.styles]
    small = _find_small((final.height, final.width), of_styles, config)
    if small is not None:
        name, (height, width), layer, least = small
        raise ValueError(
            f"{name}: {height} by {width} pixels are too few for {layer}, which needs {least} "
            f"along each side; give a larger {'size' if name == 'content' else 'style_size'}, a "
            "picture that is less long, or shallower layers"
        )


def _find_small(
    size: Size, style_sizes: Sequence[Size], config: Config
) -> tuple[str, Size, str, int] | None:
    """The first picture that is too small for a layer, the layer that needs most, and how much."""
    if not set(_layers(config)) <= set(vgg.layer_names(config.encoder)):
        return None  # an encoder of one's own, which refuses what it cannot take
    of_style = [(layer, config.loss.least_side) for layer, _ in config.style_layers]
    of_content = [(layer, 1) for layer, _ in config.content_layers]
    wanted = [("content", size, of_content + of_style)]
    wanted += [("style", each, of_style) for each in style_sizes]
    for name, found, layers in wanted:
        needs = [(vgg.least_side(layer, positions=places), layer) for layer, places in layers]
        least, layer = max(needs, default=(1, ""), key=lambda need: need[0])
        if min(found) < least:
            return name, found, layer, least
    return None


def _layers(config: Config) -> tuple[str, ...]:
    return tuple(layer for layer, _ in (*config.content_layers, *config.style_layers))


def style_size(config: Config, level: Level, final: Level) -> int:
    """Return the longer side of the styles at a level, in pixels.

    Args:
        config: Its style_size counts.
        level: From plan.
        final: The last one of the plan.
    """
    return _scaled(config.style_size or max(final.height, final.width), level.scale)


def _scaled(longer: int, scale: float) -> int:
    return max(_LEAST_STYLE_SIZE, round(longer * scale))


def plan_guides(
    pictures: RunPictures, config: Config, encoder: Encoder, levels: Sequence[Level]
) -> dict[Size, Guides]:
    """Return the guidance channels at each size of a run; none where there are no masks.

    Args:
        pictures: With the regions that masks give them.
        config: Its style_layers and style_size count.
        encoder: What sees the masks.
        levels: From plan.

    Raises:
        ValueError: A region has no unit in any of the layers, or the encoder is no VGG.
    """
    layers, final = tuple(layer for layer, _ in config.style_layers), levels[-1]
    if pictures.regions is None or not layers:
        return {}
    if not isinstance(encoder, VGG):
        raise ValueError(
            "masks: wanted a VGG, whose layers masks can be brought to; leave them out"
        )
    guides = {}
    for level in levels:
        size = style_size(config, level, final)
        guides[level.height, level.width] = pictures.regions.guides_at(
            (level.height, level.width),
            [fit_longer_side(*size_of(style), size) for style in pictures.styles],
            encoder,
            layers,
        )
    check_presence(guides[final.height, final.width], layers)
    return guides


def make_problem(
    pictures: RunPictures,
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
    final: Level,
    guides: Mapping[Size, Guides],
    *,
    layout: Layout = WHOLE,
) -> Problem:
    """Return what a run minimises, at every size.

    Args:
        pictures: Recoloured, with their regions.
        config: Of the run.
        encoder: From set_encoder.
        encoder_params: Its parameters.
        final: The last level of the plan.
        guides: From plan_guides.
        layout: How the picture is laid out over devices and in memory.

    Raises:
        ValueError: The run cannot be laid out so.
    """
    if layout.tile is not None and pictures.regions is not None:
        raise ValueError("tile: wanted without masks, whose regions are compared as a whole")
    weights = make_weights(config)
    by_region = pictures.regions is not None and pictures.regions.content is not None
    program = program_of(config, encoder)
    arrangement = arrange(layout, program, encoder_params, weights, remat=config.remat)

    def args_at(level: Level) -> tuple:
        size = style_size(config, level, final)
        content = resize(pictures.content, height=level.height, width=level.width)
        styles = [resize_longer_side(style, size) for style in pictures.styles]
        blend = config.style_blend or (1.0,) * len(styles)
        given = arrangement.encoder, arrangement.encoder_params, content, styles
        at_level = guides.get((level.height, level.width))
        targets = None if at_level else arrangement.compute_targets(content, styles, blend)
        if by_region and at_level is not None:
            targets = perceptual.compute_guided_targets(
                *given, weights=weights, guides=at_level, style_loss=config.loss
            )
        elif targets is None:
            targets = perceptual.compute_targets(
                *given,
                weights=weights,
                style_blend=blend,
                style_guides=None if at_level is None else at_level.styles,
                style_loss=config.loss,
            )
        more = arrangement.more_args(level)
        return targets, arrangement.encoder_params, weights, *more

    def initial_at(level: Level) -> Image:
        size = {"height": level.height, "width": level.width}
        return initial_picture(
            config, pictures.content, pictures.styles[0], initial=pictures.initial, **size
        )

    return Problem(arrangement.optimizer, args_at, initial_at, is_mean=config.is_mean)


def make_weights(config: Config) -> Weights:
    """Return a configuration's weights as data of compiled programs."""
    return Weights(
        _as_data(weigh_layers(config.content_layers, config.content_weight)),
        _as_data(weigh_layers(config.style_layers, config.style_weight)),
        # Block by block a term that counts nothing is a program that need not run.
        None if config.remat and not config.tv_weight else np.float32(config.tv_weight),
    )


def make_batch_problem(
    problems: Sequence[Problem], config: Config, encoder: Encoder, encoder_params: Params
) -> Problem:
    """Return several problems of one batch_key as one, over a first axis of runs.

    Args:
        problems: From make_problem.
        config: One of the runs'.
        encoder: Of all.
        encoder_params: Its parameters.
    """

    def args_at(level: Level) -> tuple[Targets, Params, Weights]:
        targets, _, weights = zip(*(problem.args_at(level) for problem in problems), strict=True)
        return _stack(targets), encoder_params, _stack(weights)

    def initial_at(level: Level) -> Any:
        return _stack([problem.initial_at(level) for problem in problems])

    optimizer = programs.make_batch_optimizer(program_of(config, encoder))
    return Problem(optimizer, args_at, initial_at, is_mean=config.is_mean)


def initial_picture(
    config: Config,
    content: ImageOfAnySize,
    style: ImageOfAnySize,
    *,
    height: int,
    width: int,
    initial: ImageOfAnySize | None = None,
) -> ImageOfAnySize:
    """Return the picture that a run of this size begins with.

    config.init says which: the content image, the style image, noise around ImageNet's mean
    colour, x = μ + noise_std · n with n ~ N(0, 1) from config.seed, or else the given one.

    Args:
        config: Its init, noise_std and seed count.
        content: The content image.
        style: The first style image.
        height: In pixels.
        width: In pixels.
        initial: The picture for an init that is a file's path; without one, the content image.
    """
    if config.init == "noise":
        shape = (1, height, width, 3)
        noise = jax.random.normal(jax.random.key(config.seed), shape, jnp.float32)
        mean = jnp.asarray(TORCHVISION.mean, jnp.float32).reshape(1, 1, 1, 3)
        return mean + config.noise_std * noise
    own = content if initial is None else initial
    picture = {"content": content, "style": style}.get(config.init, own)
    return resize(picture, height=height, width=width)


def _as_data(weights: Mapping[str, float]) -> dict[str, Any]:
    return {layer: np.float32(weight) for layer, weight in weights.items()}


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def program_of(config: Config, encoder: Encoder) -> Program:
    """Return what a run's compiled programs depend on.

    Args:
        config: Of the run.
        encoder: From set_encoder.
    """
    return Program(
        encoder,
        config.loss,
        config.tv_loss,
        config.optimizer,
        config.learning_rate,
        config.history,
    )
