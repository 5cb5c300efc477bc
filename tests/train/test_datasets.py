import json
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import scipy.stats

from nst_jax import files
from nst_jax.train.datasets import fixed_batch, picture_stream, random_crop, squash

SIZE = 16


def grey_level(number: int) -> int:
    return 20 * number + 10


def make_pictures(folder: Path, count: int) -> tuple[Path, ...]:
    """Pictures 00.png, 01.png, ... each of one grey that tells its number."""
    for number in range(count):
        picture = PIL.Image.new("RGB", (24, 20), (grey_level(number),) * 3)
        picture.save(folder / f"{number:02}.png")
    return files.find_images(folder)


def made(path: Path) -> np.ndarray:
    """A loader without files: noise that belongs to the number in the name."""
    key = np.random.default_rng(int(path.stem))
    return key.integers(0, 256, (20, 24, 3)).astype(np.float32) / np.float32(255)


def numbers(stream: Iterator[np.ndarray], batches: int) -> list[int]:
    """The numbers of make_pictures' pictures in the next batches."""
    return [
        round((float(picture.mean()) * 255 - 10) / 20)
        for _ in range(batches)
        for picture in next(stream)
    ]


def stream_of(
    paths, *, load=files.load_pixels, transform=squash(SIZE), batch_size=4, seed=0, num_threads=2
):
    return picture_stream(
        paths,
        load=load,
        transform=transform,
        batch_size=batch_size,
        seed=seed,
        num_threads=num_threads,
    )


def noise(height: int, width: int) -> np.ndarray:
    """Of little contrast, so that no filter overshoots the range."""
    levels = np.random.default_rng(0).integers(90, 160, (height, width, 3))
    return levels.astype(np.float32) / np.float32(255)


def ramps(height: int, width: int, step: int) -> np.ndarray:
    """Red rises by step levels a column and green a row: a crop shows where it lay."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([step * x, step * y, 0 * x], -1).astype(np.float32) / np.float32(255)


def lanczos(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scaled by the textbook's kernel of three lobes, widened by the factor of a reduction."""

    def weights(length: int, target: int) -> np.ndarray:
        scale = length / target
        centres = (np.arange(target) + 0.5) * scale
        offsets = (np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1)
        kernel = np.where(abs(offsets) < 3, np.sinc(offsets) * np.sinc(offsets / 3), 0)
        return kernel / kernel.sum(axis=1, keepdims=True)

    down, across = weights(pixels.shape[0], height), weights(pixels.shape[1], width)
    return np.einsum("yi,xj,ijc->yxc", down, across, pixels.astype(np.float64))


# Order --------------------------------------------------------------------------------------------


