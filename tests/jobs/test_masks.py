"""Masks from pictures: grey ones, flat colours, transparent parts, large ones."""

import tracemalloc

import numpy as np
import PIL.Image
import pytest

from nst_jax.jobs import masks
from nst_jax.jobs.masks import load_masks, load_style_masks


def left_half(shape=(24, 32)):
    return np.tile(np.arange(shape[1]) < shape[1] // 2, (shape[0], 1))


@pytest.mark.parametrize("hidden", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_what_is_transparent_is_outside_whatever_its_colour(tmp_path, hidden):
    pixels = np.full((24, 32, 4), 255, np.uint8)
    pixels[~left_half()] = (*hidden, 0)
    PIL.Image.fromarray(pixels).save(tmp_path / "clear.png")
    for given in (tmp_path / "clear.png", PIL.Image.fromarray(pixels)):
        found = load_masks([given], 2)
        np.testing.assert_array_equal(found, np.stack([left_half(), ~left_half()]))
        (part,) = load_style_masks([given], 1)
        np.testing.assert_array_equal(part, left_half())


def test_what_is_transparent_is_in_no_flat_colours_region():
    pixels = np.zeros((24, 32, 4), np.uint8)
    pixels[:8] = (250, 0, 0, 255)
    pixels[8:16] = (0, 0, 250, 255)
    pixels[16:] = (250, 0, 0, 0)
    found = load_masks([PIL.Image.fromarray(pixels)], 2)
    assert found is not None
    np.testing.assert_array_equal(found.sum((1, 2)), [8 * 32, 8 * 32])
    assert not found[:, 16:].any()


def test_arrays_and_whole_paintings():
    grey = np.full((24, 32), 0.25, np.float32)
    found = load_masks([grey], 2)
    assert found is not None
    np.testing.assert_allclose(found, np.stack([grey, 1 - grey]), atol=1e-6)
    assert load_style_masks(["whole", grey], 2)[0] is None
    assert load_style_masks([], 2) == (None, None)
    assert load_masks([], 3) is None


def test_large_masks_are_read_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "_MAX_PIXELS", 200)
    PIL.Image.fromarray(np.uint8(255 * left_half((60, 80)))).save(tmp_path / "large.png")
    found = load_masks([tmp_path / "large.png"], 2)
    assert found is not None
    assert found[0].size <= 200
    np.testing.assert_allclose(found.mean((1, 2)), [0.5, 0.5], atol=0.05)


def test_many_flat_colours_of_a_large_picture_take_little_memory(monkeypatch):
    """A picture of 80 megapixels and 100 colours once asked for 32 GB."""
    values = 1 << 22
    monkeypatch.setattr(masks, "_MAX_VALUES", values)
    rows, columns = np.mgrid[0:10, 0:10]
    palette = np.stack([28 * rows, 28 * columns, 200 - 10 * rows], -1).astype(np.uint8)
    large = PIL.Image.fromarray(palette.repeat(60, 0).repeat(80, 1))
    tracemalloc.start()
    try:
        found = load_masks([large], 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.size <= values
    np.testing.assert_allclose(found.mean((1, 2)), 0.01, rtol=0.1)
    # The masks themselves, what tells colours apart, and the picture's 16 bytes a pixel and more.
    assert peak < 2 * 4 * values + 60 * large.width * large.height


def test_an_empty_mask_is_told():
    with pytest.raises(ValueError, match="mask: number 1 is empty"):
        load_masks([PIL.Image.new("RGBA", (32, 24), (255, 255, 255, 0))], 1)
