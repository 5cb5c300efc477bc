"""Oracles: ramps and NumPy for what is shown of pictures; runs that never stopped; known ends."""

import dataclasses
import json
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import train
from nst_jax.encoders.preprocessing import CAFFE, preprocess
from nst_jax.encoders.vgg import VGG, block_of
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.papers import li_wand_2016
from nst_jax.train.checkpoints import saved_steps

pytestmark = pytest.mark.usefixtures("lax_promotion")

CONFIG = dataclasses.replace(
    li_wand_2016.PRESETS["smoke"], size=32, style_size=32, num_steps=6, tv_weight=1.0
)


@dataclass(frozen=True)
class Averages:
    """An encoder whose layers are means over squares of pixels, of colours and their opposites."""

    def apply(self, variables, images, /, *, layers):
        x = variables["gain"] * jnp.concatenate([images, 1 - images], -1)
        found = {}
        for layer in layers:
            side = 2 ** block_of(layer)
            batch, height, width, channels = x.shape
            rows, columns = height // side, width // side
            squares = x[:, : rows * side, : columns * side]
            squares = squares.reshape(batch, rows, side, columns, side, channels)
            found[layer] = squares.mean((2, 4))
        return found


ENCODER, PARAMS = Averages(), {"gain": jnp.ones(())}


def stylize(photograph, painting, workdir, config=CONFIG, **options):
    return li_wand_2016.stylize(
        photograph,
        painting,
        config,
        ENCODER,
        PARAMS,
        reporting=train.Reporting(workdir, **{"save_every": 2, "log_every": 1, **options}),
    )


