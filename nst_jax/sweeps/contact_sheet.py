"""All pictures of a sweep on one labelled sheet."""

from pathlib import Path

from PIL import Image

from nst_jax import files
from nst_jax.files.labelled_sheet import Cell, draw_sheet
from nst_jax.sweeps import storage
from nst_jax.sweeps.axes import printable
from nst_jax.sweeps.running import Outcome, Sweep

_MOST_COLUMNS = 8
_SIDE = 256  # pixels of a picture's longer side, at most
_LEAST_SIDE = 192  # which smaller ones do not exceed when they are shown two, three, ... times


def write_sheet(path: Path, sweep: Sweep) -> None:
    """Write a JPEG: the inputs, then a row for each row of the grid and seed, wrapped at eight.

    Args:
        path: Where to.
        sweep: Whose folder holds the pictures.

    Raises:
        OSError: A picture cannot be read, or the sheet not be written.
    """
    rows = [_inputs(sweep)]
    for row in sorted({outcome.run.row for outcome in sweep.outcomes}):
        for seed in sweep.grid.seeds:
            cells = [
                _cell(outcome, tell_seed=len(sweep.grid.seeds) > 1)
                for outcome in sweep.outcomes
                if (outcome.run.row, outcome.run.config.seed) == (row, seed)
            ]
            rows += [
                cells[first : first + _MOST_COLUMNS]
                for first in range(0, len(cells), _MOST_COLUMNS)
            ]
    sheet = draw_sheet(rows)
    with files.replacing(path) as temporary:
        sheet.save(temporary, "JPEG", quality=90, optimize=True)


def _inputs(sweep: Sweep) -> list[Cell]:
    names = [path.name for path in (sweep.content, *sweep.styles)]
    shown = storage.input_paths(sweep.folder, len(sweep.styles))
    return [(_open(path), [printable(name)]) for path, name in zip(shown, names, strict=True)]


def _cell(outcome: Outcome, *, tell_seed: bool) -> Cell:
    lines = [f"{name}  {label}" for name, label in outcome.run.labels]
    if tell_seed:
        lines.append(f"seed  {outcome.run.config.seed}")
    lines = [printable(line) for line in lines]
    if outcome.status == "done":
        return _open(outcome.folder / "picture.png"), lines
    return None, [*lines, _tell(outcome)]


def _tell(outcome: Outcome) -> str:
    at = (outcome.record or {}).get("info", {}).get("diverged_at")
    return f"diverged at step {at}" if outcome.status == "diverged" else _STATUS[outcome.status]


_STATUS = {"failed": "failed", "missing": "not run yet"}


def _open(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    times = _LEAST_SIDE // max(small.size)
    if times > 1:
        return small.resize((times * small.width, times * small.height), Image.Resampling.NEAREST)
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return small
