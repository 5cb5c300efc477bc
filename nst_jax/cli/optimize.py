"""`nst-jax optimize`: paint a photograph in a painting's style by optimising its pixels."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tyro

from nst_jax import files
from nst_jax.array_types import Image, Params
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.masks import check_mask, check_style_masks, load_masks, load_style_masks
from nst_jax.cli.optimize_options import (
    EXAMPLES,
    Optimize,
    make_config,
    make_mixing_config,
    warn_of_scale,
)
from nst_jax.cli.unfinished import Unfinished, may_overwrite
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import Config, Record, plan, stylize
from nst_jax.pixels.saved_state import SavedRun
from nst_jax.progress import describe_losses, describe_seconds, follow_steps
from nst_jax.regions.masks import Mask, Masks
from nst_jax.runs.report import DivergedError


class _Pictures(NamedTuple):
    content: Image
    styles: list[Image]
    initial: Image | None
    masks: Masks | None
    style_masks: tuple[Mask | None, ...]
    fine_style: Image | None


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax optimize` say and return the exit status."""
    options = tyro.cli(
        Optimize,
        prog="nst-jax optimize",
        description=f"{Optimize.__doc__}\n\n{EXAMPLES}",
        args=arguments,
        config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
    )
    check_device()
    config, unfinished = make_config(options), Unfinished(options.out)
    if options.files.resume and options.out.exists() and not unfinished.exists():
        _say(options, f"{options.out} is finished: nothing to resume")
        return 0
    saved = unfinished.load(resume=options.files.resume)
    overwrite = options.files.overwrite or may_overwrite(saved)
    _check_outputs(options, overwrite=overwrite)
    pictures = _load_pictures(options, config)
    described = describe_weights(config.encoder, weights=config.weights)
    config = dataclasses.replace(config, weights=config.weights or described["weights"])
    mixing = make_mixing_config(options, config)
    if warning := warn_of_scale(options, config):
        _say(options, warning)
    if saved is not None:
        _say(options, f"going on after step {saved[1]['step']} of {config.num_steps}")
    elif options.files.resume:
        _say(options, f"no unfinished run in {unfinished.folder}: starting afresh")

    keep_compiled_programs()
    network = load_encoder(config.encoder, weights=config.weights)
    pictures, mixed = _mix_fine_style(options, mixing, pictures, network)
    image, record = _paint(
        options, config, pictures, network, unfinished, saved, overwrite=overwrite
    )
    if record["info"]["interrupted"]:
        return _tell_interrupted(record, config, unfinished)
    files.save_image(options.out, image)
    if options.files.record is not None:
        record["info"] |= {"weights": described, **({"fine_style": mixed} if mixed else {})}
        if guidance := record["info"].get("guidance"):
            guidance["masks"] = [str(path) for path in options.regions.mask]
            guidance["style_masks"] = list(options.regions.style_mask)
        command = shlex.join(("nst-jax", "optimize", *arguments))
        files.write_record(options.files.record, {"command": command, **record})
    unfinished.remove()
    if restarts := record["info"]["restarts"]:
        steps = ", ".join(map(str, restarts))
        _say(options, f"the loss ran away at step {steps}: went on from the best picture")
    _say(options, describe_result(options.out, image, record))
    return 0


def describe_result(path: os.PathLike[str], image: Image, record: Record) -> str:
    """Return two lines: what was written, in what time, and the picture's losses."""
    height, width = image.shape[1:3]
    last = dict(record["steps"][-1])
    total, _ = last.pop("total"), last.pop("step")
    seconds = record["seconds"]
    took = describe_seconds(sum(seconds.values()), seconds["compile"])
    return f"{os.fspath(path)}: {width}x{height} pixels in {took}\n{describe_losses(total, last)}"


def _tell_interrupted(record: Record, config: Config, unfinished: Unfinished) -> int:
    print(
        f"stopped after step {record['steps'][-1]['step']} of {config.num_steps}; the picture so "
        f"far is {unfinished.preview}; the same command with --resume goes on",
        file=sys.stderr,
    )
    return INTERRUPTED


def _say(options: Optimize, line: str) -> None:
    if not options.files.quiet:
        print(line)


