"""A picture too large for memory, painted in one pass from one TIFF file into another.

Tiles are read, painted and written one at a time. What they are normalised by is measured before,
exactly. Nothing is printed. The state lies in OUT.state/ and says after every tile, and after every
measured layer, how far the run is; the same job goes on from there.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nst_jax import files
from nst_jax.files.disk import quoted
from nst_jax.jobs.styles import Regions, SameStyle, StyleChoice, choose_renderings
from nst_jax.ops.convolution import Precision
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    MAX_PIXELS,
    OneStyleStylizer,
    Stylizer,
    fit_size,
    load_stylizer,
)
from nst_jax.stylizers.exact_statistics import can_measure, exact_statistics
from nst_jax.stylizers.painting import (
    Conditions,
    Statistics,
    find_statistics,
    painted_tiles,
    plan_tiles_of,
    require_room,
)

OnProgress = Callable[[str, int, int], None]
_PAINTED, _DECODED = "painted.raw", "decoded.raw"


@dataclass(frozen=True)
class StripsJob:
    """What is to be painted, and by which network.

    Attributes:
        content: A TIFF file, RGB of 8 bits.
        out: The TIFF file to write.
        choice: One style, without masks and colours.
        model: A network's name or file, or one that is loaded; None for stylizers.DEFAULT_MODEL.
        precision: Of a network that is loaded now.
        max_pixels: How many pixels run at once.
        overwrite: Whether OUT may be replaced.
    """

    content: str | os.PathLike[str]
    out: str | os.PathLike[str]
    choice: StyleChoice = field(default_factory=StyleChoice)
    model: str | os.PathLike[str] | Stylizer | None = None
    precision: Precision = "float32"
    max_pixels: int = MAX_PIXELS
    overwrite: bool = False


class Painted(NamedTuple):
    """What a run came to.

    Attributes:
        width: Of the picture, in pixels.
        height: Of the picture.
        tiles_before: How many tiles an earlier run had painted.
        is_finished: Whether OUT is written.
    """

    width: int
    height: int
    tiles_before: int
    is_finished: bool


def run(
    job: StripsJob, *, on_progress: OnProgress | None = None, cancel: Cancel | None = None
) -> Painted:
    """Paint a picture from file to file; go on with what an earlier run has left.

    Args:
        job: What to paint.
        on_progress: Called with "measuring" and the number of layers that are measured, or
            "painting" and the number of tiles that are painted, and how many there are.
        cancel: A flag that any thread may set: the run ends after the tile in progress.

    Raises:
        ValueError: The job asks for what cannot be painted so, or the state is another run's.
        FileExistsError: OUT exists.
        OSError: A file cannot be read or written.
        ModuleNotFoundError: tifffile is missing.
        KeyboardInterrupt: Ctrl-C; the same job goes on.
    """
    out, folder = Path(job.out), Path(f"{os.fspath(job.out)}.state")
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"out: wanted a .tif with strips, got {quoted(out)}")
    files.check_output(out, overwrite=job.overwrite)
    stylizer, conditions = _choose(job)
    with files.no_empty_folder(folder):
        files.make_folder(folder)
        return _run_in(folder, job, stylizer, conditions, on_progress, cancel)


def _run_in(
    folder: Path,
    job: StripsJob,
    stylizer: Stylizer,
    conditions: Conditions,
    on_progress: OnProgress | None,
    cancel: Cancel | None,
) -> Painted:
    with files.locked(folder, name="out"):
        source = files.open_tiff(job.content, scratch=folder / _DECODED)
        height, width, _ = source.shape
        size = fit_size(height, width)
        require_room(stylizer.model, *size, max_pixels=job.max_pixels)
        identity = _identify(job, stylizer, conditions)
        progress = _Progress(folder, identity, on_progress or (lambda stage, done, of: None))
        if progress.tiles is None or not (folder / _PAINTED).exists():
            files.PixelFile.create(folder / _PAINTED, height=height, width=width)
            progress.tiles = 0
        canvas = files.PixelFile(folder / _PAINTED, height=height, width=width)
        statistics = _measure(job, stylizer, source, conditions, progress)
        max_side, before = math.isqrt(job.max_pixels), progress.tiles
        count = len(plan_tiles_of(stylizer.model, size, max_side)[1])
        progress.tell("painting", before, count)
        tiles = painted_tiles(
            *(stylizer.model, source, conditions, statistics),
            size=size,
            max_side=max_side,
            first=before,
        )
        for tile, pixels in tiles:
            canvas.write(tile.rows[0], tile.columns[0], pixels)
            progress.tiles += 1
            progress.save()
            progress.tell("painting", progress.tiles, count)
            if cancel is not None and cancel.is_set():
                return Painted(width, height, before, is_finished=False)
        files.save_tiff(job.out, canvas, overwrite=job.overwrite)
        for name in (_PAINTED, _DECODED):
            files.remove_file(folder / name)
        files.remove_state(folder)
    return Painted(width, height, before, is_finished=True)


def _choose(job: StripsJob) -> tuple[Stylizer, Conditions]:
    """The network, and its arguments besides pictures."""
    stylizer = job.model
    if not isinstance(stylizer, Stylizer):
        name = DEFAULT_MODEL if stylizer is None else stylizer
        stylizer = load_stylizer(name, precision=job.precision)
    if isinstance(stylizer, OneStyleStylizer):
        raise ValueError(
            "strips: wanted a model of several styles or of any, got one of a single style, whose "
            "results are filtered afterwards; choose another --model"
        )
    stylizer.check_max_pixels(job.max_pixels)
    can_measure(stylizer.model)  # for its errors
    renderings = choose_renderings(stylizer, job.choice)
    rendering = renderings[0]
    if len(renderings) != 1 or not isinstance(rendering, SameStyle):
        raise ValueError(
            "strips: wanted one style, or one mixture, in its own colours; leave out the others "
            "and --color"
        )
    if rendering.regions != Regions():
        raise ValueError(
            "strips: wanted without --mask, whose regions are laid over whole pictures"
        )
    style = stylizer.style_for(np.zeros((16, 16, 3), np.float32), rendering.style)
    return stylizer, stylizer.conditions(style)


def _measure(
    job: StripsJob,
    stylizer: Stylizer,
    source: files.PixelFile,
    conditions: Conditions,
    progress: "_Progress",
) -> Statistics | None:
    """What the tiles are normalised by; layer by layer where layers depend on one another."""
    options: Any = {"size": fit_size(*source.shape[:2]), "max_pixels": job.max_pixels}
    if not can_measure(stylizer.model):
        pixels: Any = source  # which tiles are cut from as from an array
        return find_statistics(stylizer.model, pixels, conditions, **options)

    def keep(statistics: Statistics, layers: int) -> None:
        progress.statistics = statistics
        progress.save()
        progress.tell("measuring", len(flatten_dict(statistics)) // 2, layers)

    return exact_statistics(
        stylizer.model, source, conditions, **options, known=progress.statistics, on_layer=keep
    )


class _Progress:
    """How far a run is, in its folder."""

    def __init__(self, folder: Path, identity: str, tell: OnProgress) -> None:
        self._folder, self._identity, self.tell = folder, identity, tell
        self.statistics: Statistics | None = None
        self.tiles: int | None = None
        saved = files.load_state(folder)
        if saved is None:
            return
        arrays, metadata = saved
        if metadata["identity"] != identity:
            raise ValueError(
                f"out: {quoted(folder)} is of a run with another picture, style or model; remove "
                "the folder or choose another name"
            )
        self.tiles = metadata["tiles"]
        self.statistics = unflatten_dict(
            {tuple(name.split("/")): each for name, each in arrays.items()}
        )

    def save(self) -> None:
        flat: Mapping[Any, Any] = flatten_dict(self.statistics or {})
        arrays = {"/".join(path): np.asarray(each) for path, each in flat.items()}
        files.save_state(self._folder, arrays, {"identity": self._identity, "tiles": self.tiles})


def _identify(job: StripsJob, stylizer: Stylizer, conditions: Conditions) -> str:
    """A hash by which a run knows its own state."""
    found = os.stat(job.content)
    digest = hashlib.sha256(
        json.dumps([found.st_size, found.st_mtime_ns, job.max_pixels, job.precision]).encode()
    )
    for leaf in jax.tree.leaves((stylizer.variables, conditions)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
