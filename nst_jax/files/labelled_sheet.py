"""Small pictures in rows on one sheet, with lines of text above each."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_GAP, _MARGIN = 8, 12
_FONT_SIZE, _LINE = 12, 17
_INK, _FAINT, _PAPER = "#1c1c1c", "#8a8a8a", "white"

Cell = tuple[Image.Image | None, list[str]]
"""A picture, or None for one that is not there, and the lines above it."""


def caption_font(size: int | float) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans where matplotlib is installed, which brings it; else Pillow's own font.

    The latter has no letter é, nor those of other alphabets.

    Args:
        size: In pixels.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        font = ImageFont.load_default(size=size)
        assert isinstance(font, ImageFont.FreeTypeFont)  # as it is wherever a size is given
        return font
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def draw_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Return the cells on white, all of one width, each row as high as its highest.

    Args:
        rows: Of cells, at least one of which has a picture.
    """
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
        for word in line.split(" "):
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
