"""Dumoulin et al. 2017: what many styles in one network cost, and what lies between two of them.

    python -m experiments.dumoulin_2017 --data FOLDER [--figures styles interpolation ...]

`styles` is the end of the paper's figure 5: the content and style loss of the network of many
styles over those of networks of one style, on the styles that both kinds have, by the one objective
that the former's card names, on central squares of held-out photographs. The paper says content
+8.7 % and style -8.9 %. There the networks of one style have the same architecture; here they are
Johnson's. Results: results/dumoulin_2017/styles.

`interpolation`: both style losses at 11 mixtures of two styles, the first two or --between, over
the photographs, and whether they change monotonically, as in the paper's figure 7; and the mixtures
as a strip, on a photograph of tier A. Results: results/dumoulin_2017/interpolation.

`corners` is what lies between four styles, five by five, as the paper's figure 7 shows it: those at
the corners, --corners or four that differ much, on a bundled photograph. Results:
results/dumoulin_2017/corners.

`few_shot` is the paper's figure 6, a new style learnt by a row of its own against a network from
scratch: see few_shot.py. Results: results/dumoulin_2017/few_shot.

`together` is that figure's curves, of networks that are trained for it, alike and of one
architecture: see together.py. Results: results/dumoulin_2017/together.

`sheet` shows the network's styles, a row each, as `sheet` of johnson_2016 does, whose --look it
has. Results: results/dumoulin_2017/sheet.

The networks are those that ship, or --models; FOLDER is described in common/data_folder.py. On two
CPU cores `styles` and `interpolation` take a minute or two each at 256 pixels, and `sheet` about a
quarter of a minute a style.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.common import command, network_figures, provenance, training_curves
from experiments.common.contact_sheet import save_sheet, split_rows
from experiments.common.data_folder import pictures_in, spread
from experiments.common.network_figures import HELD_OUT
from experiments.common.training_curves import TERMS
from experiments.dumoulin_2017 import few_shot, style_judges, together
from nst_jax import files
from nst_jax.array_types import Image
from nst_jax.papers import johnson_2016
from nst_jax.papers.dumoulin_2017 import Config
from nst_jax.stylizers import OneStyleStylizer, Stylizer

POINTS = 11
GRID = 5  # figure 7
GRID_CONTENT = "content/eiffel_tower.jpg"
CORNERS = ("starry_night", "wave", "composition_vii", "senecio")  # row by row
NOTE = (
    "the networks of one style have the architecture of Johnson et al. 2016, not the same one as "
    "the network of many styles, as they have in the paper; trained_alike tells whether they were "
    "trained for the objective by which they are judged"
)


def styles(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `styles`."""
    many = network_figures.load_networks("dumoulin2017", options.models)[0]
    singles = {
        single.styles[0]: single
        for single in network_figures.load_networks("johnson2016", options.models)
        if single.styles[0] in many.styles
    }
    for single in singles.values():
        assert isinstance(single, OneStyleStylizer)
        single.median_filter = 1  # losses are of what networks paint, not of what is made of it
    if not singles:
        raise ValueError(f"models: {many.name} has no style that a network of one style has")
    judge = style_judges.make_judge(many, list(singles), options.data)
    squares = _load_squares(options)
    rows = {}
    for style, single in singles.items():
        found = {
            kind: [judge.measure(paint(content), content, style) for content in squares.values()]
            for kind, paint in (("many", lambda x, s=style: many(x, s)), ("one", single))
        }
        rows[style] = {
            "network": single.name,
            "trained_alike": _trained_alike(single, judge.config),
            **style_judges.compare(found["many"], found["one"]),
        }
    everywhere = {
        term: training_curves.mean_and_deviation(
            [p for row in rows.values() for p in row[term]["percent"]]
        )
        for term in TERMS
    }
    record = {
        **provenance.describe_run(),
        "network": many.name,
        "note": NOTE,
        "size": options.size,
        "photographs": list(squares),
        "percent": everywhere,
        "styles": rows,
    }
    files.write_record(out / "record.json", record)
    print_styles(rows, everywhere)


def _load_squares(options: argparse.Namespace) -> dict[str, Image]:
    photographs = spread(pictures_in(options.data, HELD_OUT), options.count)
    return {p.file: network_figures.load_square(p, options.size) for p in photographs}


def _trained_alike(single: Stylizer, config: Config) -> bool:
    """Whether a network of one style was trained for the objective by which it is judged."""
    theirs = network_figures.config_of(single, johnson_2016.PRESETS)
    names = ("encoder", "weights", "pooling", "style_size", "content_layers", "style_layers")
    weights = ("content_weight", "style_weight", "tv_weight")
    same = all(getattr(theirs, name) == getattr(config, name) for name in (*names, *weights))
    return same and (theirs.tv_loss == "mean" or theirs.tv_weight == 0)


def print_styles(rows: Mapping[str, Any], everywhere: Mapping[str, Any]) -> None:
    """Print the percentages, style by style and over all."""
    table = Table("style", *TERMS, title="network of many styles over networks of one, per cent")
    found = {
        style: {term: training_curves.mean_and_deviation(row[term]["percent"]) for term in TERMS}
        for style, row in rows.items()
    }
    for name, numbers in {**found, "all": everywhere}.items():
        table.add_row(name, *(_as_text(numbers[term]) for term in TERMS))
    Console().print(table)


