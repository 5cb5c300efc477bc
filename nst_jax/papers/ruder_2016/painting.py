"""A frame painted by optimising its pixels, close to the frames before it; and a clip of frames."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, Params, check_picture
from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Targets, Weights
from nst_jax.ops.occlusion import Mask, MaskConvention, visibility
from nst_jax.ops.resizing import resize, resize_longer_side
from nst_jax.ops.warp import lands_inside, warp
from nst_jax.papers.ruder_2016.config import Config, Fill, Sharing
from nst_jax.papers.ruder_2016.turns import Turn, plan_turns
from nst_jax.pixels import problem as problems
from nst_jax.pixels.anchors import Anchors, make_anchored_optimizer, no_anchors
from nst_jax.pixels.books import Entry, Result
from nst_jax.pixels.config import Config as PictureConfig
from nst_jax.pixels.levels import Level, Problem, optimize_levels
from nst_jax.pixels.pictures import RunPictures, check_run_pictures
from nst_jax.runs.report import Report


class Neighbour(NamedTuple):
    """Another frame of a clip, as it is painted.

    Attributes:
        picture: What was painted of it.
        flow: From the frame at hand to it, in pixels, at the pixels of the frame at hand.
        opposite: From it to the frame at hand, at its pixels.
    """

    picture: Image
    flow: Float[Array | np.ndarray, "1 height width 2"]
    opposite: Float[Array | np.ndarray, "1 height width 2"]


class Painter(NamedTuple):
    """What all frames of a clip share; made by prepare.

    Attributes:
        config: How they are painted.
        encoder: What judges them.
        encoder_params: Its parameters.
        weights: Of the losses.
        levels: The sizes of a scene's first frame, the last being the clip's.
        styles: What is kept of the paintings, at each of these sizes.
        paintings: The paintings.
    """

    config: Config
    encoder: Encoder
    encoder_params: Params
    weights: Weights
    levels: Sequence[Level]
    styles: Sequence[Mapping[str, Any]]
    paintings: Sequence[ImageOfAnySize]


def long_term_masks(masks: Sequence[Mask], *, sharing: Sharing) -> list[Mask]:
    """Return by how much each of several frames before counts: the nearest that has a pixel.

    "paper" is c′_j = max(c_j − Σ_{k<j} c_k, 0). "code" subtracts what the nearer ones count in the
    end, c′_j = max(c_j − Σ_{k<j} c′_k, 0), which differs where masks are fractions.

    Args:
        masks: c, where each of the frames can be had, the nearest first.
        sharing: Which.

    Reference: Ruder et al. 2016, §4.3; processFlowWeights in artistic_video.lua.
    """
    found: list[Mask] = []
    for number, mask in enumerate(masks):
        nearer = masks[:number] if sharing == "paper" else found
        found.append(jnp.maximum(mask - sum(nearer), 0) if nearer else mask)
    return found


def prepare(
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
    *,
    height: int,
    width: int,
) -> Painter:
    """Return what all frames of a clip share.

    Args:
        style: One painting, or several to be blended by config.picture.style_blend.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; pooling and precision are set on it here.
        encoder_params: Its parameters.
        height: Of the frames, in pixels.
        width: Of the frames, in pixels.

    Raises:
        ValueError: The pictures or config do not fit together.
    """
    num_steps = config.picture.num_steps if config.passes == 1 else config.pass_steps
    picture = dataclasses.replace(config.picture, size=None, num_steps=num_steps)
    blank = jnp.zeros((1, height, width, 3), jnp.float32)
    given = check_run_pictures(blank, style, None, picture)
    encoder = problems.set_encoder(encoder, picture)
    weights = problems.make_weights(picture)
    levels = problems.plan(blank, picture, styles=given.styles)
    problems.check_sizes(given, picture, levels[-1])
    return Painter(
        dataclasses.replace(config, picture=picture),
        encoder,
        encoder_params,
        weights,
        levels,
        [_keep_styles(given, picture, encoder, encoder_params, each, levels) for each in levels],
        given.styles,
    )


def paint_frame(
    painter: Painter,
    frame: ImageOfAnySize,
    *,
    neighbours: Sequence[Neighbour] = (),
    number: int = 1,
    own: Image | None = None,
    on_step: Callable[[Report], None] | None = None,
) -> Result:
    """Return a frame painted, with the losses of its steps.

    x* = argmin_x content + style + total variation + temporal_weight · Σ_j L_temp(x, ω_j, c′_j).

    Args:
        painter: From prepare.
        frame: RGB in [0, 1], of the painter's size.
        neighbours: The frames of its turn, nearest first.
        number: Of the pass, counted from 1.
        own: What the pass before made of this frame, from the second pass on.
        on_step: Called with every step's losses.

    Raises:
        ValueError: The frame is none, or of another size.
        DivergedError: The loss ceased to be a sensible number; it carries the best picture.

    Reference: Ruder et al. 2016, §4.
    """
    config, final = painter.config, painter.levels[-1]
    frame = check_picture("frame", frame)
    if frame.shape[1:3] != (final.height, final.width):
        raise ValueError(
            f"frame: wanted {final.height} by {final.width} pixels, got {frame.shape[1:3]}"
        )
    levels, initial = list(painter.levels), None
    count = len(config.distances)
    anchors = no_anchors(count, height=final.height, width=final.width)
    if config.passes > 1 and number > 1:
        levels = [final._replace(last_step=config.pass_steps)]
        initial = own
    elif neighbours and config.start != "own":
        levels = [final._replace(last_step=config.num_steps)]
    if neighbours:
        known = [_look(*each, frame, config.mask, config.fill) for each in neighbours]
        pictures, masks = zip(*known, strict=True)
        if own is not None:
            share = config.blend_weight * masks[0][..., None]
            initial = (own + share * pictures[0]) / (1 + share)
        elif config.start != "own":
            initial = pictures[0] if config.start == "warped" else neighbours[0].picture
        if config.passes == 1 or number >= config.temporal_from_pass:
            anchors = _anchor(pictures, long_term_masks(masks, sharing=config.sharing), config)
    problem = _make_problem(painter, frame, anchors, initial)
    enough = partial(_is_settled, config.tolerance, config.tolerance_every)
    return optimize_levels(
        problem, levels, on_step=on_step, enough=enough if config.tolerance else None
    )


def stylize(
    frames: Sequence[Float[Array | np.ndarray, "_ _ _ 3"]],
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
    *,
    find_flows: Callable[[int, int], tuple[Any, Any]],
    scenes: Sequence[int] = (0,),
    on_frame: Callable[[Turn, Result], None] | None = None,
) -> list[Image]:
    """Return a clip painted, which is held in memory as a whole.

    Args:
        frames: Of one size, each RGB in [0, 1], (1, height, width, 3).
        style: As for prepare.
        config: As for prepare.
        encoder: As for prepare.
        encoder_params: As for prepare.
        find_flows: Returns the flow from one frame to another, and that back, given the numbers of
            both: `lambda i, j: estimate_flows(frames[i][0], frames[j][0])`.
        scenes: As for plan_turns.
        on_frame: Called with every turn and what came of it.

    Raises:
        ValueError: There are no frames, or as prepare and paint_frame.
        DivergedError: As paint_frame.
        KeyboardInterrupt: After Ctrl-C, when the step in progress is done.

    Reference: Ruder et al. 2016.
    """
    if not frames:
        raise ValueError("frames: wanted at least one, got none")
    height, width = frames[0].shape[1:3]
    painter = prepare(style, config, encoder, encoder_params, height=height, width=width)
    painted: list[Any] = [None] * len(frames)
    for turn in plan_turns(len(frames), config, scenes=scenes):
        neighbours = []
        for other in turn.neighbours:
            flow, opposite = find_flows(turn.frame, other)
            neighbours.append(Neighbour(painted[other], flow[None], opposite[None]))
        result = paint_frame(
            painter,
            jnp.asarray(frames[turn.frame]),
            neighbours=neighbours,
            number=turn.number,
            own=painted[turn.frame],
        )
        if result.interrupted:
            raise KeyboardInterrupt
        painted[turn.frame] = result.image
        if on_frame is not None:
            on_frame(turn, result)
    return painted


def _keep_styles(
    given: RunPictures,
    picture: PictureConfig,
    encoder: Encoder,
    encoder_params: Params,
    level: Level,
    levels: Sequence[Level],
) -> Mapping[str, Any]:
    """What is kept of the paintings at a size."""
    longer = problems.style_size(picture, level, levels[-1])
    return perceptual.blend_styles(
        encoder,
        encoder_params,
        [resize_longer_side(style, longer) for style in given.styles],
        weights=problems.make_weights(picture),
        style_blend=picture.style_blend or (1.0,) * len(given.styles),
        style_loss=picture.loss,
    )


def _make_problem(
    painter: Painter, frame: ImageOfAnySize, anchors: Anchors, initial: Image | None
) -> Problem:
    """What a frame minimises; anchors are those of the last size, coarser sizes have none."""
    picture, final = painter.config.picture, painter.levels[-1]
    sizes = [(each.height, each.width) for each in painter.levels]
    styles = dict(zip(sizes, painter.styles, strict=True))

    def args_at(level: Level) -> tuple[Any, ...]:
        size = {"height": level.height, "width": level.width}
        content = perceptual.compute_content(
            painter.encoder, painter.encoder_params, resize(frame, **size), weights=painter.weights
        )
        is_final = (level.height, level.width) == (final.height, final.width)
        at_level = anchors if is_final else no_anchors(len(anchors.images), **size)
        targets = Targets(content, styles[level.height, level.width])
        return targets, painter.encoder_params, painter.weights, at_level

    def initial_at(level: Level) -> Any:
        if initial is not None:
            return jnp.asarray(initial)
        height, width = level.height, level.width
        return problems.initial_picture(
            picture, frame, painter.paintings[0], height=height, width=width
        )

    program = problems.program_of(picture, painter.encoder)
    return Problem(make_anchored_optimizer(program), args_at, initial_at, is_mean=picture.is_mean)


def _anchor(pictures: Sequence[Any], masks: Sequence[Mask], config: Config) -> Anchors:
    """As many anchors as a frame may have; those that this one lacks hold nothing."""
    lacking = len(config.distances) - len(pictures)
    images = [*pictures, *[jnp.zeros_like(pictures[0])] * lacking]
    weights = [*masks, *[jnp.zeros_like(masks[0])] * lacking]
    weight = jnp.asarray(config.temporal_weight, jnp.float32)
    return Anchors(jnp.stack(images), jnp.stack(weights), weight)


@partial(jax.jit, static_argnums=(4, 5))
def _look(picture, flow, opposite, frame, convention: MaskConvention, fill: Fill):
    """A neighbour's picture warped to a frame, and where it is to be had."""
    outside = frame
    if fill == "mean":
        outside = jnp.asarray(TORCHVISION.mean, jnp.float32).reshape(1, 1, 1, 3)
    warped = jnp.where(lands_inside(flow)[..., None], warp(picture, flow), outside)
    return warped, visibility(flow, opposite, convention=convention)


def _is_settled(tolerance: float, every: int, entries: Sequence[Entry]) -> bool:
    """Whether the last two of every so many losses are alike."""
    compared = [entry["total"] for entry in entries[every - 1 :: every]][-2:]
    return len(compared) == 2 and abs(compared[1] - compared[0]) < tolerance * compared[0]
