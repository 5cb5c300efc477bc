"""All pictures of a sweep on one labelled sheet."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nst_jax import files
from nst_jax.sweeps import storage
from nst_jax.sweeps.axes import printable
from nst_jax.sweeps.running import Outcome, Sweep

_MOST_COLUMNS = 8
_SIDE = 256  # pixels of a picture's longer side, at most
_LEAST_SIDE = 192  # which smaller ones do not exceed when they are shown two, three, ... times
_GAP, _MARGIN = 8, 12
_FONT_SIZE, _LINE = 12, 17
_INK, _FAINT, _PAPER = "#1c1c1c", "#8a8a8a", "white"

Cell = tuple[Image.Image | None, list[str]]
"""A picture, or None for one that is not there, and the lines above it."""


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
    sheet = _draw(rows)
    with files.replacing(path) as temporary:
        sheet.save(temporary, "JPEG", quality=90, optimize=True)


def caption_font(size: int | float) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, of which matplotlib brings a copy: Pillow's own font has no letter é.

    Args:
        size: In pixels.
    """
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _inputs(sweep: Sweep) -> list[Cell]:
    names = [path.name for path in (sweep.content, *sweep.styles)]
    shown = storage.input_paths(sweep.folder, len(sweep.styles))
    return [(_open(path), [name]) for path, name in zip(shown, names, strict=True)]


def _cell(outcome: Outcome, *, tell_seed: bool) -> Cell:
    lines = [f"{name}  {label}" for name, label in outcome.run.labels]
    if tell_seed:
        lines.append(f"seed  {outcome.run.config.seed}")
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


def _draw(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """The cells, all of one width, each row as high as its highest."""
    font = caption_font(_FONT_SIZE)
    pictures = [picture for row in rows for picture, _ in row if picture is not None]
    width = max(max(picture.width for picture in pictures), 140)
    blank = max(picture.height for picture in pictures)
    texts = [[_wrap(lines, font, width) for _, lines in row] for row in rows]
    captions = [_LINE * max(len(lines) for lines in row) for row in texts]
    heights = [max(p.height if p is not None else blank for p, _ in row) for row in rows]
    columns = max(len(row) for row in rows)
    size = (
        2 * _MARGIN + columns * width + (columns - 1) * _GAP,
        2 * _MARGIN + sum(captions) + sum(heights) + (len(rows) - 1) * 2 * _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw, top = ImageDraw.Draw(sheet), _MARGIN
    for row, lines_of_row, caption, height in zip(rows, texts, captions, heights, strict=True):
        for column, ((picture, _), lines) in enumerate(zip(row, lines_of_row, strict=True)):
            left = _MARGIN + column * (width + _GAP)
            above = top + caption - _LINE * len(lines)  # next to its picture
            for number, line in enumerate(lines):
                draw.text((left, above + number * _LINE), line, fill=_INK, font=font)
            if picture is not None:
                sheet.paste(picture, (left, top + caption))
            else:
                box = (left, top + caption, left + width - 1, top + caption + height - 1)
                draw.rectangle(box, outline=_FAINT, fill="#f2f2f2")
        top += caption + height + 2 * _GAP
    return sheet


def _wrap(lines: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines no wider than a picture, broken at spaces, and within words where one is too long."""
    wrapped: list[str] = []
    for line in lines:
        current = ""
        for word in printable(line).split(" "):
            longer = f"{current} {word}" if current else word
            if font.getlength(longer) <= width:
                current = longer
                continue
            if current.strip():
                wrapped.append(current)
            current = word
            while font.getlength(current) > width:
                count = next(
                    n for n in range(len(current), 0, -1) if font.getlength(current[:n]) <= width
                )
                count = current.rfind("_", 0, count) + 1 or count  # as in names of files
                wrapped.append(current[:count])
                current = current[count:]
        wrapped.append(current)
    return wrapped
