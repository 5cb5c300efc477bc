"""Sheets of pictures in rows, small enough to be kept with the results."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from nst_jax.files.labelled_sheet import caption_font

MAX_BYTES = 600_000
CAPTION = 20  # pixels
MARGIN = 3  # left and right of a label

Cell = tuple[Any, str]
"""A picture, (height, width, 3) in [0, 1], and what is written above it."""


def save_sheet(path: Path, rows: Sequence[Sequence[Cell]], *, side: int) -> None:
    """Save rows of pictures as a JPEG of at most 600 kB.

    Pictures are reduced to a longer side of at most `side` pixels. Where the file is too large it
    gets a lower quality, and smaller pictures if even that does not do.
    """
    while True:
        sheet = _draw(rows, side)
        for quality in (90, 85, 80, 75, 70):
            stream = io.BytesIO()
            sheet.save(stream, "JPEG", quality=quality, optimize=True)
            if stream.tell() <= MAX_BYTES:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stream.getvalue())
                return
        side = side * 4 // 5


def slice_over_time(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """One row of pixels, time downwards, each moment 3 pixels high."""
    row = pictures[0].shape[0] // 2
    return np.repeat(np.stack([picture[row] for picture in pictures]), 3, axis=0)


def split_rows(cells: Sequence[Cell], columns: int) -> list[Sequence[Cell]]:
    """The cells in rows of so many; the last may be shorter."""
    return [cells[first : first + columns] for first in range(0, len(cells), columns)]


def _draw(rows: Sequence[Sequence[Cell]], side: int) -> Image.Image:
    drawn = [[(_reduced(pixels, side), label) for pixels, label in row] for row in rows]
    widths = [sum(picture.width for picture, _ in row) for row in drawn]
    heights = [CAPTION + max(picture.height for picture, _ in row) for row in drawn]
    sheet = Image.new("RGB", (max(widths), sum(heights)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for row, height in zip(drawn, heights, strict=True):
        left = 0
        for picture, label in row:
            font = _fitting_font(label, picture.width - 2 * MARGIN)
            draw.text((left + MARGIN, top + 2), label, fill="black", font=font)
            sheet.paste(picture, (left, top + CAPTION))
            left += picture.width
        top += height
    return sheet


def _fitting_font(label: str, width: int) -> Any:
    """The captions' font, smaller where a label would run into the next one."""
    size = CAPTION * 0.6
    font = caption_font(size)
    return font.font_variant(size=size * min(1.0, width / max(1.0, font.getlength(label))))


def _reduced(pixels: Any, side: int) -> Image.Image:
    bytes_ = np.rint(255 * np.clip(np.asarray(pixels), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(bytes_)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture
