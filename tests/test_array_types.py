"""What is said to whoever passes something else than a picture."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.array_types import check_picture

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
