"""Pictures as paths, as Pillow has them, as arrays: one photograph, whichever way it comes."""

import numpy as np
import PIL.Image
import pytest

from nst_jax import files
from nst_jax.jobs import pictures
from nst_jax.jobs.color_words import ColorWord, choose_color
from nst_jax.ops.color import Color


def test_a_path_pillows_picture_and_an_array_are_one_photograph(tmp_path, photograph):
    path = tmp_path / "c.png"
    files.save_image(path, photograph)
    with PIL.Image.open(path) as opened:
        by_pillow = pictures.load(opened)
        halved = pictures.load(opened, size=32)
    by_path = pictures.load(str(path))
    np.testing.assert_array_equal(by_pillow, by_path)
    np.testing.assert_array_equal(pictures.load(by_path), by_path)
    np.testing.assert_array_equal(halved, pictures.load(path, size=32))
    assert halved.shape == (1, 24, 32, 3)
    assert pictures.load(by_path, size=32).shape == (1, 24, 32, 3)


def test_transparency_of_pillows_pictures_is_laid_on_white():
    clear = PIL.Image.new("RGBA", (20, 16), (0, 0, 0, 0))
    np.testing.assert_array_equal(pictures.load(clear), np.ones((1, 16, 20, 3)))


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((16, 16, 3), np.float32), r"add a leading axis"),
        (np.zeros((2, 16, 16, 3), np.float32), "give one picture at a time"),
        (np.zeros((1, 3, 16, 16), np.float32), "put the channels last"),
        (np.zeros((1, 16, 16, 3), np.uint8), "got uint8; divide by"),
        (np.full((1, 16, 16, 3), 255, np.float32), "divide by 255"),
        (np.full((1, 16, 16, 3), np.nan, np.float32), "NaN"),
        (b"bytes", "got bytes"),
        (None, "got NoneType"),
        (PIL.Image.new("RGB", (15, 40)), "it is 15x40 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_name(picture, told):
    with pytest.raises(ValueError, match=told) as caught:
        pictures.load(picture, name="style")
    assert "style" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_results_come_as_the_photograph_came(photograph):
    assert pictures.answer_like(photograph, photograph) is photograph
    answer = pictures.answer_like("c.png", photograph)
    assert isinstance(answer, PIL.Image.Image)
    np.testing.assert_array_equal(
        np.asarray(answer), np.rint(255 * np.asarray(photograph[0])).astype(np.uint8)
    )


def test_words_for_colours_are_the_means_and_keep():
    from typing import get_args

    assert set(get_args(ColorWord)) == {*get_args(Color), "keep"}
    assert choose_color("keep", None, default="after") == ("luminance", "after")
    assert choose_color(None, None, default="before") == ("style", "before")
    with pytest.raises(ValueError, match="color_when: wanted with --color"):
        choose_color("style", "before", default="before")
