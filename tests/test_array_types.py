"""What is said to whoever passes something else than a picture."""

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from nst_jax.array_types import check_feature_map, check_images, check_picture, check_pixels

pytestmark = pytest.mark.usefixtures("unchecked")

PICTURE = np.linspace(0, 1, 5 * 7 * 3, dtype=np.float32).reshape(1, 5, 7, 3)


@pytest.mark.parametrize(
    "given",
    [
        *(PICTURE.astype(np.float16), PICTURE.astype(np.float64)),
        *(jnp.asarray(PICTURE, jnp.float16), jnp.asarray(PICTURE, jnp.bfloat16)),
    ],
    ids=lambda given: f"{type(given).__module__} {given.dtype}",
)
def test_floats_become_float32_on_the_device(given):
    found = check_picture("content", given)
    assert isinstance(found, jnp.ndarray)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, PICTURE, atol=4e-3)


def test_a_picture_that_is_one_already_is_left_as_it_is():
    given = jnp.asarray(PICTURE)
    assert check_picture("content", given) is given
    batch = jnp.concatenate([given, given])
    assert check_picture("contents", batch, several=True) is batch


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (PICTURE * 255, r"values from 0 to 1, got 0 to 255; divide by 255"),
        (PICTURE * 2 - 1, r"values from 0 to 1, got -1 to 1; scale or clip"),
        (
            (PICTURE * 255).astype(np.uint8),
            r"floats from 0 to 1, got uint8; divide by the value of",
        ),
        (PICTURE[0], r"got \(5, 7, 3\); add a leading axis: picture\[None\]"),
        (PICTURE[0, :, :, 0], r"got \(5, 7\); give RGB with a leading axis"),
        (PICTURE.transpose(0, 3, 1, 2), r"got \(1, 3, 5, 7\); put the channels last"),
        (np.zeros((1, 5, 7, 4), np.float32), r"got \(1, 5, 7, 4\); leave out the alpha channel"),
        (np.zeros((1, 5, 7, 1), np.float32), r"got \(1, 5, 7, 1\); give three channels"),
        (np.zeros((2, 5, 7, 3), np.float32), r"got \(2, 5, 7, 3\); give one picture at a time"),
        (np.zeros((1, 0, 7, 3), np.float32), r"got \(1, 0, 7, 3\); it is empty"),
        (
            np.where(PICTURE > 0.9, np.nan, PICTURE),
            r"finite values from 0 to 1, got NaN or infinity",
        ),
        (
            np.where(PICTURE > 0.9, np.inf, PICTURE),
            r"finite values from 0 to 1, got NaN or infinity",
        ),
        (Path("photo.jpg"), r"floats from 0 to 1, got \w+Path; read it with nst_jax.load_image"),
        ("photo.jpg", r"floats from 0 to 1, got str; read it with nst_jax.load_image"),
        (io.BytesIO(), r"floats from 0 to 1, got BytesIO; open the file with .* PIL.Image.open"),
        (b"\x89PNG", r"floats from 0 to 1, got bytes; open the file with .* PIL.Image.open"),
        (
            PIL.Image.new("RGB", (7, 5)),
            r"floats from 0 to 1, got Image; np.asarray\(picture.convert\('RGB'\)",
        ),
        ([[0.5]], r"floats from 0 to 1, got list; np.asarray"),
        (None, r"floats from 0 to 1, got NoneType"),
    ],
)
def test_anything_else_is_refused_in_one_line_with_the_way_out(picture, told):
    with pytest.raises(
        ValueError, match=rf"^content: wanted one picture, \(1, H, W, 3\), {told}"
    ) as e:
        check_picture("content", picture)
    assert "\n" not in str(e.value)


def test_what_is_traced_is_checked_without_its_values():
    double = jax.jit(lambda x: 2 * check_picture("content", x))
    np.testing.assert_array_equal(double(PICTURE), 2 * PICTURE)
    with pytest.raises(ValueError, match="put the channels last"):
        double(PICTURE.transpose(0, 3, 1, 2))


def test_pixels_on_the_host_have_no_batch():
    found = check_pixels("pictures", PICTURE[0].astype(np.float16))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert np.shares_memory(check_pixels("pictures", PICTURE[0]), PICTURE)
    for given, told in [
        (PICTURE, r"got \(1, 5, 7, 3\); go through a batch picture by picture"),
        (PICTURE[0, 0], r"got \(7, 3\); give RGB"),
        (np.zeros((5, 7, 4), np.float32), "leave out the alpha channel"),
        (np.zeros((0, 7, 3), np.float32), "it is empty"),
        (255 * PICTURE[0], "divide by 255"),
        (np.full((5, 7, 3), np.nan, np.float32), "got NaN"),
        (None, "got NoneType"),
    ]:
        with pytest.raises(ValueError, match=rf"^pictures: wanted a picture, \(H, W, 3\).*{told}"):
            check_pixels("pictures", given)


def test_pure_functions_take_any_values_but_no_other_form():
    check_images("images", 255 * PICTURE - 100)
    check_feature_map("features", np.zeros((2, 1, 1, 64), np.float32))
    for given, told in [
        (PICTURE[0], r"got \(5, 7, 3\); add a leading axis"),
        (PICTURE.astype(np.int32), "got int32; divide"),
        ("photo.jpg", "got str; read it"),
    ]:
        with pytest.raises(ValueError, match=rf"^images: wanted pictures, .*{told}"):
            check_images("images", given)
    for given, told in [
        ({"relu1_1": PICTURE}, "got one for each of relu1_1; choose one"),
        (PICTURE[0], r"got float32 of shape \(5, 7, 3\); add a leading axis"),
        (PICTURE.astype(np.int32), "got int32 of shape"),
        (PICTURE[:0], r"got float32 of shape \(0, 5, 7, 3\)"),
        ([1.0], "got list; encoder.apply returns them"),
    ]:
        with pytest.raises(ValueError, match=rf"^features: wanted a feature map, .*{told}"):
            check_feature_map("features", given)
