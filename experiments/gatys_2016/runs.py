"""Runs of Gatys et al. 2016 that figures are made of: each is done once, kept, and credited.

A run is one picture. Its entry in record.json and its file are written as soon as it is done, so
that a figure that was killed goes on where it was, and one that is complete computes nothing.
"""

import argparse
import csv
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common import contact_sheet, network_figures, provenance
from experiments.common.contact_sheet import Cell
from experiments.common.data_folder import Picture
from experiments.common.descent import spacing
from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import PRESETS, Config
from nst_jax.runs.report import DivergedError

WEIGHT = 100.0  # the larger one of content and style
UNITS = 1e2  # our alpha/beta over that of the paper's captions


class Run(NamedTuple):
    """What one picture is made from."""

    config: Config
    content: Picture
    style: Picture

    @property
    def may_be_shown(self) -> bool:
        """Whether its picture may be published; if not there are its numbers alone."""
        return self.content.may_be_shown and self.style.may_be_shown


Runs = Mapping[str, Run]
"""Runs by name; spaces in a name are underscores in its file's."""


def base_config(*, size: int, num_steps: int) -> Config:
    """The paper's recipe on the normalised network that is at hand, VGG-16's.

    From noise, by average pooling and L-BFGS, without total variation. A layer is what comes after
    its ReLU, as in the authors' code: that is what the network is normalised for, and the preset
    `paper` takes the paper's conv4_2 at its word. The style weight is a ten-millionth of the
    authors' 1e9: from so large a gradient the second step of L-BFGS overflows where the first pair
    has negative curvature, as from a photograph. What is smallest depends on the ratio alone. The
    noise is faint, since average pooling leaves what is in single pixels: from a deviation of 0.5
    the pictures stayed speckled.
    """
    base = dataclasses.replace(
        PRESETS["paper"],
        encoder="vgg16",
        weights="vgg16-normalized",
        style_weight=WEIGHT,
        content_layers=(("relu4_2", 1.0),),
        style_layers=style_layers_up_to(5),
        noise_std=0.1,
        size=size,
        num_steps=num_steps,
    )
    return at_ratio(base, 1e-3)


def size_and_steps(
    options: argparse.Namespace, *, size: int | None, num_steps: int
) -> dict[str, Any]:
    """The size and number of steps that the user asks for, or else the figure's own."""
    own = {"size": size, "num_steps": num_steps}
    return {
        name: value if getattr(options, name) is None else getattr(options, name)
        for name, value in own.items()
    }


def at_ratio(config: Config, ratio: float) -> Config:
    """The configuration whose alpha/beta is the paper's of this value.

    Ours weighs the mean of ΔF² against the layers' mean of (ΔFᵀF / M)², as the authors' code for
    the normalised network. The paper's own formulas sum over the content's features instead, which
    would multiply alpha by half their number, a million at 512 pixels. By ours the
    captions' values are not what makes a series from painting to photograph: Tübingen after
    Composition VII only begins to be seen at 1e-1, the last of figure 4. UNITS is what does, found
    by looking at pictures of 96 to 192 pixels. Neither weight exceeds WEIGHT.
    """
    content = UNITS * ratio
    return dataclasses.replace(
        config,
        content_weight=WEIGHT * min(1.0, content),
        style_weight=WEIGHT * min(1.0, 1 / content),
    )


def style_layers_up_to(block: int) -> tuple[tuple[str, float], ...]:
    """The style layers of the blocks up to this one, which share a weight of 1 equally."""
    return tuple((layer, 1 / block) for layer in gatys_2016.STYLE_LAYERS[:block])


def name_ratio(ratio: float) -> str:
    """1e-3 rather than 0.001."""
    return f"{ratio:.0e}".replace("e-0", "e-")


def bundled(file: str) -> Picture:
    """A picture that comes with nst_jax, which may be shown itself."""
    with files.asset_path("SOURCES.csv").open(newline="", encoding="utf-8") as stream:
        row = next(row for row in csv.DictReader(stream) if row["file"] == file)
    path = files.asset_path(file)
    side = max(files.load_image(path).shape)
    return Picture(path, file, row["title_or_author"], row["licence"], "A", side)


