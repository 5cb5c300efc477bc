"""Huang and Belongie 2017: how well one network paints after any painting, and what steers it.

    python -m experiments.huang_2017 --data FOLDER [--figures losses reconstruction peers ...]

`sheet` shows held-out photographs painted after held-out paintings, eight by eight, of tier A all.
Photographs have numbers and paintings letters; the record names both. The pictures are squares of
384 pixels, and neither photographs nor paintings are shown.

`bundled` is the same with pictures that come with nst_jax and are shown beside, of 512 pixels.

`losses` is the paper's figure 3 on 8 held-out pairs at 256 pixels: see losses.py. --steps
50 100 500 adds what 500 steps come to.

`normalizations` is the paper's figure 1, instance against batch normalisation: normalizations.py.
`baselines` are its figures 5 and 6, AdaIN's decoder beside others: see baselines.py. Both
train, --train-steps of squares of --train-size, for each of --seeds.

`reconstruction`: LPIPS and SSIM to the photograph of what the network makes of it with alpha 0,
and the correlation of their features, on 20 held-out photographs at 256 pixels.

`alpha` is the paper's figure 7, `interpolation` its figure 8, and `color` and `spatial` its figures
9 and 10 (controls.py), with pictures that come with nst_jax, which are shown beside the
results.

`transforms` decodes features that got a painting's style in other ways than AdaIN's, which takes no
training, and measures the results on 20 held-out pairs at 256 pixels: see transforms.py.

`peers` compares with another package on 20 held-out pairs at 384 pixels: see peers.py.
The paper's table 1, speed, is speed/adain.py's, which wants PyTorch and an idle machine.

The network is huang2017, or --model; --size and --count stand for all figures that are made.
Results: results/huang_2017/<figure>. FOLDER is described in common/data_folder.py.
"""

import argparse
import string
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps
from rich.console import Console
from rich.table import Table

from experiments.common import command, network_figures, provenance, training_curves
from experiments.common.contact_sheet import Cell, save_sheet
from experiments.common.data_folder import Picture, pictures_in, spread
from experiments.common.distances import Distances
from experiments.common.network_figures import HELD_OUT
from experiments.common.training_curves import mean_and_deviation
from experiments.huang_2017 import (
    baselines,
    controls,
    losses,
    normalizations,
    peers,
    transforms,
)
from experiments.huang_2017.pairs import PAINTINGS, load_network, make_correlate, size_of
from nst_jax import files, metrics, train
from nst_jax.array_types import Image
from nst_jax.papers.huang_2017 import STYLE_LAYERS

SHEET = 8  # photographs, and paintings
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # figure 7
ALPHA_PAIRS = (
    ("content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg"),
    ("content/eiffel_tower.jpg", "style/van_gogh_night_cafe.jpg"),
)
BUNDLED = ("content/neuschwanstein_castle.jpg", "content/ring_tailed_lemur.jpg")
GRID = 5  # figure 8
GRID_CONTENT = "content/machu_picchu.jpg"
GRID_STYLES = (  # upper left, upper right, lower left, lower right
    "style/van_gogh_church_at_auvers.jpg",
    "style/van_gogh_night_cafe.jpg",
    "style/van_gogh_harvest.jpg",
    "style/van_gogh_pere_tanguy.jpg",
)


