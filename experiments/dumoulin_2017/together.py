"""The figure `together` of dumoulin_2017: styles learnt by one network, and by one network each.

The paper's figure 5: at equal steps a network of many styles comes to nearly the losses of networks
of one style of the same architecture, content +8.7 % and style -8.9 % after 40,000 steps. Here both
kinds have the paper's architecture at half its width, one objective, the same photographs and as
many steps, and are measured on the same held-out photographs in the same styles: the network of
many has each photograph in one style, in turn, and that style's own network has the photographs of
its turn.
"""

import argparse
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.common import training_curves
from experiments.common.contact_sheet import save_sheet
from experiments.common.data_folder import find_style, free_photographs, spread
from experiments.common.network_figures import HELD_OUT
from experiments.common.training_curves import TERMS, Training, config_defaults, mean_and_deviation
from nst_jax import files, train
from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import dumoulin_2017
from nst_jax.papers.dumoulin_2017 import Config

LEARNT = ("starry_night", "wave", "composition_vii", "senecio")
NUM_HELD_OUT = 16
SHOWN = "content/neuschwanstein_castle.jpg"
SHOWN_SIZE = 256
TOGETHER, EACH = "one network", "a network each"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this figure alone wants to know."""
    parser.add_argument(
        "--learn", nargs="+", default=LEARNT, metavar="STYLE", help="for `together`, two or more"
    )


class _Setting(NamedTuple):
    """What all trainings have in common."""

    paintings: Mapping[str, ImageOfAnySize]
    hashes: Mapping[str, str]
    photographs: list[Path]
    held_out: Image
    encoder: Any
    encoder_params: Any
    every: int


def together(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `together`."""
    names = tuple(options.learn)
    if not 2 <= len(set(names)) == len(names) <= NUM_HELD_OUT:
        wanted = f"learn: wanted 2 to {NUM_HELD_OUT} styles, each once"
        raise ValueError(f"{wanted}, got {' '.join(names)}")
    preset = dataclasses.replace(dumoulin_2017.PRESETS["cpu"], precision="float32")
    config = training_curves.shorten(preset, options)
    paths = {name: find_style(options.data, name) for name in names}
    photographs, held_out = (
        free_photographs(options.data, part)[0] for part in ("content/train", HELD_OUT)
    )
    setting = _Setting(
        {name: files.load_image(path) for name, path in paths.items()},
        {name: files.sha256_of(path) for name, path in paths.items()},
        photographs,
        train.load_fixed_batch(
            spread(held_out, NUM_HELD_OUT), size=config.size, count=NUM_HELD_OUT
        ),
        *load_encoder(config.encoder, weights=config.weights),
        options.every,
    )
    learnt = {TOGETHER: names, **{name: (name,) for name in names}}
    trainings = {
        name: training_curves.for_seeds(
            config, options, partial(_make_training, setting=setting, styles=styles)
        )
        for name, styles in learnt.items()
    }
    records = training_curves.run_all(trainings, out, options.workdir)
    each = [run for name in names for run in records[name]]
    panels = {f"{len(names)} styles": {TOGETHER: records[TOGETHER], EACH: each}}
    training_curves.finish(out, panels, records)
    percent = compare(records[TOGETHER], [records[name] for name in names])
    path = out / "record.json"
    files.write_record(path, {"percent": percent, **files.read_record(path)})
    for term, found in percent.items():
        print(f"{term}: one network differs by {found['mean']:+.1f} per cent from a network each")
    _save_sheet(out, names)


def compare(
    many: Sequence[Mapping[str, Any]], each: Sequence[Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """By how many per cent the network of many styles is above the mean of the others, at the end.

    Args:
        many: The trainings of the network of many styles, one for each seed.
        each: Of each style those of its own network, one for each seed.
    """
    found = {}
    for term in TERMS:
        shares = []
        for one, others in zip(many, zip(*each, strict=True), strict=True):
            alone = statistics.mean(other["curve"][-1][term] for other in others)
            shares.append(100 * (one["curve"][-1][term] / alone - 1))
        found[term] = mean_and_deviation(shares)
    return found


def _make_training(config: Config, *, setting: _Setting, styles: Sequence[str]) -> Training:
    names = tuple(setting.paintings)
    data = {
        "styles": {name: setting.hashes[name] for name in styles},
        "pictures": train.describe_pictures(setting.photographs),
    }
    held_out = setting.held_out
    if len(styles) == 1:  # those that the network of many paints in this style
        (style,) = styles
        held_out = held_out[names.index(style) :: len(names)]

    def fit(workdir: str) -> train.Trained:
        with closing(training_curves.open_stream(setting.photographs, config)) as stream:
            return dumoulin_2017.fit(
                [setting.paintings[name] for name in styles],
                stream,
                config,
                setting.encoder,
                setting.encoder_params,
                held_out=held_out,
                samples=held_out[:1],
                reporting=train.Reporting(workdir=workdir, data=data, report_every=setting.every),
            )

    def paint(trained: train.Trained) -> Image:
        image = files.load_image(files.asset_path(SHOWN), size=SHOWN_SIZE)
        height, width = (side // 4 * 4 for side in image.shape[1:3])
        number = len(styles)
        weights = dumoulin_2017.one_hot(jnp.arange(number), number)
        content = jnp.repeat(image[:, :height, :width], number, axis=0)
        painted = jax.jit(trained.network.apply)(trained.variables, content, weights)
        return jnp.concatenate(list(painted), axis=1)[None]  # side by side

    settings = {"config": dataclasses.asdict(config), **data, "every": setting.every}
    return Training(settings, fit, paint, config_defaults(config))


def _save_sheet(out: Path, names: Sequence[str]) -> None:
    """A row of the networks of one style, and below it the network of all."""
    one = training_curves.load_picture(out, TOGETHER)
    width = one.shape[1] // len(names)
    rows = [
        [(training_curves.load_picture(out, name), f"{name}, alone") for name in names],
        [
            (one[:, i * width : (i + 1) * width], f"{name}, {TOGETHER}")
            for i, name in enumerate(names)
        ],
    ]
    save_sheet(out / "sheet.jpg", rows, side=SHOWN_SIZE)
