"""A picture of flat colours, parted."""

import numpy as np
import pytest

from nst_jax.regions.flat_colours import is_coloured, split_colours

EVERYWHERE = np.ones((20, 30), bool)


def stripes(*colours):
    """Equal stripes from the top."""
    picture = np.zeros((20, 30, 3), np.float32)
    height = 20 // len(colours)
    for number, colour in enumerate(colours):
        picture[number * height :] = np.float32(colour)
    return picture


def test_colours_come_in_the_order_in_which_they_appear():
    picture = stripes((1, 0, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0))
    found = split_colours(picture, 3, opaque=EVERYWHERE, name="m.png")
    rows = np.arange(20) // 5
    for mask, places in zip(found, [(0, 2), (1,), (3,)], strict=True):
        np.testing.assert_array_equal(mask[:, 0], np.isin(rows, places))


def test_blurred_edges_go_to_the_nearest_colour_and_blots_to_none_of_their_own():
    picture = stripes((1, 0, 0), (0, 0, 1))
    picture[9, :2] = (0.6, 0, 0.4)
    picture[2, 2] = (1, 0.6, 0.6)
    found = split_colours(picture, 2, opaque=EVERYWHERE, name="m.png")
    np.testing.assert_array_equal(found.sum((1, 2)), [300, 300])


def test_too_many_colours_are_listed():
    with pytest.raises(ValueError, match=r"in m\.png.*got 2 colours: #ff0000 \(50\.0%\), #0000ff"):
        split_colours(stripes((1, 0, 0), (0, 0, 1)), 3, opaque=EVERYWHERE, name="m.png")


def test_grey_is_no_colour():
    assert not is_coloured(stripes((0, 0, 0), (0.5, 0.5, 0.5)))
    assert is_coloured(stripes((0, 0, 0), (0.5, 0.1, 0.5)))