def test_every_epoch_has_every_picture_once_in_a_new_order_that_the_seed_decides(tmp_path):
    paths = make_pictures(tmp_path, 10)
    seen = numbers(stream_of(paths), 10)  # four epochs, whose ends fall within batches
    epochs = [seen[start : start + 10] for start in range(0, 40, 10)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 4
    assert len({tuple(epoch) for epoch in [*epochs, range(10)]}) == 5
    assert numbers(stream_of(paths), 10) == seen
    other = numbers(stream_of(paths, seed=1), 10)
    assert all(other[start : start + 10] not in epochs for start in range(0, 40, 10))


def test_threads_work_side_by_side_and_do_not_change_the_order():
    paths = [Path(f"{number}.png") for number in range(9)]

    def slow_and_uneven(path: Path) -> np.ndarray:
        time.sleep(0.002 * (int(path.stem) * 5 % 7))
        return made(path)

    one, four = (
        stream_of(paths, load=load, transform=random_crop(8, shorter_side=12), num_threads=threads)
        for load, threads in [(made, 0), (slow_and_uneven, 4)]
    )
    for _ in range(8):
        np.testing.assert_array_equal(next(one), next(four))

    meeting = threading.Barrier(3)

    def meet_others(path: Path) -> np.ndarray:
        meeting.wait(timeout=20)  # raises unless three threads come here
        return made(path)

    next(stream_of(paths, load=meet_others, num_threads=3, batch_size=3))


def test_nothing_is_read_before_the_first_batch_and_little_ahead():
    read: list[Path] = []

    def load(path: Path) -> np.ndarray:
        read.append(path)
        return made(path)

    stream = stream_of([Path(f"{number}.png") for number in range(20_000)], load=load)
    assert not read
    next(stream)
    stream.close()
    assert 4 <= len(read) <= 12


def test_one_picture_fills_a_batch_with_crops_of_its_own():
    batch = next(stream_of([Path("7.png")], load=made, transform=random_crop(8, shorter_side=20)))
    assert batch.shape == (4, 8, 8, 3)
    assert len({picture.tobytes() for picture in batch}) == 4


def test_batches_are_float32_between_0_and_1():
    def black_and_white(path: Path) -> np.ndarray:
        return np.rint(made(path))  # hard edges, at which Lanczos overshoots

    for transform in (squash(SIZE), random_crop(SIZE, shorter_side=(SIZE, 30), flip=True)):
        batch = next(stream_of([Path("1.png")], load=black_and_white, transform=transform))
        assert batch.shape == (4, SIZE, SIZE, 3)
        assert batch.dtype == np.float32
        assert (batch.min(), batch.max()) == (0, 1)


# Position -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 3, 8])
def test_a_stream_continues_bit_for_bit_from_its_state(tmp_path, position):
    paths = make_pictures(tmp_path, 7)
    paths[2].write_text("no picture")  # skipped ones count in the position
    crop = random_crop(8, shorter_side=(8, 16), flip=True)

    def load(path: Path) -> np.ndarray:
        return files.load_pixels(path) * made(Path("3.png"))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = stream_of(paths, load=load, transform=crop)
        for _ in range(position):
            next(stream)
        state = json.loads(json.dumps(stream.get_state()))
        expected = [next(stream) for _ in range(6)]
        fresh = stream_of(paths, load=load, transform=crop, num_threads=0)
        for resumed in (fresh, stream):
            resumed.set_state(state)
            assert resumed.get_state() == state
            np.testing.assert_array_equal([next(resumed) for _ in range(6)], expected)


# Broken files -------------------------------------------------------------------------------------


def break_some(folder: Path) -> list[Path]:
    """Five files that are none, in as many ways."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    (folder / "text.jpg").write_text("I am not a picture\nnor do I look like one")
    (folder / "empty.png").touch()
    PIL.Image.new("RGB", (8, 8)).save(folder / "tiny.png")
    return [folder / name for name in ("cut.jpg", "text.jpg", "empty.png", "tiny.png", "gone.png")]


def test_a_broken_file_is_skipped_with_one_warning_that_names_it(tmp_path):
    paths = make_pictures(tmp_path, 9)
    broken = break_some(tmp_path)
    stream = stream_of([*broken, *paths], batch_size=3)
    start = stream.get_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = numbers(stream, 9)  # three epochs
        stream.set_state(start)
        assert numbers(stream, 3) == seen[:9]
    assert [sorted(seen[start : start + 9]) for start in (0, 9, 18)] == [list(range(9))] * 3
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == len(broken)
    for path in broken:
        assert sum(f"skipped '{path}'" in message for message in messages) == 1
    assert not any("\n" in message for message in messages)


def test_one_good_file_is_enough(tmp_path):
    broken = break_some(tmp_path)
    good = tmp_path / "good.png"
    PIL.Image.new("RGB", (24, 20), (grey_level(3),) * 3).save(good)
    with pytest.warns(UserWarning, match="skipped"):
        assert numbers(stream_of([*broken, good]), 10) == [3] * 40


@pytest.mark.parametrize("threads", [0, 2])
def test_no_good_file_is_an_error_and_not_an_endless_search(tmp_path, threads):
    broken = break_some(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="none of the 5 pictures can be read") as error:
            next(stream_of(broken, num_threads=threads))
        assert len(caught) == 5
        with pytest.raises(ValueError, match="none of the 5 pictures can be read"):
            fixed_batch(broken, load=files.load_pixels, transform=squash(SIZE), count=2)
    assert "\n" not in str(error.value)


def test_a_file_that_comes_back_is_used_again(tmp_path):
    paths = make_pictures(tmp_path, 3)
    kept = paths[1].read_bytes()
    paths[1].unlink()
    stream = stream_of(paths, batch_size=2, num_threads=0)
    with pytest.warns(UserWarning, match="skipped"):
        assert set(numbers(stream, 3)) == {0, 2}
    paths[1].write_bytes(kept)
    assert set(numbers(stream, 3)) == {0, 1, 2}


def test_only_what_the_file_causes_is_skipped():
    def fail(*args) -> np.ndarray:
        raise ValueError("a mistake of the transform")

    def run_out(path: Path) -> np.ndarray:
        raise MemoryError

    with pytest.raises(ValueError, match="a mistake of the transform"):
        next(stream_of([Path("1.png")], load=made, transform=fail))
    with pytest.raises(MemoryError):
        next(stream_of([Path("1.png")], load=run_out))


# Held-out pictures --------------------------------------------------------------------------------


def test_a_fixed_batch_is_the_first_good_pictures_cropped_in_their_middle(tmp_path):
    PIL.Image.fromarray(np.uint8(ramps(20, 30, 8) * 255)).save(tmp_path / "00.png")
    (tmp_path / "01.png").write_text("no picture")
    PIL.Image.new("RGB", (24, 20), (grey_level(2),) * 3).save(tmp_path / "02.png")
    paths = files.find_images(tmp_path)
    crop = random_crop(10, shorter_side=(14, 26), flip=True)  # 20 in the middle: as it is
    with pytest.warns(UserWarning, match=r"skipped '.*01\.png'"):
        batch = fixed_batch(paths, load=files.load_pixels, transform=crop, count=2)
    assert batch.shape == (2, 10, 10, 3)
    np.testing.assert_array_equal(batch[0], ramps(20, 30, 8)[5:15, 10:20])
    assert (batch[1] == np.float32(grey_level(2)) / 255).all()
    first = fixed_batch(paths[:1] * 3, load=files.load_pixels, transform=crop, count=1)
    np.testing.assert_array_equal(first, batch[:1])
    few = fixed_batch(paths[2:], load=files.load_pixels, transform=crop, count=8)
    np.testing.assert_array_equal(few, batch[1:])


# Transforms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(20, 50), (50, 20), (9, 11)])
def test_squash_is_lanczos_without_regard_to_the_aspect(height, width):
    pixels = noise(height, width)
    squashed = squash(SIZE)(pixels, None)
    np.testing.assert_allclose(squashed, lanczos(pixels, SIZE, SIZE), atol=1.6 / 255)


@pytest.mark.parametrize(
    ("height", "width", "scaled"), [(20, 50, (32, 80)), (17, 45, (32, 85)), (45, 30, (48, 32))]
)
def test_a_crop_is_cut_from_the_picture_scaled_as_a_whole(height, width, scaled):
    pixels = noise(height, width)
    cropped = random_crop(SIZE, shorter_side=32)(pixels, None)
    whole = lanczos(pixels, *scaled)
    top, left = (side // 2 - SIZE // 2 for side in scaled)
    expected = whole[top : top + SIZE, left : left + SIZE]
    np.testing.assert_allclose(cropped, expected, atol=1.6 / 255)


def test_crops_lie_everywhere_in_the_picture_equally_often():
    pixels = ramps(20, 30, 8)
    crop = random_crop(SIZE, shorter_side=20)
    key = np.random.default_rng(0)
    places = Counter()
    for _ in range(3000):
        square = crop(pixels, key)
        left, top = (round(float(level) * 255 / 8) for level in square[0, 0, :2])
        np.testing.assert_array_equal(square, pixels[top : top + SIZE, left : left + SIZE])
        places[top, left] += 1
    assert set(places) == {(top, left) for top in range(5) for left in range(15)}
    assert scipy.stats.chisquare(list(places.values())).pvalue > 0.01


def test_half_of_the_crops_are_flipped_if_asked():
    pixels = ramps(SIZE, SIZE, 8)
    key = np.random.default_rng(0)
    crop = random_crop(SIZE, shorter_side=SIZE, flip=True)
    squares = [crop(pixels, key) for _ in range(400)]
    flipped = sum(np.array_equal(square, pixels[:, ::-1]) for square in squares)
    assert flipped + sum(np.array_equal(square, pixels) for square in squares) == 400
    assert 160 < flipped < 240


def test_the_shorter_side_is_drawn_from_its_range():
    pixels = ramps(32, 40, 6)  # levels a column: 6 at length 32, 12 at length 16
    crop = random_crop(SIZE, shorter_side=(SIZE, 32))
    key = np.random.default_rng(0)
    squares = np.stack([crop(pixels, key) for _ in range(600)]) * 255
    slopes = (squares[:, 8, 12, 0] - squares[:, 8, 4, 0]) / 8
    lengths = 6 * 32 / slopes
    np.testing.assert_allclose([lengths.min(), lengths.max()], [16, 32], atol=0.7)
    counts, _ = np.histogram(lengths, bins=[15, 19.5, 23.5, 27.5, 33])  # of 4, 4, 4 and 5 lengths
    assert scipy.stats.chisquare(counts, np.array([4, 4, 4, 5]) * 600 / 17).pvalue > 0.01


@pytest.mark.parametrize("shape", [(16, 333), (333, 16), (17, 16), (331, 247), (16, 16)])
def test_any_shape_and_length_gives_a_square_of_the_size(shape):
    key = np.random.default_rng(0)
    crop = random_crop(13, shorter_side=(13, 61))
    pixels = np.full((*shape, 3), 101.6 / 255, np.float32)
    for _ in range(60):
        square = crop(pixels, key)
        assert square.shape == (13, 13, 3)
        assert (square == np.float32(102) / 255).all()


class Farthest(np.random.Generator):
    """Draws the largest number every time."""

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        return high


@pytest.mark.parametrize("length", range(13, 62))
def test_the_last_crop_ends_where_the_picture_ends(length):
    pixels = noise(16, 21)
    square = random_crop(13, shorter_side=length)(pixels, Farthest(np.random.PCG64()))
    whole = lanczos(pixels, length, round(21 * length / 16))
    np.testing.assert_allclose(square, whole[-13:, -13:], atol=1.6 / 255)


def test_a_turned_photograph_comes_upright(tmp_path):
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[:, :20] = 255  # the left half, which orientation 6 turns to the top
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    batch = next(stream_of([tmp_path / "a.png"], batch_size=1))
    assert (batch[0, :4] == 1).all()
    assert (batch[0, -4:] == 0).all()


# Arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stream_of([]), "paths must name at least one picture"),
        (lambda: stream_of([Path("1.png")], batch_size=0), "batch_size must be 1 or more, got 0"),
        (lambda: stream_of([Path("1.png")], seed=-1), "seed must be from 0 to .* got -1"),
        (lambda: stream_of([Path("1.png")], seed=2**32), "seed must be from 0"),
        (lambda: stream_of([Path("1.png")], num_threads=-1), "num_threads must be 0 or more"),
        (lambda: fixed_batch([], load=made, transform=squash(8), count=1), "paths must name"),
        (
            lambda: fixed_batch([Path("1.png")], load=made, transform=squash(8), count=0),
            "count must be 1 or more, got 0",
        ),
        (lambda: squash(0), "size must be 1 or more, got 0"),
        (lambda: random_crop(16, shorter_side=15), "shorter_side must be at least size, 16"),
        (lambda: random_crop(16, shorter_side=(32, 16)), r"least to its most; got \(32, 16\)"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
