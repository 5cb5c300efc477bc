"""The figure `embeddings`: where ghiasi2017 puts paintings, and what lies between two of them.

The embeddings of the painters who have most paintings, of at most 20 each, as central squares of
320 pixels. plane.png shows them along their first two principal axes. The record tells how often
the nearest other painting is by the same painter, beside how often it would be by chance.

mixtures.jpg shows a photograph painted by mixtures of two paintings. The record has the distances
of each mixture to both styles.

Reference: Ghiasi et al. 2017, sections 4 and 5, show such spaces.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from experiments.any_style.judge import central_square
from experiments.common import network_figures, provenance
from experiments.common.contact_sheet import save_sheet
from experiments.common.data_folder import Picture, pictures_in, spread
from experiments.common.relative_distances import RelativeDistances
from nst_jax import files, stylizers
from nst_jax.stylizers.predicted_style import PredictedStyleStylizer

MODEL = "ghiasi2017"
PAINTERS, AT_MOST, SIDE = 8, 20, 320
MIXTURES = (
    (
        "content/neuschwanstein_castle.jpg",
        ("style/van_gogh_church_at_auvers.jpg", "style/van_gogh_night_cafe.jpg"),
    ),
    (
        "content/ring_tailed_lemur.jpg",
        ("style/van_gogh_langlois_bridge.jpg", "style/van_gogh_pere_tanguy.jpg"),
    ),
)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def embeddings(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `embeddings`."""
    stylizer: Any = stylizers.load_stylizer(MODEL)
    assert isinstance(stylizer, PredictedStyleStylizer)
    chosen = _by_painter(pictures_in(options.data, "style"))
    named = [(painter, one) for painter, works in chosen.items() for one in works]
    vectors = np.stack([np.asarray(stylizer.embed(_square(one.path))) for _, one in named])
    painters = np.array([painter for painter, _ in named])
    axes, shares = _principal_axes(vectors)
    _plot(axes, painters, shares, out / "plane.png")
    same = _same_painter(vectors, painters)
    counts = {painter: len(works) for painter, works in chosen.items()}
    chance = sum(n * (n - 1) for n in counts.values()) / (len(named) * (len(named) - 1))
    told = {
        "paintings": counts,
        "trained_on": sum("/train/" in one.file for _, one in named),
        "variance_of_two_axes": float(sum(shares)),
        "nearest_by_same_painter": same,
        "by_chance": chance,
        "mixtures": _mixtures(stylizer, out / "mixtures.jpg"),
    }
    print(f"nearest by the same painter: {same:.2f}, by chance {chance:.2f}", flush=True)
    described = {**provenance.describe_run(), "network": MODEL}
    described["network_sha256"] = network_figures.network_sha256(MODEL)
    files.write_record(out / "record.json", {**described, **told})


def _by_painter(pictures: list[Picture]) -> dict[str, list[Picture]]:
    """The painters of most paintings, whose name stands before a colon, with some of their works.

    A name with (d. ...) is that of one painter; others stand before a title.
    """
    works: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        name, colon, _ = picture.author.partition(":")
        if colon and picture.tier.startswith("A"):
            works[name.partition(" (")[0].title()].append(picture)
    most = sorted(works, key=lambda name: (-len(works[name]), name))[:PAINTERS]
    return {name: spread(works[name], AT_MOST) for name in most}


def _square(path: Path) -> Any:
    """A painting's central square, (1, side, side, 3)."""
    with PillowImage.open(path) as opened:
        painting = opened.convert("RGB")
    side = min(painting.size)
    left, top = ((length - side) // 2 for length in painting.size)
    square = painting.crop((left, top, left + side, top + side))
    small = square.resize((SIDE, SIDE), PillowImage.Resampling.LANCZOS)
    return np.asarray(small)[None] / np.float32(255)


def _principal_axes(vectors: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Places along the two axes of most variance, and the axes' shares of the whole."""
    centred = vectors - vectors.mean(0)
    left, scales, _ = np.linalg.svd(centred, full_matrices=False)
    shares = scales**2 / (scales**2).sum()
    return left[:, :2] * scales[:2], (float(shares[0]), float(shares[1]))


def _same_painter(vectors: np.ndarray, painters: np.ndarray) -> float:
    """How often the nearest other painting is by the same painter."""
    apart = np.square(vectors[:, None] - vectors[None]).sum(-1)
    np.fill_diagonal(apart, np.inf)
    return float((painters[apart.argmin(1)] == painters).mean())


def _mixtures(stylizer: Any, path: Path) -> list[dict[str, Any]]:
    distances, rows, told = RelativeDistances(), [], []
    for name, names in MIXTURES:
        content = files.load_image(files.asset_path(name), size=384)
        paintings = [
            files.load_image(files.asset_path(each), size=stylizer.style_size) for each in names
        ]
        looked = [distances.look_at(central_square(each)) for each in (content, *paintings)]
        row, found = [(content[0], "photograph"), (paintings[0][0], "first painting")], []
        for weight in WEIGHTS:
            blend = (1 - weight, weight)
            painted = stylizer(content, paintings, blend=blend)
            row.append((painted[0], f"{weight:g} of the second"))
            seen = distances.look_at(central_square(painted))
            found.append(
                [distances.compare(seen, looked[0], style)["style"] for style in looked[1:]]
            )
        rows.append([*row, (paintings[1][0], "second painting")])
        told.append(
            {
                "photograph": name,
                "paintings": names,
                "weights_of_second": WEIGHTS,
                "distances_to_first": [each[0] for each in found],
                "distances_to_second": [each[1] for each in found],
            }
        )
    save_sheet(path, rows, side=224)
    return told


def _plot(axes: np.ndarray, painters: np.ndarray, shares: tuple[float, float], path: Path) -> None:
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (panel,) = figure.axes
    figure.set_size_inches(8, 5)
    for place, painter in enumerate(dict.fromkeys(painters.tolist())):
        points = axes[painters == painter]
        marker = "os^Dv<>P"[place % 8]
        panel.scatter(*points.T, s=36, marker=marker, color=f"C{place}", label=painter, alpha=0.8)
    panel.set(
        xlabel=f"first principal axis ({100 * shares[0]:.0f} % of the variance)",
        ylabel=f"second ({100 * shares[1]:.0f} %)",
    )
    panel.grid(alpha=0.3)
    panel.legend(bbox_to_anchor=(1.02, 1), loc="upper left", fontsize=8)
    figure.savefig(path, dpi=120)
