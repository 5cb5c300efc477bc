"""VGG on a part of a picture, against the whole picture's features."""

import dataclasses

import jax
import numpy as np
import pytest
from parted_pictures import ENCODER, params, picture

from nst_jax.encoders.windows import encode_part, reach_of, require_vgg, stride_of

LAYERS = ("conv1_2", "relu2_1", "relu2_2")


def test_strides_and_reaches_are_those_of_the_architecture():
    assert [stride_of((layer,)) for layer in ("relu1_2", "pool1", "relu2_1", "relu5_1")] == [
        *(1, 2, 2, 16)
    ]
    assert stride_of(("relu3_1", "relu1_1")) == 4
    assert reach_of("vgg16", ("relu1_1",)) == 1
    assert reach_of("vgg16", ("pool1",)) == 2
    assert reach_of("vgg16", ("relu2_2", "relu1_1")) == 2 + 4
    assert reach_of("vgg16", ("relu5_1",)) == 2 + 4 + 12 + 24 + 16
    assert reach_of("vgg19", ("relu5_1",)) == 2 + 4 + 16 + 32 + 16


def test_the_reach_is_as_far_as_a_layer_sees_and_no_farther():
    reach = reach_of("vgg16", ("relu2_2",))

    @jax.jit
    def seen(image):
        def middle(image):
            return ENCODER.apply(params(), image, layers=("relu2_2",))["relu2_2"][0, 10, 10].sum()

        return jax.grad(middle)(image)

    rows = np.abs(np.asarray(seen(picture(44, 40)))).sum((0, 2, 3)).nonzero()[0]
    # Position 10 stands for rows 20 and 21.
    assert rows.min() == 20 - reach
    assert rows.max() == 21 + reach


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize(("height", "width"), [(40, 36), (37, 35)])
def test_parts_have_the_features_of_the_whole(pooling, height, width):
    encoder = dataclasses.replace(ENCODER, pooling=pooling)
    weights, image = params(), picture(height, width)
    whole = encoder.apply(weights, image, layers=LAYERS)
    margin, side = 8, 16
    pixels = np.full((64, 64, 3), 7.0, np.float32)  # what lies outside must not matter
    pixels[margin : margin + height, margin : margin + width] = image[0]
    encode = jax.jit(
        lambda part, top, left: encode_part(
            *(encoder, weights, part),
            layers=LAYERS,
            rows=(top - margin, height),
            columns=(left - margin, width),
        )
    )
    for top in range(0, height, side):
        for left in range(0, width, side):
            part = pixels[None, top : top + side + 2 * margin, left : left + side + 2 * margin]
            found = encode(np.ascontiguousarray(part), top, left)
            for layer in LAYERS:
                stride = stride_of((layer,))
                wanted = np.asarray(whole[layer])[0, top // stride :, left // stride :]
                wanted = wanted[: side // stride, : side // stride]
                own = np.asarray(found[layer])[0, margin // stride :, margin // stride :]
                own = own[: side // stride, : side // stride]
                inside = own[: wanted.shape[0], : wanted.shape[1]]
                np.testing.assert_allclose(inside, wanted, rtol=1e-4, atol=2e-5)
                assert np.abs(own).sum() == pytest.approx(np.abs(inside).sum(), rel=1e-6)


def test_only_a_vgg_of_zero_padding_can_be_parted():
    assert require_vgg(ENCODER, name="tile") is ENCODER
    for changed in ({"padding": "reflect"}, {"ceil_mode": True}):
        with pytest.raises(ValueError, match=r"^tile: wanted a VGG of zero padding and without"):
            require_vgg(dataclasses.replace(ENCODER, **changed), name="tile")
