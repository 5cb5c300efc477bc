"""The figures `color` and `spatial` of huang_2017: what is kept, and where a style goes.

`color` is the paper's figure 9: the painting is given the photograph's colours before the network
paints after it. `spatial` is its figure 10: a photograph's sky after one painting and the rest
after another, by AdaIN region by region. Both show pictures that come with nst_jax, for which the
masks are drawn (common/outlines.py).
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.common import provenance
from experiments.common.contact_sheet import save_sheet
from experiments.common.distances import Distances
from experiments.common.outlines import sky_and_ground
from experiments.huang_2017.pairs import load_network, size_of
from nst_jax import files
from nst_jax.array_types import ImageOfAnySize
from nst_jax.ops import color as colors

PAIRS = (
    ("content/eiffel_tower.jpg", "style/van_gogh_night_cafe.jpg"),
    ("content/neuschwanstein_castle.jpg", "style/van_gogh_harvest.jpg"),
    ("content/ring_tailed_lemur.jpg", "style/van_gogh_langlois_bridge.jpg"),
)
LANDSCAPES = ("content/neuschwanstein_castle.jpg", "content/eiffel_tower.jpg")
SKY_STYLE, GROUND_STYLE = "style/van_gogh_church_at_auvers.jpg", "style/van_gogh_harvest.jpg"


def color(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `color`: a row a pair, plainly painted and with the photograph's colours."""
    network, size = load_network(options.model), size_of(options, 384)
    distances, rows, told = Distances(), [], []
    for names in PAIRS:
        content, painting = (_load(name, size) for name in names)
        recolored = colors.prepare_style(painting, content, color="symmetric", when="before")
        painted = {
            name: network(content, style)
            for name, style in (("plain", painting), ("colours kept", recolored))
        }
        rows.append(
            [
                (content[0], "photograph"),
                (painting[0], "painting"),
                (recolored[0], "its colours"),
                *((picture[0], name) for name, picture in painted.items()),
            ]
        )
        told.append(
            {
                "pair": names,
                **{
                    name: {
                        "lpips_to_content": distances.lpips(picture, content),
                        "color_shift": _color_shift(picture, content),
                    }
                    for name, picture in painted.items()
                },
            }
        )
    save_sheet(out / "color.jpg", rows, side=256)
    described = {**provenance.describe_run(), "network": network.name, "size": size}
    files.write_record(out / "record.json", {**described, "rows": told})


def _color_shift(painted: ImageOfAnySize, content: ImageOfAnySize) -> float:
    """How far the mean colour went, as the Euclidean distance in RGB."""
    means = (np.asarray(picture).mean(axis=(0, 1, 2)) for picture in (painted, content))
    return float(np.linalg.norm(np.subtract(*means)))


def spatial(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `spatial`: each style everywhere, and each in its own region."""
    network, size = load_network(options.model), size_of(options, 512)
    paintings = [_load(name, size) for name in (SKY_STYLE, GROUND_STYLE)]
    styles = [network.encode_style(painting) for painting in paintings]
    rows = [[(paintings[0][0], "painting for the sky"), (paintings[1][0], "and for the rest")]]
    for name in LANDSCAPES:
        content = _load(name, size)
        masks = sky_and_ground(name, height=content.shape[1], width=content.shape[2])
        rows.append(
            [
                (content[0], "photograph"),
                (network(content, styles[0])[0], "the first everywhere"),
                (network(content, styles[1])[0], "the second everywhere"),
                (network(content, styles, masks=masks)[0], "each in its region"),
            ]
        )
    save_sheet(out / "spatial.jpg", rows, side=320)
    described = {**provenance.describe_run(), "network": network.name, "size": size}
    told = {"photographs": LANDSCAPES, "sky": SKY_STYLE, "ground": GROUND_STYLE}
    files.write_record(out / "record.json", {**described, **told})


def _load(name: str, size: int) -> ImageOfAnySize:
    return files.load_image(files.asset_path(name), size=size)
