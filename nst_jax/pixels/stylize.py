"""A picture painted by optimising its pixels: one run, or several that are steps of one batch."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, Params
from nst_jax.encoders.encoder import Encoder, describe_encoder
from nst_jax.ops import color
from nst_jax.ops.resizing import resize
from nst_jax.pixels.books import OnStep, Result
from nst_jax.pixels.config import Config, batch_key
from nst_jax.pixels.layouts import WHOLE, Layout
from nst_jax.pixels.levels import Level, describe_levels, optimize_levels, optimize_runs
from nst_jax.pixels.pictures import RunPictures, check_run_pictures
from nst_jax.pixels.problem import (
    check_sizes,
    make_batch_problem,
    make_problem,
    plan,
    plan_guides,
    set_encoder,
)
from nst_jax.pixels.saved_state import Save, SavedRun
from nst_jax.runs.compile_time import stopwatch
from nst_jax.runs.record import Record, describe_config, make_record
from nst_jax.runs.report import DivergedError, Report


def stylize(
    content: ImageOfAnySize,
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    config: Config,
    encoder: Encoder,
    encoder_params: Params,
    *,
    initial_image: ImageOfAnySize | None = None,
    masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"] | None = None,
    style_masks: Sequence[Float[Array, "_ _"] | Float[np.ndarray, "_ _"] | None] | None = None,
    on_step: Callable[[Report], None] | None = None,
    on_preview: Callable[[np.ndarray, int], None] | None = None,
    save: Save | None = None,
    save_every: int = 0,
    resume: SavedRun | None = None,
    layout: Layout = WHOLE,
) -> tuple[ImageOfAnySize, Record]:
    """Return the content image painted in the style, and a record of the run.

    x* = argmin_x content_weight · L_content(x) + style_weight · L_style(x) + tv_weight · TV(x).

    Ctrl-C ends the run early with the picture as it stands; `record["info"]["interrupted"]` is then
    true, and save has been called.

    Args:
        content: One picture, resized to config.size if that is given.
        style: One painting, or several to be blended by config.style_blend.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here. Or one
            of your own, see encoders.encoder.
        encoder_params: Its parameters.
        initial_image: Where to begin if config.init is a file's path.
        masks: Where in the content image each style goes, instead of a blend: (styles, height,
            width) from 0 to 1, scaled to the picture; with one less the last style gets what is
            left. What is in none takes no style; where they overlap, styles share.
        style_masks: Which part of each style counts: (height, width), or None for all of it.
        on_step: Called with every step's losses.
        on_preview: Called with the picture (a NumPy array) and the step whenever save is.
        save: Called every save_every steps and on Ctrl-C with what resume wants back.
        save_every: Steps between saves; 0 for none.
        resume: What save was given by a run with the same pictures and config. num_steps may be
            larger: the run then goes on for longer.
        layout: How the picture is laid out over devices and in memory. The result is the same but
            for rounding, and so is what save was given.

    Returns:
        The picture, clipped to [0, 1], and the record: config, versions, device, seconds, steps
        (one entry a step, the last one the returned picture's, before its colours are changed where
        config.color asks for that), info.

    Raises:
        ValueError: The pictures or config do not fit together, or resume is another run's.
        DivergedError: The loss ceased to be a sensible number; it carries the best picture.

    Reference: Gatys et al. 2016, eq. (7).
    """
    given = check_run_pictures(
        content, style, initial_image, config, masks=masks, style_masks=style_masks
    )
    encoder = set_encoder(encoder, config)
    identity = {"config": describe_config(config), "fingerprint": given.fingerprint()}
    if resume is not None:
        check_same_run(identity, resume[1])
    before = resume[1]["seconds"] if resume else None
    pictures, finish = _recolored(given, config), partial(_finish, config, given.content)
    with stopwatch(before=before) as seconds:
        levels = plan(pictures.content, config, styles=pictures.styles)
        check_sizes(pictures, config, levels[-1])
        guides = plan_guides(pictures, config, encoder, levels)
        problem = make_problem(
            pictures, config, encoder, encoder_params, levels[-1], guides, layout=layout
        )

        def save_all(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
            if save is not None:
                save(arrays, {**metadata, **identity, "seconds": seconds()})

        def preview(picture: np.ndarray, step: int) -> None:
            if on_preview is not None:
                on_preview(np.asarray(finish(jnp.asarray(picture))), step)

        result = optimize_levels(
            problem,
            levels,
            on_step=on_step,
            on_preview=preview,
            save=save_all,
            save_every=save_every,
            resume=resume,
        )
        image = jax.block_until_ready(finish(result.image))
        record = _make_record(config, encoder, levels, result, image, seconds())
    if given.regions is not None:
        record["info"]["guidance"] = given.regions.describe(guides)
    record["info"].update(layout.describe())
    return image, record


def stylize_together(
    content: ImageOfAnySize,
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    configs: Sequence[Config],
    encoder: Encoder,
    encoder_params: Params,
    *,
    initial_image: ImageOfAnySize | None = None,
    on_step: OnStep | None = None,
) -> list[tuple[ImageOfAnySize, Record] | DivergedError]:
    """Return what stylize returns or raises for each config, from runs that are steps of one batch.

    Faster than one after another on an accelerator that one picture does not fill; there it takes
    the memory of all. Seconds in a record are the batch's, divided by the number of runs.

    Args:
        content: One picture, resized to the configs' size if that is given.
        style: One painting, or several to be blended by style_blend.
        configs: They may differ in weights, seed, noise_std, init, style_size and style_blend,
            and have optimizer 'lbfgs' and no remat: those of one batch_key. Of style losses that
            keep positions style_size may not differ either. A coarse size that is too small for
            one of the style sizes is left out of all.
        encoder: As for stylize.
        encoder_params: Its parameters.
        initial_image: Where to begin if an init is a file's path.
        on_step: Called with every step's losses, a report a run.

    Raises:
        ValueError: The configs cannot share a batch, or do not fit the pictures.
    """
    keys = {batch_key(config) for config in configs}
    if len(keys) != 1 or None in keys:
        raise ValueError(
            "configs: wanted some that differ in weights, seed, noise_std, init, style_size and "
            "style_blend alone, with optimizer lbfgs and no remat; run the others by stylize"
        )
    given = [check_run_pictures(content, style, initial_image, config) for config in configs]
    pictures = [_recolored(own, config) for own, config in zip(given, configs, strict=True)]
    encoder = set_encoder(encoder, configs[0])
    plans = [
        plan(own.content, config, styles=own.styles)
        for own, config in zip(pictures, configs, strict=True)
    ]
    levels = min(plans, key=len)
    with stopwatch() as seconds:
        problems = []
        for own, config in zip(pictures, configs, strict=True):
            check_sizes(own, config, levels[-1])
            problems.append(make_problem(own, config, encoder, encoder_params, levels[-1], {}))
        problem = problems[0]
        if len(problems) > 1:
            problem = make_batch_problem(problems, configs[0], encoder, encoder_params)
        results = optimize_runs(problem, levels, on_step=on_step)
        took = {name: value / len(configs) for name, value in seconds().items()}
    painted: list[tuple[ImageOfAnySize, Record] | DivergedError] = []
    for own, config, result in zip(given, configs, results, strict=True):
        if isinstance(result, DivergedError):
            painted.append(result)
        else:
            image = _finish(config, own.content, result.image)
            painted.append((image, _make_record(config, encoder, levels, result, image, took)))
    return painted


def check_same_run(now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raise a ValueError where a run is not the one that a saved state or a record is of.

    The number of steps may differ: a run may go on for longer.

    Args:
        now: "config", from describe_config, and "fingerprint", of RunPictures.
        before: The same, as a file may have kept them. What an older version did not know is taken
            to be as it is by default.
    """
    # As JSON, since that is how the saved config has travelled.
    config = json.loads(json.dumps(now["config"]))
    saved = json.loads(json.dumps({**describe_config(Config()), **before["config"]}))
    for name, value in config.items():
        if name != "num_steps" and value != saved.get(name):
            raise ValueError(
                f"resume: the saved run had {name} {saved.get(name)}, this one has {value}; "
                "give the same settings or start afresh"
            )
    if now["fingerprint"] != before["fingerprint"]:
        raise ValueError(
            "resume: the saved run had other pictures or masks; give the same ones or start afresh"
        )


def _make_record(
    config: Config,
    encoder: Encoder,
    levels: Sequence[Level],
    result: Result,
    image: Image,
    seconds: Mapping[str, float],
) -> Record:
    info = describe_levels(describe_encoder(encoder), levels, result)
    return make_record(config, made=image, seconds=seconds, steps=result.steps, info=info)


def _recolored(pictures: RunPictures, config: Config) -> RunPictures:
    return pictures.recolored(color=config.color, when=config.color_when)


def _finish(config: Config, content: ImageOfAnySize, image: Image) -> Image:
    """A result with the colours that config asks for."""
    content = resize(content, height=image.shape[1], width=image.shape[2])
    return color.finish(image, content, color=config.color, when=config.color_when)