def sheet(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `sheet`."""
    network, size = load_network(options.model), size_of(options, 384)
    rows, columns = (
        spread([picture for picture in pictures_in(options.data, part) if _is_free(picture)], SHEET)
        for part in (HELD_OUT, PAINTINGS)
    )
    if not rows or not columns:
        raise ValueError(f"data: wanted pictures of tier A in {HELD_OUT} and {PAINTINGS}")
    numbered = {str(number): picture for number, picture in enumerate(rows, start=1)}
    lettered = dict(zip(string.ascii_uppercase, columns, strict=False))
    content = {name: network_figures.load_square(each, size) for name, each in numbered.items()}
    styles = {
        letter: network.encode_style(network_figures.load_square(each, size))
        for letter, each in lettered.items()
    }
    cells = [
        [(network(image, style)[0], f"{number} {letter}") for letter, style in styles.items()]
        for number, image in content.items()
    ]
    save_sheet(out / "sheet.jpg", cells, side=192)
    record = {
        "size": size,
        "photographs": {number: _caption(each) for number, each in numbered.items()},
        "paintings": {letter: _caption(each) for letter, each in lettered.items()},
    }
    _write(out, network, record)


def _is_free(picture: Picture) -> bool:
    return picture.tier.startswith("A")


def _caption(picture: Picture) -> dict[str, str]:
    return {"file": picture.file, "author": picture.author, "licence": picture.licence}


def _write(out: Path, network: Any, record: dict[str, Any]) -> None:
    described = {**provenance.describe_run(), "network": network.name, **record}
    files.write_record(out / "record.json", described)


def bundled(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `bundled`: a row a photograph, a column a painting."""
    network, size = load_network(options.model), size_of(options, 512)
    styles = [
        network.encode_style(files.load_image(files.asset_path(name), size=size))
        for name in GRID_STYLES
    ]
    contents = [files.load_image(files.asset_path(name), size=size) for name in BUNDLED]
    _, *shape = contents[0].shape
    above = [(np.ones(shape), ""), *((_on_white(name, *shape[:2]), "") for name in GRID_STYLES)]
    painted = [
        [(content[0], ""), *((network(content, style)[0], "") for style in styles)]
        for content in contents
    ]
    save_sheet(out / "bundled.jpg", [above, *painted], side=300)
    _write(out, network, {"size": size, "photographs": BUNDLED, "paintings": GRID_STYLES})


def _on_white(name: str, height: int, width: int) -> np.ndarray:
    """A picture that comes with nst_jax, as large as it can be in the middle of such a frame."""
    with PillowImage.open(files.asset_path(name)) as picture:
        framed = ImageOps.pad(picture.convert("RGB"), (width, height), color="white")
    return np.asarray(framed) / 255


def reconstruction(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `reconstruction`."""
    network, size = load_network(options.model), size_of(options, 256)
    distances, correlate, found = Distances(), make_correlate(network), {}
    for photograph in spread(pictures_in(options.data, HELD_OUT), options.count or 20):
        image = network_figures.load_square(photograph, size)
        painted = network(image, image, alpha=0.0)
        found[photograph.file] = {
            "lpips": distances.lpips(painted, image),
            "ssim": float(metrics.ssim(painted, image)[0]),
            **{f"{layer} correlation": r for layer, r in correlate(painted, image).items()},
        }
    names = ("lpips", "ssim", *(f"{layer} correlation" for layer in STYLE_LAYERS))
    summary = {
        name: mean_and_deviation([numbers[name] for numbers in found.values()]) for name in names
    }
    _write(out, network, {"size": size, "summary": summary, "photographs": found})
    table = Table("measure", "mean", "deviation", title=f"{network.name}, alpha 0")
    for name, numbers in summary.items():
        table.add_row(name, *("-" if n is None else f"{n:.3f}" for n in numbers.values()))
    Console().print(table)


def alpha(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `alpha`: a row a pair, between the photograph and the painting."""
    network, size = load_network(options.model), size_of(options, 384)
    distances = Distances()
    rows, told = [], []
    for names in ALPHA_PAIRS:
        content, painting = (_load_asset(name, size) for name in names)
        style = network.encode_style(painting)
        painted = [network(content, style, alpha=share) for share in ALPHAS]
        cells = [(p[0], f"alpha {share:g}") for p, share in zip(painted, ALPHAS, strict=True)]
        rows.append([(content[0], "photograph"), *cells, (painting[0], "painting")])
        told.append(
            {
                "pair": names,
                "lpips_to_content": [distances.lpips(p, content) for p in painted],
                "style_distance": [distances.style_distance(p, painting) for p in painted],
            }
        )
    save_sheet(out / "alpha.jpg", rows, side=256)
    _write(out, network, {"size": size, "alphas": ALPHAS, "rows": told})


def _load_asset(name: str, size: int) -> Image:
    return train.load_fixed_batch([files.asset_path(name)], size=size, count=1)


def interpolation(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `interpolation`: four paintings at the corners of five by five mixtures."""
    network, size = load_network(options.model), size_of(options, 256)
    content, *paintings = (_load_asset(name, size) for name in (GRID_CONTENT, *GRID_STYLES))
    corners = network_figures.corner_shares(GRID)
    painted = [(network(content, paintings, blend=blend)[0], "") for blend in corners]
    blank = (jnp.ones_like(content[0]), "")
    sides: list[list[Cell]] = [[blank, blank] for _ in range(GRID)]
    sides[0] = [(p[0], "painting") for p in paintings[:2]]
    sides[-1] = [(p[0], "painting") for p in paintings[2:]]
    sides[GRID // 2][0] = (content[0], "photograph")
    rows = [
        [left, *painted[GRID * row : GRID * (row + 1)], right]
        for row, (left, right) in enumerate(sides)
    ]
    save_sheet(out / "interpolation.jpg", rows, side=224)
    _write(out, network, {"size": size, "content": GRID_CONTENT, "styles": GRID_STYLES})


FIGURES = {
    "sheet": sheet,
    "bundled": bundled,
    "losses": losses.losses,
    "normalizations": normalizations.normalizations,
    "baselines": baselines.baselines,
    "reconstruction": reconstruction,
    "alpha": alpha,
    "interpolation": interpolation,
    "color": controls.color,
    "spatial": controls.spatial,
    "transforms": transforms.transforms,
    "peers": peers.peers,
}
RESUMING = {"losses", "normalizations", "baselines"}


def main() -> None:
    """Make the figures that were asked for."""
    parser = network_figures.make_base_parser(__doc__, FIGURES, "results/huang_2017")
    parser.add_argument("--model", default="huang2017", help="a name or a file")
    parser.add_argument("--size", type=int, help="of the squares, not the figure's own")
    parser.add_argument("--count", type=int, help="of photographs or pairs, not the figure's own")
    losses.add_options(parser)
    peers.add_options(parser)
    training_curves.add_options(parser)
    normalizations.add_options(parser)
    networks = dict.fromkeys(FIGURES, ("huang2017",))
    network_figures.make_figures(parser, FIGURES, networks=networks, resuming=RESUMING)


if __name__ == "__main__":
    command.run(main)
