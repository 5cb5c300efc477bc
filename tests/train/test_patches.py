"""Oracles: pictures whose values say where they are, and the files as they were written."""

import numpy as np
import PIL.Image
import pytest

from nst_jax import train


def coordinates(height, width, picture):
    """A picture of which every pixel says its row, its column and which picture it is of."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / 100
    return np.stack([rows, columns, np.full_like(rows, picture)], -1)


CONTENTS = [coordinates(20, 30, 0.0), coordinates(24, 18, 1.0)]
PAINTED = [picture + 10 for picture in CONTENTS]


def open_stream(**changes):
    options = {"size": 8, "batch_size": 4, "seed": 0, **changes}
    return train.PatchStream(CONTENTS, PAINTED, **options)


def test_patches_are_of_the_same_place_and_others_of_the_same_picture():
    stream, corners = open_stream(), []
    for _ in range(40):
        content, painted, elsewhere = next(stream)
        assert content.shape == painted.shape == elsewhere.shape == (4, 8, 8, 3)
        np.testing.assert_allclose(painted, content + 10, rtol=1e-6)
        np.testing.assert_array_equal(content[:, 0, 0, 2], [0, 1, 0, 1])
        np.testing.assert_array_equal(elsewhere[:, 0, 0, 2] - 10, [0, 1, 0, 1])
        np.testing.assert_allclose(np.diff(content[..., 0], axis=1), 0.01, atol=1e-6)
        np.testing.assert_allclose(np.diff(content[..., 1], axis=2), 0.01, atol=1e-6)
        corners += list(content[::2, 0, 0, :2])
        corners_elsewhere = elsewhere[::2, 0, 0, :2] - 10
        assert not np.allclose(corners[-2:], corners_elsewhere)
    # Of a picture of 20 by 30 every place is to be had, the last ones included.
    rows, columns = np.rint(100 * np.asarray(corners)).T
    assert (rows.min(), rows.max()) == (0, 12)
    assert columns.min() <= 1
    assert columns.max() >= 21


def test_half_of_the_patches_are_mirrored_where_wanted():
    stream, mirrored = open_stream(flip=True, batch_size=50), 0
    for _ in range(4):
        content, painted, elsewhere = next(stream)
        for patch, other, third in zip(content, painted, elsewhere, strict=True):
            signs = {float(np.sign(np.diff(each[0, :2, 1])[0])) for each in (patch, other, third)}
            assert len(signs) == 1
            mirrored += signs == {-1.0}
    assert 70 < mirrored < 130


def test_a_stream_goes_on_where_another_was():
    stream = open_stream()
    for _ in range(3):
        next(stream)
    wanted, again = stream.get_state(), open_stream()
    again.set_state(wanted)
    for found, expected in zip(next(again), next(stream), strict=True):
        np.testing.assert_array_equal(found, expected)
    other = next(open_stream(seed=1))
    assert np.abs(other.content - next(open_stream()).content).max() > 0


@pytest.mark.parametrize(
    ("contents", "painted", "complaint"),
    [
        ([], [], "painted: wanted as many pictures as contents, and one at least, got 0 and 0"),
        (CONTENTS, PAINTED[:1], "painted: wanted as many pictures as contents"),
        (CONTENTS[:1], PAINTED[1:], "painted: wanted pictures of the contents' sizes"),
        ([CONTENTS[0][:7]], [PAINTED[0][:7]], "and of 8 pixels a side at least, got 30 by 7"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(contents, painted, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        train.PatchStream(contents, painted, size=8, batch_size=1, seed=0)
    assert "\n" not in str(caught.value)


def save(path, height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)
    return pixels


def test_frames_take_the_size_of_what_was_painted_of_them(tmp_path):
    save(tmp_path / "frame.png", 72, 128)
    pixels = save(tmp_path / "painted.png", 36, 64)
    (frame,), (painted,) = train.load_painted(
        [tmp_path / "frame.png"], [tmp_path / "painted.png"], size=None
    )
    assert frame.shape == painted.shape == (1, 36, 64, 3)
    np.testing.assert_allclose(painted[0], pixels / 255, atol=1e-6)
    (frame,), (painted,) = train.load_painted(
        [tmp_path / "frame.png"], [tmp_path / "painted.png"], size=48
    )
    assert frame.shape == painted.shape == (1, 24, 48, 3)  # 27 rows, in multiples of 4


def test_a_part_of_a_frame_is_refused(tmp_path):
    save(tmp_path / "frame.png", 72, 128)
    save(tmp_path / "painted.png", 64, 64)
    with pytest.raises(ValueError, match="painted: wanted the whole frame painted, got 'painted"):
        train.load_painted([tmp_path / "frame.png"], [tmp_path / "painted.png"], size=None)
