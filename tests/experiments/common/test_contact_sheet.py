"""Sheets of pictures: cells, captions and a limit of size."""

import sys

import numpy as np

from experiments.common import contact_sheet
from nst_jax import files


def test_a_sheet_has_its_pictures_in_rows_and_a_limit(tmp_path):
    red, blue = np.zeros((2, 30, 40, 3), np.float32)
    red[..., 0], blue[..., 2] = 1, 1
    save_sheet, split_rows = contact_sheet.save_sheet, contact_sheet.split_rows
    path = tmp_path / "new" / "sheet.jpg"
    rows = split_rows([(red, "red"), (blue, "blue"), (blue, "again")], 2)
    save_sheet(path, rows, side=20)
    sheet = np.asarray(files.load_image(path))[0]
    assert sheet.shape == (2 * (20 + 15), 40, 3)  # a line of text, then half of 30
    for row, column, colour in ((1, 0, (1, 0, 0)), (1, 1, (0, 0, 1)), (2, 0, (0, 0, 1))):
        middle = sheet[35 * row - 8, 20 * column + 10]
        np.testing.assert_allclose(middle, colour, atol=0.1)
    np.testing.assert_allclose(sheet[60, 30], 1, atol=0.02)

    noise = np.random.default_rng(0).uniform(size=(1200, 1200, 3))
    save_sheet(path, [[(noise, "noise")]], side=1200)
    assert 200_000 < path.stat().st_size <= 600_000


def test_a_sheet_has_captions_without_matplotlib_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = tmp_path / "sheet.jpg"
    contact_sheet.save_sheet(path, [[(np.ones((20, 60, 3)), "a label")]], side=60)
    caption = np.asarray(files.load_image(path))[0, : contact_sheet.CAPTION]
    assert caption.min() < 0.3


def test_a_long_label_stays_over_its_picture(tmp_path):
    grey = np.full((32, 64, 3), 0.5)
    cells = [(grey, "a label that is far too long"), (grey, "")]
    contact_sheet.save_sheet(tmp_path / "sheet.jpg", [cells], side=64)
    caption = files.load_pixels(tmp_path / "sheet.jpg")[: contact_sheet.CAPTION - 4]
    assert caption[:, :64].min() < 0.7
    assert caption[:, 72:].min() > 0.95  # a JPEG's blocks apart
