"""Gatys et al. 2017: control of place, colour and scale, as sheets of pictures.

    python -m experiments.gatys_2017 [--figures spatial methods color scale resolution] [--size 384]

`spatial` and `methods` are spatial.py's: where styles go, and that in every method.

`color` is the paper's figure 3: a photograph painted plainly, by luminance alone, and with its
colours kept by each map, before and after. `scale` is figure 4: two paintings, the forms of one
with the texture of the other, and the photograph after all three. `resolution` is figure 5: at
half of --size, at --size at once, and coarse to fine in the paper's shares of steps.

The bundled pictures are used, and shown. With --data FOLDER (or NST_JAX_DATA), described in
common/data_folder.py, they are the papers' own where these are free: Tübingen after Starry Night
over the Rhône, which is not the paper's pair but its painting; then only results are shown. The
record names authors and licences. --num-steps stands for all runs.

Results: results/gatys_2017/<figure>, in sheet.jpg and record.json.
"""

import argparse
import csv
import dataclasses
from pathlib import Path
from typing import NamedTuple

from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import Cell, save_sheet, split_rows
from experiments.common.data_folder import TUBINGEN, pictures_in
from experiments.common.labelled_runs import LabelledRuns
from experiments.gatys_2017.spatial import methods, spatial
from nst_jax import files
from nst_jax.array_types import ImageOfAnySize
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import Config

BUNDLED = {
    "content": "content/neuschwanstein_castle.jpg",
    "style": "style/van_gogh_night_cafe.jpg",
    "fine_style": "style/van_gogh_church_at_auvers.jpg",
}
PAPERS = {
    "content": TUBINGEN,
    "style": "papers/style/gatysctl_fig3_style1.jpg",
    "fine_style": "papers/style/composition_vii.jpg",
}
# The paper's: 500 steps at about 500 pixels, and 2.5 times fewer at full size.
COARSE_TO_FINE = ((0.5, 500 / 700), (1.0, 200 / 700))


class Source(NamedTuple):
    """A picture and whose it is."""

    path: Path
    file: str
    author: str
    licence: str


def find_sources(data: Path | None) -> dict[str, Source]:
    """The photograph and the paintings by their parts: those of the data, or the bundled ones."""
    if data is None:
        with files.asset_path("SOURCES.csv").open(newline="", encoding="utf-8") as stream:
            rows = {row["file"]: row for row in csv.DictReader(stream)}
        return {
            part: Source(
                files.asset_path(file), file, rows[file]["title_or_author"], rows[file]["licence"]
            )
            for part, file in BUNDLED.items()
        }
    listed = {
        picture.file: picture
        for part in ("papers/content", "papers/style")
        for picture in pictures_in(data, part)
    }
    found = {part: listed[file] for part, file in PAPERS.items()}
    return {
        part: Source(each.path, each.file, each.author, each.licence)
        for part, each in found.items()
    }


class Figure:
    """The pictures, the network and the runs of one figure."""

    def __init__(self, options: argparse.Namespace, out: Path) -> None:
        self.sources, self.out = find_sources(options.data), out
        self.pictures = {
            part: files.load_image(source.path, size=options.size)
            for part, source in self.sources.items()
        }
        self.runs, self.shows_inputs = LabelledRuns(options), options.data is None

    def paint(self, label: str, config: Config, style: ImageOfAnySize | None = None) -> Cell:
        """A labelled run; without a style after the painting."""
        style = self.pictures["style"] if style is None else style
        return self.runs.paint(label, self.pictures["content"], [style], config=config)

    def inputs(self, *parts: str) -> list[Cell]:
        """The pictures that the results were made from, where they may be shown."""
        named = {"content": "photograph", "style": "painting", "fine_style": "fine painting"}
        shown = parts if self.shows_inputs else ()
        return [(self.pictures[part][0], named[part]) for part in shown]

    def save(self, cells: list[Cell], *, columns: int) -> None:
        """Write the sheet and the record."""
        save_sheet(self.out / "sheet.jpg", split_rows(cells, columns), side=288)
        credits = {part: source._asdict() for part, source in self.sources.items()}
        for credit in credits.values():
            del credit["path"]
        record = {**provenance.describe_run(), "pictures": credits, "runs": self.runs.records}
        files.write_record(self.out / "record.json", record)


def color(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `color`."""
    figure = Figure(options, out)
    base = figure.runs.base
    variations = {
        "plain": base,
        "luminance only": dataclasses.replace(base, color="luminance"),
        "cholesky": dataclasses.replace(base, color="cholesky"),
        "pca": dataclasses.replace(base, color="pca"),
        "symmetric": dataclasses.replace(base, color="symmetric"),
        "histogram": dataclasses.replace(base, color="histogram"),
        "luminance after": dataclasses.replace(base, color="luminance", color_when="after"),
        "pca after": dataclasses.replace(base, color="pca", color_when="after"),
    }
    painted = [figure.paint(label, config) for label, config in variations.items()]
    figure.save([*figure.inputs("content", "style"), *painted], columns=5)


def scale(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `scale`."""
    figure = Figure(options, out)
    coarse, fine = (figure.pictures[part] for part in ("style", "fine_style"))
    mixing = dataclasses.replace(gatys_2017.PRESETS["cpu"], num_steps=figure.runs.base.num_steps)
    mixed, record = gatys_2017.mix_scales(coarse, fine, mixing, *figure.runs.network)
    figure.runs.note("mixed painting", record)
    base = dataclasses.replace(figure.runs.base, color="pca")
    painted = [
        figure.paint(label, base, style)
        for label, style in {"coarse": coarse, "fine": fine, "mixed": mixed}.items()
    ]
    shown = [*figure.inputs("content", "style", "fine_style"), (mixed[0], "mixed painting")]
    figure.save([*shown, *painted], columns=4)


def resolution(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `resolution`."""
    figure = Figure(options, out)
    at_once = dataclasses.replace(figure.runs.base, scales=((1.0, 1.0),))
    variations = {
        "low": dataclasses.replace(at_once, size=options.size // 2),
        "high at once": at_once,
        "coarse to fine": dataclasses.replace(figure.runs.base, scales=COARSE_TO_FINE),
    }
    painted = [figure.paint(label, config) for label, config in variations.items()]
    figure.save([*figure.inputs("content", "style"), *painted], columns=5)


FIGURES = {
    "spatial": spatial,
    "methods": methods,
    "color": color,
    "scale": scale,
    "resolution": resolution,
}
WITH_DATA = {"methods"}  # left out where no data is named
ALWAYS_BUNDLED = {"spatial"}  # its pictures come along


def main() -> None:
    """Make the figures that were asked for."""
    parser = network_figures.make_base_parser(__doc__, FIGURES, "results/gatys_2017")
    parser.add_argument("--size", type=int, default=384, help="longer side in pixels")
    parser.add_argument("--num-steps", type=int, help="of every run, not the default's 200")
    options = command.parse(parser)
    options.data = None if options.data is None else Path(options.data)
    if options.data is None:
        if options.figures == list(FIGURES):
            options.figures = [name for name in FIGURES if name not in WITH_DATA]
        elif missing := WITH_DATA.intersection(options.figures):
            parser.error(f"--data: {', '.join(missing)} wants paintings that do not come along")
    for name in options.figures:
        networks = ("dumoulin2017", "huang2017") if name == "methods" else ()
        data = None if name in ALWAYS_BUNDLED else options.data
        given = argparse.Namespace(**{**vars(options), "data": data})
        network_figures.make_once(
            FIGURES[name], parser, given, options.out / name, networks=networks
        )


if __name__ == "__main__":
    command.run(main)
