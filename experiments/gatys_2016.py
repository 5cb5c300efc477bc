"""Gatys et al. 2016: what the weights and layers do, as sheets of pictures.

    python experiments/gatys_2016.py [--figures weights] [--size 256] [--out results/gatys_2016]

Each figure is a folder with one labelled sheet, sheet.jpg, and record.json with every run's
configuration, losses and seconds. Runs that the record already holds, at the same size and with
pictures that are still there, are not repeated. The bundled photograph and painting are used, so
no further data are needed. On two CPU cores at 256 pixels `weights` takes about ten minutes.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from nst_jax.encoders.pretrained import load_encoder
from nst_jax.files import asset_path, load_image, read_record, save_image, write_record
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config

CONTENT = "content/neuschwanstein_castle.jpg"
STYLE = "style/van_gogh_church_at_auvers.jpg"

Variations = Mapping[str, Config]
"""A picture's label, 'field = value', to the configuration that makes it."""


def weight_rows(base: Config) -> dict[str, Variations]:
    """Rows of the figure `weights`: in each one thing departs from the default."""

    def vary(**changes) -> Config:
        return dataclasses.replace(base, **changes)

    def style_up_to(block: int) -> Config:
        layers = gatys_2016.STYLE_LAYERS[:block]
        return vary(style_layers=tuple((layer, 1 / block) for layer in layers))

    return {
        "style_weight": {f"style weight {w:g}": vary(style_weight=w) for w in (2.0, 50.0, 1250.0)},
        "content_layer": {
            f"content {layer}": vary(content_layers=((layer, 1.0),))
            for layer in ("relu2_2", "relu3_3", "relu4_2")
        },
        "style_layers": {f"style up to relu{b}_1": style_up_to(b) for b in (1, 3, 5)},
        "tv_weight": {f"tv weight {w:g}": vary(tv_weight=w) for w in (0.0, 50.0, 2000.0)},
        "init": {
            "init content": vary(init="content"),
            "init noise": vary(init="noise"),
            "init style": vary(init="style"),
        },
    }


def weights(size: int, out: Path) -> None:
    """Make the figure `weights`: five rows of three pictures, default settings but for one."""
    base = dataclasses.replace(gatys_2016.PRESETS["default"], size=size)
    rows = weight_rows(base)
    runs = {label: config for row in rows.values() for label, config in row.items()}
    record = {"runs": _run_all(runs, out)}
    write_record(out / "record.json", record)
    labels = [list(row) for row in rows.values()]
    save_sheet(out / "sheet.jpg", [[(_picture(out, label), label) for label in r] for r in labels])


def _picture(out: Path, label: str) -> Path:
    return out / (label.replace(" ", "_") + ".jpg")


def _run_all(runs: Variations, out: Path) -> dict[str, dict]:
    out.mkdir(parents=True, exist_ok=True)
    known = read_record(out / "record.json")["runs"] if (out / "record.json").exists() else {}
    encoder, params = load_encoder("vgg16")
    records: dict[str, dict] = {}
    for label, config in runs.items():
        same = known.get(label, {}).get("config") == _as_json(config)
        if same and _picture(out, label).exists():
            records[label] = known[label]
            continue
        content = load_image(asset_path(CONTENT), size=config.size)
        style = load_image(asset_path(STYLE), size=config.size)
        image, record = gatys_2016.stylize(content, style, config, encoder, params)
        save_image(_picture(out, label), image)
        # Of the losses only the first and the last: a sheet of runs would fill megabytes.
        steps = [record["info"]["initial"], record["steps"][-1]]
        records[label] = {**record, "config": _as_json(config), "steps": steps}
        write_record(out / "record.json", {"runs": {**known, **records}})
        print(f"{label}: total {steps[-1]['total']:.4g}, {record['seconds']['run']:.0f} s")
    return records


def _as_json(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def save_sheet(path: Path, rows: list[list[tuple[Path, str]]], *, caption: int = 22) -> None:
    """Save pictures of one size as a labelled grid."""
    pictures = [[(Image.open(file), label) for file, label in row] for row in rows]
    width, height = pictures[0][0][0].size
    columns = max(len(row) for row in pictures)
    sheet = Image.new("RGB", (columns * width, len(rows) * (height + caption)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=caption * 0.65)
    for r, row in enumerate(pictures):
        for c, (picture, label) in enumerate(row):
            left, top = c * width, r * (height + caption)
            draw.text((left + 4, top + 2), label, fill="black", font=font)
            sheet.paste(picture, (left, top + caption))
    sheet.save(path, quality=88)


FIGURES = {"weights": weights}


def main() -> None:
    """Make the figures that were asked for."""
    parser = argparse.ArgumentParser(description="Figures on Gatys et al. 2016.")
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--out", type=Path, default=Path("results/gatys_2016"))
    options = parser.parse_args()
    for name in options.figures:
        FIGURES[name](options.size, options.out / name)
        print(f"wrote {options.out / name}")


if __name__ == "__main__":
    sys.exit(main())
