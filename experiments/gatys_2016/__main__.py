"""Gatys et al. 2015 and 2016: the papers' figures, and what the weights and layers do.

    python -m experiments.gatys_2016 --data FOLDER [--figures content_reconstructions grid ...]

| figure | in the paper | what it shows | minutes |
|---|---|---|---|
| weights | | default settings but for one thing in each row | 10 |
| content_reconstructions | 2016, 1 | a photograph from one layer's features | 6 |
| style_reconstructions | 2016, 1 | a painting's style from more and more layers | 7 |
| painters | 2016, 3 | Tübingen after five paintings | 70 |
| grid | 2015, 3 | Composition VII: style layers by alpha/beta | 36 |
| ratios | 2016, 4 | alpha/beta from 1e-4 to 1e-1 | 7 |
| content_layer | 2016, 5 | content from relu2_2, and from relu4_2 | 3 |
| initialisations | 2016, 6 | from the photograph, the painting, four times noise | 11 |
| photographs | 2016, 7 | photographs by day lit as others at night | 6 |

The minutes are estimates for two idle CPU cores. Sizes are the figure's own, 512 pixels for
`painters` and 256 for the others, or --size; steps likewise, 500 and 300, or --num-steps. With
either it is a trial, such as --size 96 --num-steps 30, and goes to trials/gatys_2016 unless --out
says otherwise.

All but `weights` follow the paper on a normalised network, VGG-16's, since VGG-19's is not at
hand, with the layers of that name. alpha/beta is that of the paper's captions: what it is in our
losses, which are means, runs.py says.

Results: results/gatys_2016/<figure> has a labelled sheet, sheet.jpg, the single pictures, curves
where they help, and record.json with the command, credits, and of every run its configuration and
seed, commit, versions, device, seconds and losses. What the record holds, at the same settings and
with pictures that are still there, is not repeated, so that a figure that was killed goes on.

FOLDER is described in common/data_folder.py; `weights` and the reconstructions need none. Pictures
that may not be shown are replaced, or have numbers alone: of `painters` Picasso's, to which one by
Léger is added.
"""

import argparse
import dataclasses
from pathlib import Path

from experiments.common import command, network_figures
from experiments.common.data_folder import require_data
from experiments.gatys_2016 import reconstructions, transfers
from experiments.gatys_2016.reconstructions import CONTENT, STYLE
from experiments.gatys_2016.runs import (
    Run,
    bundled,
    describe_command,
    made,
    run_all,
    save_sheet,
    size_and_steps,
    style_layers_up_to,
)
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config


def weight_rows(base: Config) -> list[dict[str, Config]]:
    """Rows of the figure `weights`: in each one thing departs from the default."""

    def vary(**changes) -> Config:
        return dataclasses.replace(base, **changes)

    return [
        {f"style weight {w:g}": vary(style_weight=w) for w in (2.0, 50.0, 1250.0)},
        {
            f"content {layer}": vary(content_layers=((layer, 1.0),))
            for layer in ("relu2_2", "relu3_3", "relu4_2")
        },
        {f"style up to relu{b}_1": vary(style_layers=style_layers_up_to(b)) for b in (1, 3, 5)},
        {f"tv weight {w:g}": vary(tv_weight=w) for w in (0.0, 50.0, 2000.0)},
        {f"init {init}": vary(init=init) for init in ("content", "noise", "style")},
    ]


def weights(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `weights`: five rows of three pictures, default settings but for one."""
    default = gatys_2016.PRESETS["default"]
    settings = size_and_steps(options, size=256, num_steps=default.num_steps)
    rows = weight_rows(dataclasses.replace(default, **settings))
    runs = {
        name: Run(config, bundled(CONTENT), bundled(STYLE))
        for row in rows
        for name, config in row.items()
    }
    run_all(runs, out, command=describe_command(out.name, options))
    save_sheet(out, [[made(out, name) for name in row] for row in rows], side=settings["size"])


FIGURES = {
    "weights": weights,
    "content_reconstructions": reconstructions.content_reconstructions,
    "style_reconstructions": reconstructions.style_reconstructions,
    "painters": transfers.painters,
    "grid": transfers.grid,
    "ratios": transfers.ratios,
    "content_layer": transfers.content_layer,
    "initialisations": transfers.initialisations,
    "photographs": transfers.photographs,
}
WITHOUT_DATA = {"weights", "content_reconstructions", "style_reconstructions"}


def main() -> None:
    """Make the figures that were asked for, each in its folder."""
    parser = network_figures.make_base_parser(__doc__, FIGURES, "results/gatys_2016")
    parser.add_argument("--size", type=int, help="longer side in pixels, not the figure's own")
    parser.add_argument("--num-steps", type=int, help="of a picture, not the figure's own")
    options = command.parse(parser)
    if not WITHOUT_DATA.issuperset(options.figures):
        options.data = require_data(parser, options)
    for name in options.figures:
        out = options.out / name
        out.mkdir(parents=True, exist_ok=True)
        FIGURES[name](options, out)
        print(f"wrote {out}")


if __name__ == "__main__":
    command.run(main)