def _check_outputs(options: Optimize, *, overwrite: bool) -> None:
    """Raise now what writing the results would raise in minutes."""
    if options.files.save_every < 0:
        raise ValueError(f"save_every: wanted 0 or more steps, got {options.files.save_every}")
    files.check_output(options.out, overwrite=overwrite)
    if options.files.record is not None:
        files.check_output(options.files.record, overwrite=overwrite, extensions=(".json",))


def _load_pictures(options: Optimize, config: Config) -> _Pictures:
    if not options.style:
        raise ValueError("style: wanted at least one painting after the photograph, got none")
    initial = None
    if config.init not in ("content", "noise", "style"):
        if not os.path.exists(config.init):
            raise ValueError(
                f"init: wanted content, noise, style or a picture's file, got {config.init!r}"
            )
        initial = files.load_image(config.init)
    content = files.load_image(options.content, size=config.size)
    style_size = config.style_size or config.size
    styles = [files.load_image(style, size=style_size) for style in options.style]
    paths, style_paths = options.regions.mask, options.regions.style_mask
    if paths and config.style_blend is not None:
        raise ValueError("mask: wanted without --style-blend, which mixes styles everywhere")
    if (paths or style_paths) and config.loss.guided is None:
        option = "mask" if paths else "style_mask"
        raise ValueError(
            f"{option}: wanted with --style-loss gram or moments, got {config.style_loss}"
        )
    masks = load_masks(paths, len(styles))
    check_mask(paths, masks, np.asarray(content[0]))
    style_masks = load_style_masks(style_paths, len(styles))
    check_style_masks(style_paths, style_masks, [np.asarray(style[0]) for style in styles])
    fine = options.texture.fine_style
    fine_style = None if fine is None else files.load_image(fine, size=style_size)
    return _Pictures(content, styles, initial, masks, style_masks, fine_style)


def _mix_fine_style(
    options: Optimize,
    mixing: gatys_2017.Config,
    pictures: _Pictures,
    network: tuple[VGG, Params],
) -> tuple[_Pictures, list[Record]]:
    """The pictures with --fine-style's texture on each painting, and how it came there.

    A resumed run does it again: the same programs give the same pictures.
    """
    if pictures.fine_style is None:
        return pictures, []
    styles, records = [], []
    for style in pictures.styles:
        _say(options, "mixing the fine texture into the painting")
        levels = gatys_2017.plan(style, mixing)
        with follow_steps(levels, quiet=options.files.quiet) as on_step:
            mixed, record = gatys_2017.mix_scales(
                style, pictures.fine_style, mixing, *network, on_step=on_step
            )
        if record["info"]["interrupted"]:
            raise KeyboardInterrupt("stopped while the paintings were mixed; nothing new is kept")
        styles.append(mixed)
        records.append(record)
    return pictures._replace(styles=styles), records


def _paint(
    options: Optimize,
    config: Config,
    pictures: _Pictures,
    network: tuple[VGG, Params],
    unfinished: Unfinished,
    saved: SavedRun | None,
    *,
    overwrite: bool,
) -> tuple[Image, Record]:
    """Run stylize with its progress shown and its state kept."""
    levels = plan(pictures.content, config, styles=pictures.styles)
    first_step = saved[1]["step"] if saved else 0
    try:
        with follow_steps(levels, first_step=first_step, quiet=options.files.quiet) as on_step:
            return stylize(
                pictures.content,
                pictures.styles,
                config,
                *network,
                initial_image=pictures.initial,
                masks=pictures.masks,
                style_masks=pictures.style_masks,
                on_step=on_step,
                on_preview=lambda picture, step: unfinished.show(picture),
                save=lambda arrays, data: unfinished.save(arrays, data, overwrite=overwrite),
                save_every=options.files.save_every,
                resume=saved,
            )
    except DivergedError as error:
        unfinished.keep_best(error.best_image)
        raise DivergedError(
            f"{error} The best picture so far is {unfinished.best}",
            step=error.step,
            best_image=error.best_image,
            best_total=error.best_total,
        ) from error
    except KeyboardInterrupt as error:  # the second one, which waits for nothing
        left = "add --resume to go on from the last save" if unfinished.exists() else "nothing kept"
        raise KeyboardInterrupt(f"stopped at once; {left}") from error
