import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads
from PIL import Image

from nst_jax.ops.resizing import fit_longer_side, resize, resize_longer_side

SIZES = pytest.mark.parametrize(("height", "width"), [(20, 30), (48, 64), (77, 101), (16, 128)])


def pillow_resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow's bilinear filter, which antialiases too, on each colour channel in float32."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(planes, -1)


@SIZES
def test_resize_matches_pillow(painting, height, width):
    result = resize(painting, height=height, width=width)
    expected = pillow_resize(np.asarray(painting[0]), height, width)
    np.testing.assert_allclose(result[0], expected, atol=1e-5)


def test_halving_takes_each_axis_with_weights_one_three_three_one():
    row = np.arange(12, dtype=np.float32) ** 2 / 121
    picture = jnp.asarray(np.broadcast_to(row[None, None, :, None], (1, 2, 12, 3)))
    result = np.asarray(resize(picture, height=2, width=6))[0, 0, :, 0]
    inner = [(row[i - 1] + 3 * row[i] + 3 * row[i + 1] + row[i + 2]) / 8 for i in range(2, 10, 2)]
    np.testing.assert_allclose(result[1:-1], inner, rtol=1e-5)


def test_shrinking_removes_what_the_coarse_grid_cannot_hold():
    stripes = jnp.asarray(
        np.tile(np.array([0, 1], np.float32), 32)[None, None, :, None].repeat(8, 1)
    )
    result = resize(jnp.tile(stripes, (1, 1, 1, 3)), height=8, width=16)
    np.testing.assert_allclose(result[:, :, 1:-1], 0.5, atol=1e-6)


@SIZES
def test_pixels_stay_in_range_and_flat_pictures_flat(height, width):
    checkerboard = np.indices((40, 50)).sum(0) % 2
    picture = jnp.asarray(np.repeat(checkerboard[None, :, :, None], 3, -1).astype(np.float32))
    result = np.asarray(resize(picture, height=height, width=width))
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6
    flat = resize(jnp.full((2, 9, 7, 3), 0.3), height=height, width=width)
    np.testing.assert_allclose(flat, 0.3, rtol=1e-6)


def test_same_size_returns_the_same_pixels(photograph):
    np.testing.assert_array_equal(resize(photograph, height=48, width=64), photograph)


def test_resize_gradients_and_jit(painting):
    small = painting[:, :6, :8]

    def shrink(image):
        return resize(image, height=3, width=5)

    check_grads(jax.jit(shrink), (small,), order=1, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2)
    np.testing.assert_allclose(jax.jit(shrink)(small), shrink(small), rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, -1)])
def test_resize_refuses_empty_sizes(photograph, height, width):
    with pytest.raises(ValueError, match=f"at least 1, got {height} and {width}"):
        resize(photograph, height=height, width=width)


@pytest.mark.parametrize(
    ("given_size", "size", "expected"),
    [
        ((480, 640), 320, (240, 320)),
        ((640, 480), 320, (320, 240)),
        ((100, 100), 37, (37, 37)),
        ((3, 2), 5, (5, 3)),  # 3⅓
        ((4, 6), 3, (2, 3)),
        ((1, 4), 2, (1, 2)),  # ½ goes up
        ((3, 4), 2, (2, 2)),  # 1½ goes up
        ((5, 4), 10, (10, 8)),
        ((1, 1000), 100, (1, 100)),  # never 0
    ],
)
def test_fit_longer_side(given_size, size, expected):
    height, width = given_size
    assert fit_longer_side(height, width, size) == expected


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 4096))
def test_fit_longer_side_keeps_proportions_to_half_a_pixel(height, width, size):
    new_height, new_width = fit_longer_side(height, width, size)
    assert max(new_height, new_width) == size
    assert new_height >= 1
    assert new_width >= 1
    longer = max(height, width)
    assert abs(new_height - height * size / longer) <= 0.5 + 1e-9 or new_height == 1
    assert abs(new_width - width * size / longer) <= 0.5 + 1e-9 or new_width == 1
    assert fit_longer_side(width, height, size) == (new_width, new_height)


@pytest.mark.parametrize(("height", "width", "size"), [(0, 4, 5), (4, 0, 5), (4, 5, 0)])
def test_fit_longer_side_refuses_empty_sizes(height, width, size):
    with pytest.raises(ValueError, match="must be at least 1"):
        fit_longer_side(height, width, size)


@pytest.mark.parametrize("size", [20, 90])
def test_the_longer_side_is_resized_to_what_is_asked(photograph, size):
    height = round(size * 48 / 64 + 1e-9)
    resized = resize_longer_side(photograph, size)
    assert resized.shape == (1, height, size, 3)
    np.testing.assert_array_equal(resized, resize(photograph, height=height, width=size))
    upright = resize_longer_side(photograph.swapaxes(1, 2), size)
    np.testing.assert_allclose(upright.swapaxes(1, 2), resized, atol=1e-6)