def logged(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_picture_comes_to_look_like_the_painting(photograph, painting, tmp_path):
    config = dataclasses.replace(CONFIG, num_steps=60, content_weight=0.1)
    painted = stylize(photograph, painting, tmp_path, config, report_every=30, save_every=0)
    distances = [line["held_out"]["style"] for line in logged(tmp_path) if "held_out" in line]
    before = dataclasses.replace(config, num_steps=1, learning_rate=1e-6)
    begun = stylize(photograph, painting, tmp_path / "before", before).held_out
    assert painted.held_out["style"] == pytest.approx(distances[-1])
    assert painted.held_out["style"] < 0.5 * begun["style"]
    assert begun["content"] < 1e-6 < painted.held_out["content"]
    assert painted.image.shape == (1, 24, 32, 3)
    assert 0 <= float(painted.image.min()) < float(painted.image.max()) <= 1


def test_every_step_is_logged_with_its_parts_and_the_accuracy(photograph, painting, tmp_path):
    stylize(photograph, painting, tmp_path)
    lines = [line for line in logged(tmp_path) if "total" in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    for line in lines:
        parts = line["content"] + line["tv"] + line["adversarial"]
        assert line["total"] == pytest.approx(parts, rel=1e-5)
        assert 0 <= line["accuracy"] <= 1
    # It begins with the photograph itself; its total variation by NumPy.
    small = np.asarray(resize_longer_side(photograph, 32))
    down, right = np.diff(small, axis=1), np.diff(small, axis=2)
    assert lines[0]["content"] == 0
    assert lines[0]["tv"] == pytest.approx((down**2).mean() + (right**2).mean(), rel=1e-4)


def test_without_weight_the_photograph_stays(photograph, painting, tmp_path):
    config = dataclasses.replace(CONFIG, adversarial_weight=0.0, tv_weight=0.0)
    painted = stylize(photograph, painting, tmp_path, config)
    np.testing.assert_allclose(
        painted.image, resize_longer_side(photograph, 32).clip(0, 1), atol=1e-6
    )


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_picture(photograph, painting, tmp_path):
    wanted = stylize(photograph, painting, tmp_path / "unbroken")
    steps = []
    part = stylize(
        photograph,
        painting,
        tmp_path / "stopped",
        on_step=lambda report: steps.append(report.step),
        interrupted=lambda: len(steps) >= 2,
    )
    assert part.step < 6
    assert part.held_out == {}
    assert saved_steps(tmp_path / "stopped" / "checkpoints")[-1] == part.step
    again = stylize(photograph, painting, tmp_path / "stopped")
    np.testing.assert_array_equal(again.image, wanted.image)
    assert again.step == 6
    with pytest.raises(ValueError, match=r"workdir: .* holds a run with data.pictures"):
        stylize(painting, painting, tmp_path / "stopped")


@pytest.mark.parametrize(("rotation", "scaling", "flip"), [(0.0, 1.0, False), (10.0, 1.1, True)])
def test_pieces_lie_within_the_painting_turned_and_scaled_no_more_than_said(
    rotation, scaling, flip
):
    """Of a ramp all pieces are ramps, unless they reach beyond its edge, which goes on flat."""
    y, x = np.mgrid[0:40, 0:56].astype(np.float32)
    ramp = jnp.asarray(np.stack([x, y, x + y], -1)[None])
    turned = {"rotation": rotation, "scaling": scaling}
    cut = jax.jit(lambda key: li_wand_2016.random_piece(key, ramp, flip=flip, **turned))
    side = li_wand_2016.piece_side(40, 56, **turned)
    mirrored, angles, scales, corners = 0, [], [], []
    for seed in range(40):
        piece = np.asarray(cut(jax.random.key(seed)), np.float64)[0]
        assert piece.shape == (side, side, 3)
        right, down = piece[0, 1, :2] - piece[0, 0, :2], piece[1, 0, :2] - piece[0, 0, :2]
        rows, columns = np.mgrid[0:side, 0:side][..., None]
        flat = piece[0, 0, :2] + columns * right + rows * down
        np.testing.assert_allclose(piece[..., :2], flat, atol=1e-3)
        np.testing.assert_allclose(piece[..., 2], piece[..., 0] + piece[..., 1], atol=1e-3)
        assert abs(right @ down) < 1e-3
        scales.append(np.hypot(*right))
        assert np.hypot(*down) == pytest.approx(scales[-1], abs=1e-3)
        angles.append(np.degrees(np.arctan2(down[0], down[1])))
        mirrored += right[0] < 0
        corners.append(piece[0, 0, 0])
    assert np.abs(angles).max() <= rotation + 0.1
    assert 1 / scaling - 1e-3 <= min(scales) <= max(scales) <= scaling + 1e-3
    assert max(corners) - min(corners) > 5
    if flip:
        assert np.abs(angles).max() > 7
        assert max(scales) / min(scales) > 1.12
        assert 8 < mirrored < 32
    else:
        assert side == 40
        assert mirrored == 0


def test_contrast_is_cut_and_stretched():
    values = np.random.default_rng(0).standard_normal((1, 8, 9, 3)).astype(np.float32)
    config = dataclasses.replace(CONFIG, contrast=1.5)
    bound = 1.5 * values.std()
    wanted = (np.clip(values - values.mean(), -bound, bound) + bound) / (2 * bound)
    image = jnp.asarray(values)
    np.testing.assert_allclose(li_wand_2016.finish(image, config), wanted, atol=1e-5)
    clipped = li_wand_2016.finish(image, dataclasses.replace(config, contrast=None))
    np.testing.assert_array_equal(clipped, values.clip(0, 1))


def test_the_authors_give_the_encoder_pixels_from_minus_one_to_one():
    encoder = VGG("vgg19", CAFFE)
    found = li_wand_2016.set_encoder(encoder, li_wand_2016.PRESETS["authors"])
    assert isinstance(found, VGG)
    image = jnp.linspace(0, 1, 12).reshape(1, 2, 2, 3)
    np.testing.assert_allclose(preprocess(image, found.preprocessing), 2 * image - 1, atol=1e-6)
    own = li_wand_2016.set_encoder(encoder, li_wand_2016.PRESETS["cpu"])
    assert isinstance(own, VGG)
    assert own.preprocessing == CAFFE


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"content_layer": "relu9_1"}, "layers: no layer called 'relu9_1'"),
        ({"rotation": 60.0}, "rotation: wanted 0 to 45 degrees, got 60.0"),
        ({"scaling": 0.5}, "scaling: wanted 1 to 2, got 0.5"),
        ({"num_steps": 0}, "num_steps: wanted 1 to 1073741823, got 0"),
        ({"num_steps": 10**22}, "num_steps: wanted 1 to 1073741823"),
        ({"discriminator_learning_rate": 0.0}, "discriminator_learning_rate: wanted a finite"),
        ({"adversarial_weight": float("nan")}, "adversarial_weight: wanted a finite number"),
    ],
)
def test_useless_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        dataclasses.replace(CONFIG, **changes)
    assert "\n" not in str(caught.value)


def test_pictures_without_a_patch_are_refused(photograph, painting, tmp_path):
    config = dataclasses.replace(CONFIG, style_layer="relu3_1")
    with pytest.raises(ValueError, match="content: wanted sides of 32 pixels at least for relu3_1"):
        stylize(photograph, painting, tmp_path, config)
    config = dataclasses.replace(config, size=48)
    with pytest.raises(ValueError, match="style: wanted pieces of 32 pixels at least"):
        stylize(photograph, painting, tmp_path, config)
