"""Figures 3 to 7 of Gatys et al. 2016, and figure 3 of its first form of 2015.

Photographs and paintings whose licence forbids showing what is made from them are replaced, and
nothing but outputs is shown of the others, but for bundled pictures.
"""

import argparse
import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.common.contact_sheet import split_rows
from experiments.common.data_folder import STYLES, TUBINGEN, find_picture
from experiments.gatys_2016 import curves
from experiments.gatys_2016.runs import (
    Run,
    Runs,
    add_to_record,
    at_ratio,
    base_config,
    bundled,
    describe_command,
    given,
    made,
    name_ratio,
    picture_path,
    run_all,
    save_sheet,
    size_and_steps,
    style_layers_up_to,
)
from nst_jax import files
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config

SIZE, NUM_STEPS = 256, 300
PAINTERS_SIZE, PAINTERS_STEPS = 512, 500  # §4: about 512 x 512; the authors' code: 500

STARRY_NIGHT, COMPOSITION_VII = (STYLES[name][0] for name in ("starry_night", "composition_vii"))


class Painter(NamedTuple):
    """A painting of figure 3, with the alpha/beta of its caption."""

    file: str
    ratio: float
    label: str


PAINTERS = {
    "B Turner": Painter("papers/style/shipwreck_minotaur.jpg", 1e-3, "B Turner, 1e-3"),
    "C van Gogh": Painter(STARRY_NIGHT, 8e-4, "C van Gogh, 8e-4"),
    "D Munch": Painter(STYLES["the_scream"][0], 5e-3, "D Munch, 5e-3"),
    "E Picasso": Painter("papers/style/femme_nue_assise.jpg", 5e-4, "E Picasso, 5e-4"),
    # Ours: another painting of the time, since Picasso's is not free everywhere.
    "E Leger": Painter(STYLES["contrast_of_forms"][0], 5e-4, "(E) Léger, 5e-4"),
    "F Kandinsky": Painter(COMPOSITION_VII, 5e-4, "F Kandinsky, 5e-4"),
}

GRID_RATIOS = (1e-5, 1e-4, 1e-3, 1e-2)  # 2015, figure 3
RATIOS = (1e-4, 1e-3, 1e-2, 1e-1)  # figure 4
RATIO = 1e-3  # figures 5 and 6
LAYERS = ("relu2_2", "relu4_2")  # figure 5
SEEDS = (0, 1, 2, 3)  # figure 6: four pictures from noise
PHOTOGRAPHS_RATIO = 1e-2  # figure 7
# Ours: the paper's New York by night and London are not free.
DAYS = ("content/neuschwanstein_castle.jpg", "content/eiffel_tower.jpg")
NIGHTS = {
    "gateway": "content/train/gc_monuments_gatewayofindia.jpg",
    "launch": "content/train/skimage_rocket.jpg",
}


def _small_config(options: argparse.Namespace) -> Config:
    return base_config(**size_and_steps(options, size=SIZE, num_steps=NUM_STEPS))


def _tubingen_after(data: Path, file: str, configs: Mapping[str, Config]) -> Runs:
    content, style = find_picture(data, TUBINGEN), find_picture(data, file)
    return {name: Run(config, content, style) for name, config in configs.items()}


