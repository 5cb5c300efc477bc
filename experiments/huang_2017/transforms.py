"""The figure `transforms` of huang_2017: one decoder, and four ways to give features a style.

Its sheet shows pairs of pictures that come with nst_jax, at 384 pixels: AdaIN, as the decoder was
trained; exact feature distribution matching; whitening and colouring; Avatar-Net's style
decorator, whole and with alpha 0.7. Its record has distances on --count held-out pairs (20) at 256
pixels: by VGG-16, of Gram matrices layer by layer, ‖G − G_style‖² / ‖G_style‖², and of features,
‖F − F_photograph‖² / ‖F_photograph‖² at relu4_2.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.common import provenance
from experiments.common.contact_sheet import save_sheet
from experiments.common.relative_distances import MEASURES, RelativeDistances
from experiments.common.training_curves import mean_and_deviation
from experiments.huang_2017.pairs import held_out_pairs, load_network, size_of
from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.stylizers import Transform

VARIANTS: dict[str, tuple[Transform, float]] = {
    "adain": ("adain", 1.0),
    "efdm": ("efdm", 1.0),
    "wct": ("wct", 1.0),
    "decorator": ("decorator", 1.0),
    "decorator, alpha 0.7": ("decorator", 0.7),
}
PAIRS = (
    ("content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"),
    ("content/ring_tailed_lemur.jpg", "style/van_gogh_harvest.jpg"),
    ("content/eiffel_tower.jpg", "style/van_gogh_night_cafe.jpg"),
    ("content/machu_picchu.jpg", "style/van_gogh_langlois_bridge.jpg"),
)


def transforms(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `transforms`."""
    size, count, measured_at = size_of(options, 384), options.count or 20, size_of(options, 256)
    networks = {
        transform: load_network(options.model, transform=transform)
        for transform, _ in VARIANTS.values()
    }

    def paint(content: Image, style: Image) -> dict[str, Image]:
        return {
            name: networks[transform](content, style, alpha=alpha)
            for name, (transform, alpha) in VARIANTS.items()
        }

    rows = []
    for names in PAIRS:
        content, style = (
            train.load_fixed_batch([files.asset_path(name)], size=size, count=1) for name in names
        )
        painted = [(picture[0], name) for name, picture in paint(content, style).items()]
        rows.append([(content[0], "photograph"), (style[0], "painting"), *painted])
    save_sheet(out / "transforms.jpg", rows, side=224)

    distances, pairs = RelativeDistances(), {}
    for pair in held_out_pairs(options.data, count, measured_at):
        painted = paint(pair.content, pair.style)
        against = [distances.look_at(each) for each in (pair.content, pair.style)]
        pairs[pair.name] = {
            name: distances.compare(distances.look_at(picture), *against)
            for name, picture in painted.items()
        }
    summary = {
        name: {
            key: mean_and_deviation([found[name][key] for found in pairs.values()])
            for key in MEASURES
        }
        for name in VARIANTS
    }
    record = {
        "network": networks["adain"].name,
        "size": size,
        "sheet": PAIRS,
        "measured_size": measured_at,
        "summary": summary,
        "pairs": pairs,
    }
    files.write_record(out / "record.json", {**provenance.describe_run(), **record})
    _print(summary)


def _print(summary: dict[str, Any]) -> None:
    table = Table("transform", *MEASURES, title="mean distances on held-out pairs")
    for name, found in summary.items():
        table.add_row(name, *(f"{found[column]['mean']:.3f}" for column in MEASURES))
    Console().print(table)
