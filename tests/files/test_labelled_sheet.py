import sys

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from nst_jax.files import labelled_sheet


def test_captions_can_name_files_in_other_alphabets():
    letters = "eéèüßłçжяΩλ±"  # one box stands for all that a font has not
    font = labelled_sheet.caption_font(12)
    drawn = set()
    for letter in letters:
        picture = PIL.Image.new("L", (24, 24))
        PIL.ImageDraw.Draw(picture).text((2, 2), letter, fill=255, font=font)
        drawn.add(picture.tobytes())
    assert len(drawn) == len(letters)


@pytest.mark.parametrize("has_matplotlib", [True, False])
def test_cells_stand_in_rows_under_their_captions(has_matplotlib, monkeypatch):
    if not has_matplotlib:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    red, blue = (PIL.Image.new("RGB", (160, 40), colour) for colour in ("red", "blue"))
    sheet = np.asarray(
        labelled_sheet.draw_sheet([[(red, ["a"]), (None, ["b"])], [(blue, ["c", "d"])]])
    )
    assert sheet.shape[1] == 12 + 160 + 8 + 160 + 12
    rows = np.flatnonzero((sheet[:, 12 + 80] == (255, 0, 0)).all(-1))
    assert rows[0] == 12 + 17
    assert len(rows) == 40
    assert (np.flatnonzero((sheet[:, 12 + 80] == (0, 0, 255)).all(-1)) >= rows[-1] + 2 * 17).all()
    assert (sheet[12 : 12 + 17, 12:40] < 128).any(), "a caption"
