"""Oracles: Pillow called by hand, hashes of hand-made text, pictures that tell their numbers."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

from nst_jax import train

SIZE = 16
LANCZOS = PIL.Image.Resampling.LANCZOS


@pytest.fixture
def paths(tmp_path) -> list[Path]:
    """Five pictures of different shapes, of noise that is no other's."""
    rng = np.random.default_rng(0)
    found = []
    for number, shape in enumerate([(40, 24), (24, 40), (32, 32), (20, 50), (33, 47)]):
        path = tmp_path / f"{number}.png"
        PIL.Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)).save(path)
        found.append(path)
    return found


def test_names_that_are_not_utf_8_count_by_their_bytes(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        path.write_bytes(b"12345")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone, so that there are no others")
    found = train.describe_pictures([path])
    assert found == {"count": 1, "sha256": hashlib.sha256(b"caf\xe9.png\x005\n").hexdigest()}


@contextlib.contextmanager
def opened(paths, *, shorter_side=None, flip=False, batch_size=2, seed=0) -> Iterator:
    stream = train.open_stream(
        paths, size=SIZE, shorter_side=shorter_side, flip=flip, batch_size=batch_size, seed=seed
    )
    with contextlib.closing(stream):
        yield stream


def squeezed(path: Path) -> np.ndarray:
    picture = PIL.Image.open(path).resize((SIZE, SIZE), LANCZOS)
    return np.asarray(picture, np.float32) / 255


def central_square(path: Path) -> np.ndarray:
    picture = PIL.Image.open(path)
    scale = SIZE / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    across, down = picture.width / width, picture.height / height
    box = (left * across, top * down, (left + SIZE) * across, (top + SIZE) * down)
    return np.asarray(picture.resize((SIZE, SIZE), LANCZOS, box=box), np.float32) / 255


def number_of(picture: np.ndarray, candidates: list[np.ndarray]) -> int:
    (number,) = [n for n, other in enumerate(candidates) if np.allclose(picture, other, atol=1e-6)]
    return number


def test_without_a_shorter_side_whole_pictures_are_squeezed(paths):
    whole = [squeezed(path) for path in paths]
    with opened(paths, batch_size=5) as stream:
        first, second = next(stream), next(stream)
    assert first.shape == (5, SIZE, SIZE, 3)
    assert first.dtype == np.float32
    # Each once an epoch, without end, and not always in the same order.
    orders = [[number_of(picture, whole) for picture in batch] for batch in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == [0, 1, 2, 3, 4]
    assert orders[0] != orders[1]


def test_a_shorter_side_means_squares_cut_out_anywhere(tmp_path):
    # Columns that count, and rows: where a square was cut shows in its first pixel.
    y, x = np.mgrid[0:24, 0:40]
    ramps = np.stack([5 * x, 5 * y, 0 * x], -1).astype(np.uint8)
    PIL.Image.fromarray(ramps).save(tmp_path / "ramps.png")
    with opened([tmp_path / "ramps.png"], shorter_side=(24, 24), batch_size=60) as stream:
        corners = np.rint(next(stream)[:, 0, 0] * 255 / 5).astype(int)
    assert set(corners[:, 0]) <= set(range(40 - SIZE + 1))
    assert set(corners[:, 1]) == set(range(24 - SIZE + 1))
    assert len(set(corners[:, 0])) > 15


@pytest.mark.parametrize("flip", [True, False])
def test_half_of_the_squares_are_mirrored_if_wanted(paths, flip):
    square = paths[2]  # cut out whole, once scaled
    upright = central_square(square)
    with opened([square], shorter_side=(SIZE, SIZE), flip=flip, batch_size=40) as stream:
        found = [number_of(picture, [upright, upright[:, ::-1]]) for picture in next(stream)]
    assert 8 < sum(found) < 32 if flip else sum(found) == 0


def test_the_seed_decides_and_the_position_is_kept(paths):
    def batches(stream, count):
        return np.stack([next(stream) for _ in range(count)])

    crops = {"shorter_side": (20, 32), "flip": True}
    with opened(paths, seed=3, **crops) as stream:
        whole = batches(stream, 6)
    with opened(paths, seed=3, **crops) as stream:
        batches(stream, 2)
        position = json.loads(json.dumps(stream.get_state()))
    with opened(paths, seed=3, **crops) as stream:
        stream.set_state(position)
        np.testing.assert_array_equal(batches(stream, 4), whole[2:])
    with opened(paths, seed=4, **crops) as stream:
        assert not np.array_equal(batches(stream, 6), whole)


def test_a_stream_wants_pictures_and_sizes_that_fit(paths):
    with pytest.raises(ValueError, match="paths must name at least one picture"), opened([]):
        pass
    with (
        pytest.raises(ValueError, match="shorter_side must be at least size"),
        opened(paths, shorter_side=(8, 32)),
    ):
        pass


def test_a_fixed_batch_is_the_central_squares_of_the_first_pictures(paths):
    batch = train.load_fixed_batch(paths, size=SIZE, count=3)
    assert isinstance(batch, jax.Array)
    wanted = [central_square(path) for path in paths[:3]]
    np.testing.assert_allclose(batch, wanted, atol=1e-6)
    everything = train.load_fixed_batch(paths, size=SIZE, count=9)
    assert everything.shape == (5, SIZE, SIZE, 3)


def test_a_fixed_batch_goes_round_a_broken_picture(paths, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    with pytest.warns(UserWarning, match=r"^skipped '.*broken\.jpg': cannot read") as warned:
        batch = train.load_fixed_batch([paths[0], broken, paths[1]], size=SIZE, count=2)
    assert len(warned) == 1
    wanted = [central_square(path) for path in paths[:2]]
    np.testing.assert_allclose(batch, wanted, atol=1e-6)
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(ValueError, match="none of the 1 pictures can be read"),
    ):
        train.load_fixed_batch([broken], size=SIZE, count=2)


def test_pictures_are_told_by_names_lengths_and_order(tmp_path):
    def write(folder, **files):
        (tmp_path / folder).mkdir()
        found = []
        for name, length in files.items():
            found.append(tmp_path / folder / f"{name}.jpg")
            found[-1].write_bytes(b"x" * length)
        return found

    paths = write("here", first=7, second=12)
    told = train.describe_pictures(paths)
    text = b"first.jpg\x007\nsecond.jpg\x0012\n"
    assert told == {"count": 2, "sha256": hashlib.sha256(text).hexdigest()}
    assert json.loads(json.dumps(told)) == told
    # Moved elsewhere they are the same pictures; renamed, changed or in another order they are not.
    assert train.describe_pictures(write("there", first=7, second=12)) == told
    for others in (
        write("renamed", first=7, other=12),
        write("longer", first=7, second=13),
        write("more", first=7, second=12, third=0),
        paths[::-1],
    ):
        assert train.describe_pictures(others) != told


def test_zipped_streams_go_on_where_they_were(paths):
    def parts() -> list:
        return [
            train.open_stream(
                paths, size=SIZE, shorter_side=(16, 20), flip=True, batch_size=count, seed=seed
            )
            for count, seed in ((2, 0), (3, 1))
        ]

    alone = parts()
    wanted = [[next(stream) for _ in range(4)] for stream in alone]
    zipped = train.zip_streams(lambda a, b: {"a": a, "b": b}, *parts())
    for number in range(2):
        batch = next(zipped)
        np.testing.assert_array_equal(batch["a"], wanted[0][number])
        np.testing.assert_array_equal(batch["b"], wanted[1][number])
    state = json.loads(json.dumps(zipped.get_state()))
    again = train.zip_streams(lambda a, b: {"a": a, "b": b}, *parts())
    again.set_state(state)
    for number in range(2, 4):
        batch = next(again)
        np.testing.assert_array_equal(batch["a"], wanted[0][number])
        np.testing.assert_array_equal(batch["b"], wanted[1][number])
    for stream in (zipped, again, *alone):
        stream.close()


@contextlib.contextmanager
def opened_pairs(photographs, paintings, *, batch_size, seed=0) -> Iterator:
    options = {"shorter_side": None, "flip": False, "batch_size": batch_size, "seed": seed}
    stream = train.open_pair_stream(
        lambda *pair: pair, photographs, paintings, size=SIZE, **options
    )
    with contextlib.closing(stream):
        yield stream


@pytest.mark.parametrize("batch_size", [2, 5])
def test_half_of_a_pairs_contents_are_paintings_and_all_of_its_styles(paths, batch_size):
    whole = [squeezed(path) for path in paths]
    half = batch_size // 2
    # The last seed, whose successors begin anew.
    with opened_pairs(paths[:2], paths[2:], batch_size=batch_size, seed=2**32 - 1) as stream:
        for _ in range(4):
            contents, styles = ([number_of(p, whole) for p in batch] for batch in next(stream))
            assert len(contents) == len(styles) == batch_size
            assert set(contents[: batch_size - half]) <= {0, 1}
            assert set(contents[batch_size - half :]) <= {2, 3, 4}
            assert set(styles) <= {2, 3, 4}


def test_contents_of_pairs_of_one_are_of_either_kind_equally_often(paths):
    whole = [squeezed(path) for path in paths]
    with opened_pairs(paths[:1], paths[1:], batch_size=1) as stream:
        pairs = [next(stream) for _ in range(8)]  # an epoch
        position = json.loads(json.dumps(stream.get_state()))
        following = next(stream)
    contents, styles = ([number_of(pair[i][0], whole) for pair in pairs] for i in range(2))
    assert sorted(contents) == [0, 0, 0, 0, 1, 2, 3, 4]
    assert set(styles) == {1, 2, 3, 4}
    with opened_pairs(paths[:1], paths[1:], batch_size=1) as stream:
        stream.set_state(position)
        jax.tree.map(np.testing.assert_array_equal, next(stream), following)


def test_pairs_want_both(paths):
    for photographs, paintings in ((paths, []), ([], paths)):
        for batch_size in (1, 2):
            with (
                pytest.raises(ValueError, match="paths must name at least one picture"),
                opened_pairs(photographs, paintings, batch_size=batch_size),
            ):
                pass


def test_closing_zipped_streams_closes_each():
    closed = []

    class Closing:
        def __iter__(self):
            return self

        def __next__(self):
            return 1

        def get_state(self):
            return None

        def set_state(self, state):
            pass

        def close(self):
            closed.append(self)

    members = (Closing(), Closing())
    train.zip_streams(dict, *members).close()
    assert closed == list(members)
