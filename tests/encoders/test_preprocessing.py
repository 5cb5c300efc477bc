"""Oracles: the published formulas, written out by hand for single pixels."""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.encoders.preprocessing import (
    CAFFE,
    TORCHVISION,
    Preprocessing,
    input_gain,
    preprocess,
)


def test_torchvision_shifts_and_scales_rgb_by_hand():
    pixel = jnp.asarray([[[[0.2, 0.4, 0.6]]]])
    expected = [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.6 - 0.406) / 0.225]
    np.testing.assert_allclose(preprocess(pixel, TORCHVISION)[0, 0, 0], expected, rtol=1e-5)


def test_caffe_begins_with_blue_and_counts_to_255():
    pixel = jnp.asarray([[[[0.2, 0.4, 0.6]]]])
    expected = [0.6 * 255 - 103.939, 0.4 * 255 - 116.779, 0.2 * 255 - 123.68]
    np.testing.assert_allclose(preprocess(pixel, CAFFE)[0, 0, 0], expected, rtol=1e-5)


def test_std_is_in_the_networks_channel_order():
    # The mean alone could hide a swap: here each output channel has its own divisor.
    bgr = Preprocessing(channel_order="bgr", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 2.0, 4.0))
    pixel = jnp.asarray([[[[0.1, 0.2, 0.4]]]])
    np.testing.assert_allclose(preprocess(pixel, bgr)[0, 0, 0], [0.4, 0.1, 0.025], rtol=1e-6)


def test_pictures_keep_their_places(photograph):
    batch = jnp.concatenate([photograph, photograph[:, ::-1]])
    once = preprocess(photograph, CAFFE)
    np.testing.assert_array_equal(preprocess(batch, CAFFE), jnp.concatenate([once, once[:, ::-1]]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (jnp.zeros((8, 8, 3)), r"wanted pictures, \(N, H, W, 3\), got \(8, 8, 3\); add"),
        (jnp.zeros((1, 3, 8, 8)), r"got \(1, 3, 8, 8\); put the channels last"),
        (jnp.zeros((1, 8, 8, 3), jnp.uint8), "floats from 0 to 1, got uint8; divide by"),
    ],
)
def test_wrong_pictures_are_named(images, message, unchecked):
    with pytest.raises(ValueError, match=message) as caught:
        preprocess(images, TORCHVISION)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("preprocessing", [CAFFE, TORCHVISION])
def test_input_gain_is_the_mean_rise_of_the_input(preprocessing):
    dark, light = (jnp.full((1, 1, 1, 3), value) for value in (0.25, 0.75))
    rise = preprocess(light, preprocessing) - preprocess(dark, preprocessing)
    assert input_gain(preprocessing) == pytest.approx(float(rise.mean()) / 0.5, rel=1e-5)
