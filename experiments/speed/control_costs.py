"""What each control costs in time over painting plainly, in every method.

    python -m experiments.speed.control_costs [--size 256] [--num-steps 20] [--repeats 3]

Optimisation is timed as a whole run of so many steps, with the targets and guidance channels that
it computes first; the networks as one picture, whose paintings have been encoded. Each is compared
with the plain one within a turn, after one turn that compiles. Results: results/control_costs.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.common import command, provenance
from experiments.common.outlines import sky_and_ground
from experiments.common.turns import Work, compare, interleave
from nst_jax import files, stylizers
from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.ops import color
from nst_jax.papers import gatys_2016
from nst_jax.stylizers.any_style import AnyStyleStylizer
from nst_jax.stylizers.many_styles import ManyStylesStylizer

CONTENT = "content/neuschwanstein_castle.jpg"
STYLES = ("style/van_gogh_church_at_auvers.jpg", "style/van_gogh_harvest.jpg")
PLAIN = "plain"
PASSES = 5  # of a network for each run of optimisation, which takes so much longer


def optimisation(content: Image, styles: list[ImageOfAnySize], num_steps: int) -> dict[str, Work]:
    """Runs of gatys_2016.stylize at one size."""
    base = dataclasses.replace(
        gatys_2016.PRESETS["default"], size=None, num_steps=num_steps, scales=((1.0, 1.0),)
    )
    network, masks = load_encoder("vgg16"), _masks(content)

    def run(count: int = 1, *, guided: bool = False, **changes: Any) -> Any:
        return gatys_2016.stylize(
            content,
            styles[:count],
            dataclasses.replace(base, **changes),
            *network,
            masks=masks if guided else None,
        )

    return {
        PLAIN: run,
        "two styles blended": partial(run, 2),
        "two regions": partial(run, 2, guided=True),
        "two regions, inside": partial(run, 2, guided=True, mask_mode="inside"),
        "colours by PCA, before": partial(run, color="pca"),
        "luminance, after": partial(run, color="luminance", color_when="after"),
        "styles at half size": partial(run, style_size=max(content.shape[1:3]) // 2),
        "coarse to fine": partial(run, scales=gatys_2016.PRESETS["default"].scales),
    }


def any_style(content: Image, styles: list[ImageOfAnySize]) -> dict[str, Work]:
    """Passes of AdaIN."""
    stylizer = stylizers.load_stylizer("huang2017")
    assert isinstance(stylizer, AnyStyleStylizer)
    encoded, masks = [stylizer.encode_style(style) for style in styles], _masks(content)

    def paint(count: int = 1, **given: Any) -> Any:
        return jax.block_until_ready(stylizer(content, encoded[:count], **given))

    def keep_colors() -> Any:
        recoloured = color.prepare_style(styles[0], content, color="pca", when="before")
        return jax.block_until_ready(stylizer(content, recoloured))

    return {
        PLAIN: paint,
        "two styles blended": partial(paint, 2),
        "two regions": partial(paint, 2, masks=masks),
        "alpha": partial(paint, alpha=0.5),
        "colours by PCA, before, and encoding": keep_colors,
        "luminance, after": _with_hues(content, paint),
    }


def many_styles(content: Image) -> dict[str, Work]:
    """Passes of the network of many styles."""
    stylizer = stylizers.load_stylizer("dumoulin2017")
    assert isinstance(stylizer, ManyStylesStylizer)
    first, second = stylizer.styles[:2]
    masks = _masks(content)

    def paint(style: Any = first, **given: Any) -> Any:
        return jax.block_until_ready(stylizer(content, style, **given))

    return {
        PLAIN: paint,
        "two styles blended": partial(paint, {first: 0.5, second: 0.5}),
        "two regions": partial(paint, (first, second), masks=masks),
        "luminance, after": _with_hues(content, paint),
    }


def _with_hues(content: Image, paint: Work) -> Work:
    def work() -> Any:
        kept = color.finish(paint(), content, color="luminance", when="after")
        return jax.block_until_ready(kept)

    return work


def _masks(content: Image) -> np.ndarray:
    return sky_and_ground(CONTENT, height=content.shape[1], width=content.shape[2])


def _measure(works: Mapping[str, Work], repeats: int) -> dict[str, dict[str, float]]:
    return compare(interleave(works, repeats=repeats), PLAIN)


def print_table(methods: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print the seconds and ratios of every method."""
    table = Table("method", "control", "seconds", "over plain")
    for method, rows in methods.items():
        for name, found in rows.items():
            table.add_row(method, name, f"{found['seconds']:.3f}", f"{found['ratio']:.2f}")
    Console(width=max(100, Console().width)).print(table)


def main() -> None:
    """Time every control."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--num-steps", type=int, default=20, help="of a run of optimisation")
    parser.add_argument("--repeats", type=int, default=3, help="turns that count")
    command.add_out_option(parser, "results/control_costs")
    options = command.parse(parser)
    content, *styles = (
        files.load_image(files.asset_path(name), size=options.size) for name in (CONTENT, *STYLES)
    )
    repeats, passes = options.repeats, PASSES * options.repeats
    methods = {
        "optimisation": _measure(optimisation(content, styles, options.num_steps), repeats),
        "any style (AdaIN)": _measure(any_style(content, styles), passes),
        "many styles": _measure(many_styles(content), passes),
    }
    print_table(methods)
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {"size": options.size, "num_steps": options.num_steps, "repeats": options.repeats}
    record = {**provenance.describe_run(), "settings": settings, "methods": methods}
    files.write_record(options.out / "record.json", record)


if __name__ == "__main__":
    command.run(main)