def describe_command(figure: str, options: argparse.Namespace) -> str:
    """The command that makes a figure again, on any machine."""
    words = [provenance.describe_module(), "--figures", figure, "--data", "FOLDER"]
    for option in ("size", "num_steps"):
        if (value := getattr(options, option)) is not None:
            words += ["--" + option.replace("_", "-"), str(value)]
    return " ".join(words)


def run_all(runs: Runs, out: Path, *, command: str) -> dict[str, dict[str, Any]]:
    """Do the runs that the record lacks, and return the records of all by name.

    Raises:
        ValueError: A run diverged; those before it are kept.
        KeyboardInterrupt: The user stopped it; the run that was stopped is not kept.
    """
    path = out / "record.json"
    known = files.read_record(path)["runs"] if path.exists() else {}
    records: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        if _is_done(name, run, known.get(name), out):
            records[name] = known[name]
            continue
        records[name] = _make(name, run, out)
        _write(path, command, runs, {**known, **records})
    _write(path, command, runs, records)
    return records


def _write(path: Path, command: str, runs: Runs, records: Mapping[str, Any]) -> None:
    pictures = [picture for run in runs.values() for picture in (run.content, run.style)]
    credit = {one.file: {"author": one.author, "licence": one.licence} for one in pictures}
    files.write_record(path, {"command": command, "credit": credit, "runs": records})


def _is_done(name: str, run: Run, record: Mapping[str, Any] | None, out: Path) -> bool:
    if record is None or (run.may_be_shown and not picture_path(out, name).exists()):
        return False
    # Records of `weights` may be older than the names of pictures in them.
    return all(record.get(key, value) == value for key, value in _describe(run).items())


def _describe(run: Run) -> dict[str, Any]:
    """What a run has in common with one that need not be repeated, as a record answers it."""
    config = network_figures.as_recorded(dataclasses.asdict(run.config))
    return {"config": config, "content": run.content.file, "style": run.style.file}


def _make(name: str, run: Run, out: Path) -> dict[str, Any]:
    encoder, params = _load_encoder(run.config.weights)
    content, style = (
        files.load_image(picture.path, size=run.config.size) for picture in (run.content, run.style)
    )
    try:
        image, record = gatys_2016.stylize(content, style, run.config, encoder, params)
    except DivergedError as error:
        raise ValueError(f"{name}: {error}") from error
    if record["info"]["interrupted"]:
        raise KeyboardInterrupt
    if run.may_be_shown:
        files.save_image(picture_path(out, name), image)
    first, last = record["info"]["initial"], record["steps"][-1]
    print(f"{name}: total {last['total']:.4g}, {record['seconds']['run']:.0f} s", flush=True)
    # Of the losses some twenty are enough to draw: a sheet of runs would fill megabytes.
    every = spacing(run.config.num_steps)
    steps = [first, *record["steps"][every - 1 : -1 : every], last]
    return {**record, **_describe(run), "commit": provenance.current_commit(), "steps": steps}


@functools.cache
def _load_encoder(weights: str | None) -> Any:
    return load_encoder("vgg16", weights=weights)


def add_to_record(out: Path, **numbers: Any) -> None:
    """Add to a figure's record what its runs come to together."""
    path = out / "record.json"
    files.write_record(path, {**files.read_record(path), **numbers})


def picture_path(out: Path, name: str) -> Path:
    """The file of a run's picture."""
    return out / (name.replace(" ", "_") + ".jpg")


def made(out: Path, name: str, label: str | None = None) -> Cell:
    """The cell of a sheet with a run's picture, under its name or another label."""
    return files.load_image(picture_path(out, name))[0], label or name


def given(picture: Picture, size: int, label: str) -> Cell:
    """The cell of a sheet with a bundled picture."""
    return files.load_image(picture.path, size=size)[0], label


def save_sheet(out: Path, rows: Sequence[Sequence[Cell]], *, side: int) -> None:
    """Save the sheet of a figure."""
    contact_sheet.save_sheet(out / "sheet.jpg", rows, side=side)
