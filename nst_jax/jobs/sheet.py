"""One photograph in many styles, as numbered pictures on one sheet.

Nothing is printed; see make_sheet.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import PIL.Image

from nst_jax import files
from nst_jax.files.labelled_sheet import Cell, draw_sheet
from nst_jax.jobs import folder, pictures
from nst_jax.jobs.folder import FolderJob
from nst_jax.jobs.named_styles import NamedStyle, list_named_styles
from nst_jax.jobs.pictures import Pixels
from nst_jax.jobs.styles import ALL, StyleChoice
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import DEFAULT_MODEL, Stylizer

SIZE = 256
"""Pixels of the longer side of a sheet's pictures where the user says nothing."""

_COLUMNS = 5


@dataclass(frozen=True)
class SheetJob:
    """What is shown on a sheet.

    Attributes:
        content: The photograph: a path, Pillow's picture or an array.
        paintings: Pictures or folders of them to paint after; none for all named styles.
        model: Of any style, for the paintings: a name, a file, or one that is loaded.
        alpha: How much of the paintings' style; None is all.
        size: Pixels of each picture's longer side.
    """

    content: Any
    paintings: Sequence[Any] = ()
    model: str | os.PathLike[str] | Stylizer = DEFAULT_MODEL
    alpha: float | None = None
    size: int = SIZE


class Entry(NamedTuple):
    """A picture of a sheet.

    Attributes:
        number: From 1 on.
        name: Of the style.
        style: The named style; None for a painting.
        pixels: The picture.
    """

    number: int
    name: str
    style: NamedStyle | None
    pixels: Pixels


class Sheet(NamedTuple):
    """What came of it.

    Attributes:
        entries: The pictures.
        picture: The photograph and the pictures with their numbers and names, on white.
        is_finished: Whether nothing has stopped the run.
    """

    entries: list[Entry]
    picture: PIL.Image.Image
    is_finished: bool


def make_sheet(
    job: SheetJob,
    *,
    on_progress: Callable[[int, int | None], None] | None = None,
    cancel: Cancel | None = None,
) -> Sheet:
    """Return a photograph in many styles.

    Args:
        job: Which.
        on_progress: Called with how many pictures are done, and of how many.
        cancel: A flag that any thread may set: the sheet has what is painted by then.

    Raises:
        ValueError: A picture or an option is wrong, or two paintings have one name.
        OSError: A file cannot be read.
    """
    photograph = pictures.load_pixels(job.content, size=job.size)
    tell = on_progress or (lambda done, of: None)
    found: list[tuple[str, NamedStyle | None, Pixels]] = []
    is_finished = True
    named = () if job.paintings else list_named_styles()
    for part, styles in _parts(job, named):
        done = len(found)

        def on_part(of_part: int, of: int | None, done: int = done) -> None:
            tell(done + of_part, len(named) or of)

        report = folder.run(part, on_progress=on_part, cancel=cancel)
        if report.failures:
            raise report.failures[0]
        painted = [pixels for pixels in report.pictures[0] if pixels is not None]
        names = [result.style for result in report.results]
        if styles is None:
            names = [name or pictures.stem_of(job.paintings[0], 1) for name in names]
            found += [(name, None, each) for name, each in zip(names, painted, strict=True)]
        else:
            found += [
                (style.name, style, each) for style, each in zip(styles, painted, strict=False)
            ]
        if not report.is_finished:
            is_finished = False
            break
    entries = [Entry(number, *each) for number, each in enumerate(found, start=1)]
    return Sheet(entries, _draw(photograph, entries), is_finished)


def save_sheet(path: str | os.PathLike[str], sheet: Sheet, *, overwrite: bool = False) -> None:
    """Write a sheet's picture.

    Args:
        path: Where to.
        sheet: The sheet.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        ValueError, OSError: As files.save_image.
    """
    pixels = files.from_pillow(sheet.picture)
    files.save_image(Path(path), jnp.asarray(pixels[None]), overwrite=overwrite)


def _parts(
    job: SheetJob, named: Sequence[NamedStyle]
) -> list[tuple[FolderJob, list[NamedStyle] | None]]:
    """The runs that the sheet is made of: one a model, and its styles."""
    if job.paintings:
        choice = StyleChoice(names=tuple(job.paintings), alpha=job.alpha)
        return [(FolderJob([job.content], choice, model=job.model, size=job.size), None)]
    parts = []
    for model, group in groupby(named, key=lambda style: style.model):
        styles = list(group)
        names = () if styles[0].is_only else (ALL,)
        part = FolderJob([job.content], StyleChoice(names=names), model=model, size=job.size)
        parts.append((part, styles))
    return parts


def _draw(photograph: Pixels, entries: Sequence[Entry]) -> PIL.Image.Image:
    cells: list[Cell] = [(_to_pillow(photograph), ["photograph"])]
    for entry in entries:
        below = [] if entry.style is None else [entry.style.model]
        name = "".join(letter if letter.isprintable() else "?" for letter in entry.name)
        cells.append((_to_pillow(entry.pixels), [f"{entry.number}  {name}", *below]))
    rows = [cells[first : first + _COLUMNS] for first in range(0, len(cells), _COLUMNS)]
    return draw_sheet(rows)


def _to_pillow(pixels: Pixels) -> PIL.Image.Image:
    return files.to_pillow(jnp.asarray(pixels[None]))
