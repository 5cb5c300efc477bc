"""Figures on where a style goes, for gatys_2017.

`spatial` is the paper's figure 2 by content: a painting's ground gets into a photograph's sky,
until skies are painted after skies and ground after ground; then a sky and a ground of two
paintings, and the three ways in which masks reach the layers. `methods` paints two photographs by
optimisation, by the network of many styles and by AdaIN, the sky after one painting and the rest
after another.
Both show the bundled photographs, for which the masks are drawn (common/outlines.py).
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any, get_args

import numpy as np

from experiments.common import network_figures, provenance
from experiments.common.contact_sheet import Cell, save_sheet, split_rows
from experiments.common.labelled_runs import LabelledRuns
from experiments.common.outlines import draw_sky, sky_and_ground
from nst_jax import files, stylizers
from nst_jax.array_types import ImageOfAnySize
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.regions.guidance import MaskMode
from nst_jax.regions.masks import Mask
from nst_jax.stylizers.any_style import AnyStyleStylizer
from nst_jax.stylizers.many_styles import ManyStylesStylizer

CASTLE, TOWER = "content/neuschwanstein_castle.jpg", "content/eiffel_tower.jpg"
CHURCH, HARVEST = "style/van_gogh_church_at_auvers.jpg", "style/van_gogh_harvest.jpg"
STRONG = 200.0  # the style weight of `spatial`, at which what is wrong with a sky can be seen
# Of the network of many styles, and so of all methods in `methods`.
SKY_STYLE, GROUND_STYLE = "starry_night", "grande_jatte"


def spatial(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `spatial`."""
    painter = LabelledRuns(options)
    painter.base = dataclasses.replace(painter.base, style_weight=STRONG)
    content, church, harvest = (_load(name, options.size) for name in (CASTLE, CHURCH, HARVEST))
    masks = sky_and_ground(CASTLE, **_size_of(content))
    harvest_masks = sky_and_ground(HARVEST, **_size_of(harvest))
    church_sky = draw_sky(CHURCH, **_size_of(church))
    cells = [
        (content[0], "photograph"),
        (_as_picture(masks[0]), "its sky"),
        (harvest[0], "painting"),
        (church[0], "second painting"),
        painter.paint("plain", content, [harvest]),
        painter.paint(
            "sky to sky, ground to ground",
            content,
            [harvest, harvest],
            masks=masks,
            style_masks=list(harvest_masks),
        ),
    ]
    for mode in get_args(MaskMode):
        label = f"sky of the second, ground of the first, {mode}"
        config = dataclasses.replace(painter.base, mask_mode=mode)
        of_styles = [church_sky, harvest_masks[1]]
        cell = painter.paint(
            label, content, [church, harvest], config=config, masks=masks, style_masks=of_styles
        )
        cells.append(cell)
    _save(out, cells, columns=3, record={"pictures": [CASTLE, CHURCH, HARVEST]}, painter=painter)


def methods(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `methods`."""
    painter = LabelledRuns(options)
    many, any_style = (stylizers.load_stylizer(name) for name in ("dumoulin2017", "huang2017"))
    assert isinstance(many, ManyStylesStylizer)
    assert isinstance(any_style, AnyStyleStylizer)
    names = (SKY_STYLE, GROUND_STYLE)
    paintings = [network_figures.load_painting(many, name, options.data) for name in names]
    paintings = [resize_longer_side(painting, options.size) for painting in paintings]
    cells: list[Cell] = []
    for name in (CASTLE, TOWER):
        content = _load(name, options.size)
        masks = sky_and_ground(name, **_size_of(content))
        cells += [
            (content[0], "photograph"),
            painter.paint(f"optimised, {Path(name).stem}", content, paintings, masks=masks),
            (np.asarray(many(content, names, masks=masks)[0]), "many styles in one network"),
            (np.asarray(any_style(content, paintings, masks=masks)[0]), "AdaIN"),
        ]
    _save(
        out,
        cells,
        columns=4,
        record={"pictures": [CASTLE, TOWER], "sky_and_ground": names},
        painter=painter,
    )


def _save(
    out: Path, cells: list[Cell], *, columns: int, record: dict[str, Any], painter: LabelledRuns
) -> None:
    save_sheet(out / "sheet.jpg", split_rows(cells, columns), side=384)
    record = {**provenance.describe_run(), **record, "runs": painter.records}
    files.write_record(out / "record.json", record)


def _load(name: str, size: int) -> ImageOfAnySize:
    return files.load_image(files.asset_path(name), size=size)


def _size_of(image: ImageOfAnySize) -> dict[str, int]:
    return {"height": image.shape[1], "width": image.shape[2]}


def _as_picture(mask: Mask) -> np.ndarray:
    return np.repeat(mask[..., None], 3, axis=-1)