def painters(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `painters`: Tübingen after five paintings, and one that may be shown.

    What may not be shown has an entry in the record and no picture.
    """
    settings = size_and_steps(options, size=PAINTERS_SIZE, num_steps=PAINTERS_STEPS)
    base = base_config(**settings)
    content = find_picture(options.data, TUBINGEN)
    runs = {
        name: Run(at_ratio(base, each.ratio), content, find_picture(options.data, each.file))
        for name, each in PAINTERS.items()
    }
    records = run_all(runs, out, command=describe_command(out.name, options))
    add_to_record(
        out,
        losses={name: curves.unweighted_losses(record) for name, record in records.items()},
    )
    shown = [made(out, name, PAINTERS[name].label) for name, r in runs.items() if r.may_be_shown]
    save_sheet(out, split_rows(shown, 2), side=settings["size"])


def grid(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `grid`: rows of more and more style layers, columns of alpha/beta."""
    base = _small_config(options)
    rows = {
        layer: {
            f"up to {layer} at {name_ratio(ratio)}": dataclasses.replace(
                at_ratio(base, ratio), style_layers=style_layers_up_to(block)
            )
            for ratio in GRID_RATIOS
        }
        for block, layer in enumerate(gatys_2016.STYLE_LAYERS, start=1)
    }
    configs = {name: config for row in rows.values() for name, config in row.items()}
    runs = _tubingen_after(options.data, COMPOSITION_VII, configs)
    records = run_all(runs, out, command=describe_command(out.name, options))
    lines = {
        f"up to {layer}": _losses_by_ratio(GRID_RATIOS, [records[name] for name in row])
        for layer, row in rows.items()
    }
    add_to_record(out, losses=lines)
    save_sheet(out, [[made(out, name) for name in row] for row in rows.values()], side=SIZE)
    curves.plot_by_ratio(out / "losses.png", lines)


def ratios(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `ratios`: one picture at four alpha/beta."""
    base = _small_config(options)
    configs = {f"alpha over beta {name_ratio(ratio)}": at_ratio(base, ratio) for ratio in RATIOS}
    runs = _tubingen_after(options.data, COMPOSITION_VII, configs)
    records = run_all(runs, out, command=describe_command(out.name, options))
    line = _losses_by_ratio(RATIOS, list(records.values()))
    add_to_record(out, losses=line)
    save_sheet(out, split_rows([made(out, name) for name in runs], 2), side=base.size or SIZE)
    curves.plot_by_ratio(out / "losses.png", {"all": line})


def _losses_by_ratio(
    ratios: Sequence[float], records: Sequence[Mapping[str, Any]]
) -> dict[float, dict[str, float]]:
    losses = [curves.unweighted_losses(record) for record in records]
    return dict(zip(ratios, losses, strict=True))


def content_layer(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `content_layer`: a low one and a high one, all else being equal."""
    base = at_ratio(_small_config(options), RATIO)
    configs = {
        f"content {layer}": dataclasses.replace(base, content_layers=((layer, 1.0),))
        for layer in LAYERS
    }
    runs = _tubingen_after(options.data, COMPOSITION_VII, configs)
    run_all(runs, out, command=describe_command(out.name, options))
    save_sheet(out, [[made(out, name) for name in runs]], side=base.size or SIZE)


def initialisations(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `initialisations`: from the photograph, the painting, four times noise."""
    base = at_ratio(_small_config(options), RATIO)
    noise = {f"noise {seed}": dataclasses.replace(base, seed=seed) for seed in SEEDS}
    start = {init: dataclasses.replace(base, init=init) for init in ("content", "style")}
    runs = _tubingen_after(options.data, STARRY_NIGHT, {**start, **noise})
    records = run_all(runs, out, command=describe_command(out.name, options))
    # Before clipping to [0, 1], which is what is minimised.
    totals = {name: record["info"]["before_clipping"]["total"] for name, record in records.items()}
    add_to_record(out, totals=totals, noise=_describe_seeds([totals[n] for n in noise], noise, out))
    cells = [made(out, name, f"from {name}") for name in runs]
    save_sheet(out, split_rows(cells, 3), side=base.size or SIZE)
    curves.plot_by_step(out / "losses.png", records)


def _describe_seeds(totals: list[float], names: Mapping[str, Any], out: Path) -> dict[str, float]:
    """How equal the losses from noise are, and how different the pictures."""
    pictures = [files.load_image(picture_path(out, name)) for name in names]
    apart = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.combinations(pictures, 2)]
    return {
        "mean_total": statistics.mean(totals),
        "deviation_of_total": statistics.stdev(totals),
        "root_mean_square_between_pictures": float(np.mean(apart)),
    }


def photographs(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `photographs`: photographs by day, lit as others at night."""
    base = at_ratio(_small_config(options), PHOTOGRAPHS_RATIO)
    base = dataclasses.replace(base, init="content")
    rows = {day: {f"{Path(day).stem} as {night}": night for night in NIGHTS} for day in DAYS}
    runs = {
        name: Run(base, bundled(day), find_picture(options.data, NIGHTS[night]))
        for day, row in rows.items()
        for name, night in row.items()
    }
    run_all(runs, out, command=describe_command(out.name, options))
    side = base.size or SIZE
    cells = [
        [given(bundled(day), side, "photograph"), *(made(out, n, f"as {row[n]}") for n in row)]
        for day, row in rows.items()
    ]
    save_sheet(out, cells, side=side)
