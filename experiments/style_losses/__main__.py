"""What else than Gram matrices may stand for a style: one photograph by every style loss.

    python -m experiments.style_losses [--size 256] [--num-steps 200]

A bundled photograph after a bundled painting by each of nst_jax.losses.styles, with the layers and
the weight that gatys_2016.with_style_loss gives it. The record has, of each, the seconds over
those of Gram matrices in the same run, without what compiling took; LPIPS to the photograph; and
to the painting the distance of Gram matrices, metrics.style_distance.

Results: results/beyond_gram/sheet, in sheet.jpg and record.json.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import get_args

from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import Cell, save_sheet, split_rows
from experiments.common.distances import Distances
from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.losses.styles import StyleLossName
from nst_jax.papers import gatys_2016

CONTENT, STYLE = "content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"


def sheet(options: argparse.Namespace, out: Path) -> None:
    """Make the sheet and its record."""
    content, style = (
        files.load_image(files.asset_path(name), size=options.size) for name in (CONTENT, STYLE)
    )
    base = gatys_2016.PRESETS["default"]
    base = dataclasses.replace(base, size=options.size, num_steps=options.num_steps)
    network, distances = load_encoder("vgg16"), Distances()
    cells: list[Cell] = [(content[0], "photograph"), (style[0], "painting")]
    runs = {}
    for name in get_args(StyleLossName):
        config = gatys_2016.with_style_loss(base, name)
        image, record = gatys_2016.stylize(content, style, config, *network)
        cells.append((image[0], name))
        runs[name] = {
            **record,
            "steps": [record["info"]["initial"], record["steps"][-1]],
            "lpips_to_content": distances.lpips(image, content),
            "gram_distance": distances.style_distance(image, style),
        }
        ratio = record["seconds"]["run"] / runs["gram"]["seconds"]["run"]
        runs[name]["seconds_over_gram"] = ratio
        print(f"{name}: {record['seconds']['run']:.0f} s, {ratio:.2f} of gram's", flush=True)
    save_sheet(out / "sheet.jpg", split_rows(cells, 3), side=384)
    pictures = {"content": CONTENT, "style": STYLE}
    record = {**provenance.describe_run(), "pictures": pictures, "runs": runs}
    files.write_record(out / "record.json", record)


def main() -> None:
    """Make the sheet."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--num-steps", type=int, default=200, help="of every run")
    command.add_out_option(parser, "results/beyond_gram")
    options = command.parse(parser)
    network_figures.make_once(sheet, parser, options, options.out / "sheet")


if __name__ == "__main__":
    command.run(main)
