"""Oracles: gradients, whose slope tells the scale and whose value the place, and the bytes."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from nst_jax import train
from nst_jax.train.decoded_once import Crops, fits_on_device

pytestmark = pytest.mark.usefixtures("lax_promotion")

SIZE = 16


def save(path, pixels):
    PIL.Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def paths(tmp_path):
    """Five pictures of noise, of the shape that is kept."""
    rng = np.random.default_rng(0)
    return [
        save(tmp_path / f"{n}.png", rng.integers(0, 256, (24, 24, 3), np.uint8)) for n in range(5)
    ]


def opened(paths, *, shorter_side=(24, 24), flip=False, batch_size=2, seed=3):
    return train.open_stream(
        paths,
        size=SIZE,
        shorter_side=shorter_side,
        flip=flip,
        batch_size=batch_size,
        seed=seed,
        decode="once",
    )


cut = jax.jit(train.cut_batch)


def test_squares_are_cut_anywhere_and_half_of_them_mirrored(paths):
    stream = opened(paths, flip=True, batch_size=40)
    crops = next(stream)
    found = np.rint(np.asarray(cut(jax.random.key(1), crops)) * 255).astype(np.uint8)
    corners, mirrored = set(), 0
    for number, square in zip(np.asarray(crops.numbers), found, strict=True):
        whole = np.asarray(PIL.Image.open(paths[number]))
        windows = np.lib.stride_tricks.sliding_window_view(whole, (SIZE, SIZE), axis=(0, 1))
        windows = windows.transpose(0, 1, 3, 4, 2)
        places = np.argwhere((windows == square).all((2, 3, 4)))
        if not len(places):
            places = np.argwhere((windows == square[:, ::-1]).all((2, 3, 4)))
            mirrored += 1
        (place,) = places
        corners.add(tuple(place))
    assert len(corners) > 20
    assert {0, 8} <= {side for corner in corners for side in corner}  # up to both edges
    assert 10 < mirrored < 30


def test_pictures_are_scaled_to_between_the_two_lengths():
    """Red is x / 64, green y / 64: their steps are those of the scaled picture."""
    ramp = np.broadcast_to(np.arange(64), (64, 64))
    picture = np.stack([4 * ramp, 4 * ramp.T, 0 * ramp], -1).astype(np.uint8)
    crops = Crops(jnp.zeros(60, jnp.int32), jnp.asarray(picture[None]), SIZE, (24, 64), False)
    found = np.asarray(cut(jax.random.key(2), crops)) * 255 / 4  # the place in the kept picture
    sides = []
    for square in found:
        # Away from the edges, beyond which a filter has less to look at; it ripples by a few in a
        # hundred on a slope.
        across = (square[8, 12, 0] - square[8, 3, 0]) / 9
        down = (square[12, 8, 1] - square[3, 8, 1]) / 9
        np.testing.assert_allclose(across, down, rtol=0.03)
        side = 128 / (across + down)
        for value in (square[8, 8, 0], square[8, 8, 1]):  # (corner + 8.5) 64 / side − 0.5
            assert -1 < (value + 0.5) * side / 64 - 8.5 < side - SIZE + 1
        sides.append(side)
    assert 23 < min(sides) < 30
    assert 58 < max(sides) < 66


def test_whole_pictures_are_squeezed(tmp_path):
    rng = np.random.default_rng(1)
    path = save(tmp_path / "wide.png", rng.integers(0, 256, (20, 50, 3), np.uint8))
    crops = next(opened([path], shorter_side=None, batch_size=1))
    found = np.asarray(cut(jax.random.key(0), crops))[0]
    squeezed = PIL.Image.open(path).resize((SIZE, SIZE), PIL.Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.rint(found * 255), squeezed)


def test_every_picture_comes_once_an_epoch_and_a_position_can_be_gone_back_to(paths):
    stream = opened(paths)
    numbers = [np.asarray(next(stream).numbers).tolist() for _ in range(10)]
    flat = [number for batch in numbers for number in batch]
    epochs = [flat[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1
    other = opened(paths)
    other.set_state({"position": 7})
    assert [np.asarray(next(other).numbers).tolist() for _ in range(3)] == numbers[7:]


def test_a_broken_picture_is_named_with_its_reason_and_left_out(paths, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    with pytest.warns(UserWarning, match=r"^skipped '.*broken.jpg': cannot read .* not a JPEG"):
        stream = opened([*paths, broken])
    assert next(stream).pictures.shape == (5, 24, 24, 3)
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="none of the"):
        opened([broken])


def test_contents_are_photographs_and_paintings(paths):
    stream = train.open_pair_stream(
        train.Pair,
        paths[:3],
        paths[3:],
        size=SIZE,
        shorter_side=(24, 24),
        flip=False,
        batch_size=3,
        seed=0,
        decode="once",
    )
    pair = cut(jax.random.key(0), next(stream))
    assert pair.content.shape == pair.style.shape == (3, SIZE, SIZE, 3)
    whole = [np.asarray(PIL.Image.open(path)) for path in paths]

    def source(square):
        pixel = np.rint(np.asarray(square[8, 8]) * 255)
        (found,) = [n for n, w in enumerate(whole) if (w == pixel).all(-1).any()]
        return found

    assert [source(square) < 3 for square in pair.content] == [True, True, False]
    assert all(source(square) >= 3 for square in pair.style)


def test_a_run_that_broke_goes_on_as_if_it_had_not(paths, tmp_path):
    def loss_fn(key, params, model_state, batch):
        noise = 0.1 * jax.random.normal(key, (3,))
        error = batch.mean((0, 1, 2)) * params["x"] + noise - 0.5
        return jnp.square(error).mean(), ({}, model_state)

    tx = train.make_transformation(learning_rate=0.05, num_steps=6)
    trainer = train.make_trainer(loss_fn, tx)

    def run(folder, num_steps):
        with contextlib.closing(opened(paths, shorter_side=(20, 24), flip=True)) as stream:
            return train.fit(
                trainer,
                trainer.init(jax.random.key(0), {"x": jnp.ones(3, jnp.float32)}, {}),
                stream,
                num_steps=num_steps,
                description={},
                reporting=train.Reporting(tmp_path / folder),
            )

    whole = run("whole", 6)
    run("broken", 4)
    broken = run("broken", 6)
    np.testing.assert_array_equal(broken.params["x"], whole.params["x"])


def test_a_processor_decodes_always_unless_told(paths):
    assert not fits_on_device(5, 24)
    assert train.choose_decoding("auto", 5, 24) == "always"
    assert train.choose_decoding("once", 5, 24) == "once"