def _as_text(number: Mapping[str, float | None]) -> str:
    mean, deviation = number["mean"], number["deviation"]
    return f"{mean:+.1f}" if deviation is None else f"{mean:+.1f} ± {deviation:.1f}"


def interpolation(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `interpolation`."""
    network = network_figures.load_networks("dumoulin2017", options.models)[0]
    names = tuple(options.between or network.styles[:2])
    if len(set(names)) != 2:
        raise ValueError(f"between: wanted two styles of {network.name}, got {names}")
    first, second = names
    judge = style_judges.make_judge(network, (first, second), options.data)
    squares = _load_squares(options)
    mixtures = [{first: 1 - i / (POINTS - 1), second: i / (POINTS - 1)} for i in range(POINTS)]
    curves: dict[str, list[list[float]]] = {first: [], second: []}
    for content in squares.values():
        painted = [network(content, mixture) for mixture in mixtures]
        for style, found in curves.items():
            found.append([judge.measure(one, content, style)["style"] for one in painted])
    record = {
        **provenance.describe_run(),
        "network": network.name,
        "size": options.size,
        "weights_of_second": [mixture[second] for mixture in mixtures],
        "styles": {
            first: style_judges.describe_curves(curves[first], rising=True),
            second: style_judges.describe_curves(curves[second], rising=False),
        },
        "photographs": list(squares),
        **_save_strip(network, mixtures, options.data, out),
    }
    files.write_record(out / "record.json", record)
    for style, found in record["styles"].items():
        print(f"{style}: {found['monotone']} of {len(squares)} photographs change monotonically")
    _plot(record, out / "losses.png")


def _save_strip(
    network: Stylizer, mixtures: Sequence[Mapping[str, float]], data: Path, out: Path
) -> dict[str, Any]:
    shown = [picture for picture in pictures_in(data, HELD_OUT) if picture.may_be_shown]
    if not shown:
        print("no strip: none of the photographs may be shown")
        return {}
    content = files.load_image(shown[0].path, size=320)
    cells = [
        (network(content, mixture)[0], f"{list(mixture.values())[1]:.1f}") for mixture in mixtures
    ]
    half = (POINTS + 1) // 2
    save_sheet(out / "strip.jpg", [cells[:half], cells[half:]], side=320)
    return {"strip": network_figures.credit(shown[:1])}


def corners(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `corners`: four styles at the corners of five by five mixtures."""
    if len(set(options.corners)) < len(options.corners):
        raise ValueError(f"corners: wanted four styles, got {' '.join(options.corners)}")
    network = network_figures.load_networks("dumoulin2017", options.models)[0]
    content = files.load_image(files.asset_path(GRID_CONTENT), size=options.size)
    places = [0, GRID - 1, GRID**2 - GRID, GRID**2 - 1]
    labels: dict[int, str] = dict(zip(places, options.corners, strict=True))
    cells = [
        (network(content, dict(zip(options.corners, shares, strict=True)))[0], labels.get(i, ""))
        for i, shares in enumerate(network_figures.corner_shares(GRID))
    ]
    save_sheet(out / "corners.jpg", split_rows(cells, GRID), side=256)
    told = {"network": network.name, "size": options.size, "corners": options.corners}
    record = {**provenance.describe_run(), **told, "content": GRID_CONTENT}
    files.write_record(out / "record.json", record)


def _plot(record: Mapping[str, Any], path: Path) -> None:
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (axes,) = figure.axes
    names = list(record["styles"])
    for name, found in record["styles"].items():
        axes.plot(record["weights_of_second"], found["style_loss"], marker="o", label=name)
    axes.set(xlabel=f"from {names[0]} to {names[1]}", ylabel="style loss")
    axes.legend()
    figure.savefig(path, dpi=100)


def sheet(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `sheet`: a row for each style, with four photographs and Tübingen."""
    path = out / "record.json"
    shown = files.read_record(path)["shown"] if path.exists() else {}
    for network in network_figures.load_networks("dumoulin2017", options.models):
        rows, kept = [], []
        for style in network.styles:
            small, large = network_figures.paint_sheet(network, style, options.data, options.look)
            kept = [*small[:4], *large[:1]]
            rows.append([(one.pixels, f"{style}, {one.photograph.path.stem}") for one in kept])
        if kept:
            save_sheet(out / f"{network.name}.jpg", rows, side=288)
        shown[network.name] = network_figures.credit([one.photograph for one in kept])
    files.write_record(path, {**provenance.describe_run(), "shown": shown})


FIGURES = {
    "styles": styles,
    "interpolation": interpolation,
    "corners": corners,
    "few_shot": few_shot.few_shot,
    "together": together.together,
    "sheet": sheet,
}


def main() -> None:
    """Make the figures that were asked for."""
    parser = network_figures.make_parser(__doc__, FIGURES, "results/dumoulin_2017")
    parser.add_argument("--size", type=int, default=256, help="of the squares that are measured")
    parser.add_argument("--between", nargs=2, metavar="STYLE", help="for `interpolation`")
    parser.add_argument("--corners", nargs=4, metavar="STYLE", default=CORNERS, help="row by row")
    few_shot.add_options(parser)
    together.add_options(parser)
    training_curves.add_options(parser)
    networks: dict[str, Sequence[str]] = dict.fromkeys(FIGURES, ("dumoulin2017",))
    networks["styles"] = ("dumoulin2017", "johnson2016")
    network_figures.make_figures(
        parser, FIGURES, networks=networks, resuming={"few_shot", "together"}
    )


if __name__ == "__main__":
    command.run(main)
