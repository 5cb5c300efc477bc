"""Oracles: Pillow's triangle filter, and arithmetic by hand."""

import numpy as np
import PIL.Image
import pytest

from nst_jax.regions.masks import (
    check_proportions,
    complete_mask,
    complete_masks,
    resize_masks,
    share_out,
)

UPPER = np.repeat(np.array([[1.0], [0.0]], np.float32), 3, axis=1)


@pytest.mark.parametrize("size", [(7, 45), (40, 9), (23, 31), (90, 100), (23, 12)])
def test_masks_are_resampled_as_pillow_does(size):
    rng = np.random.default_rng(0)
    masks = rng.random((2, 23, 31)).astype(np.float32)
    found = resize_masks(masks, height=size[0], width=size[1])
    triangle = PIL.Image.Resampling.BILINEAR
    wanted = [np.asarray(PIL.Image.fromarray(m).resize(size[::-1], triangle)) for m in masks]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)


def test_the_last_style_gets_what_is_left():
    soft = np.stack([0.75 * UPPER, 0.5 * UPPER])
    found = complete_masks(soft, 3)
    np.testing.assert_array_equal(found[:2], soft)
    np.testing.assert_array_equal(found[2], [[0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(complete_masks(soft, 2), soft)


def test_masks_that_overlap_share():
    found = share_out(np.stack([UPPER, 0.5 * UPPER, 0.2 * (1 - UPPER)]))
    np.testing.assert_allclose(found[:, 0, 0], [2 / 3, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1, 0], [0, 0, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("masks", "count", "told"),
    [
        (np.stack([UPPER]), 3, "masks: wanted 3, one for each style, or 2, when the last"),
        (np.stack([UPPER, UPPER]), 1, "masks: wanted 1, one for each style; got an array of"),
        (UPPER, 2, r"got an array of shape \(2, 3\)"),
        (np.stack([UPPER, 2 * UPPER]), 2, "masks: wanted values from 0 to 1, got 0 to 2"),
        (np.stack([UPPER, np.nan * UPPER]), 2, "masks: wanted values from 0 to 1"),
        (np.stack([UPPER, 0 * UPPER]), 2, "masks: number 2 is empty"),
        (np.stack([UPPER, 1 - UPPER]), 3, "masks: those given leave no place for the last"),
    ],
)
def test_masks_that_cannot_be_are_told(masks, count, told):
    with pytest.raises(ValueError, match=told):
        complete_masks(masks, count)


def test_a_mask_alone_has_no_axis_of_regions():
    np.testing.assert_array_equal(complete_mask(UPPER), UPPER)
    with pytest.raises(ValueError, match="mask: wanted a shape of"):
        complete_mask(UPPER[None])


def test_masks_have_the_pictures_proportions():
    masks = np.ones((1, 40, 60), np.float32)
    check_proportions(masks, height=667, width=1000)
    with pytest.raises(ValueError, match="masks: wanted the picture's proportions, 60 to 60"):
        check_proportions(masks, height=60, width=60)
