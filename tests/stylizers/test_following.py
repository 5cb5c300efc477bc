"""A network that sees its last picture, frame after frame: what it is given, and when."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
import scipy.ndimage

from nst_jax import cli, files
from nst_jax.files.video_output import writing_clip
from nst_jax.files.videos import Clip, Frame
from nst_jax.flow import Flows
from nst_jax.networks.ruder import RuderNetwork
from nst_jax.stylizers import FollowingStylizer, VideoStylizer, load_stylizer, save_model


def pan(number):
    y, x = np.mgrid[0:64, 0:64].astype(np.float64)
    return made_clips.texture(y, x - 2 * number)


RATE = Fraction(25)
FLOWS = Flows(
    np.broadcast_to(np.array([-2, 0], np.float32), (64, 64, 2)),
    np.broadcast_to(np.array([2, 0], np.float32), (64, 64, 2)),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file of a network with made parameters."""
    network = RuderNetwork(width=2)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 7)))
    kernel = variables["params"]["output"]["kernel"]
    variables["params"]["output"]["kernel"] = 3 * kernel
    path = tmp_path_factory.mktemp("models") / "moving.safetensors"
    save_model(path, network, variables, styles=["waves"], card={})
    return path


@pytest.fixture(scope="module")
def stylizer(model):
    found = load_stylizer(model, median_filter=1)
    assert isinstance(found, FollowingStylizer)
    return found


def painted(stylizer, frame, last=None):
    """What the network makes of a frame with another picture two pixels to the left, in NumPy."""
    mask = np.ones((64, 64, 1), np.float32)
    mask[:, :2] = 0  # what came in at the left
    mask = scipy.ndimage.minimum_filter(mask, (7, 7, 1), mode="constant", cval=1)
    moved = np.concatenate([frame[:, :2], frame[:, :-2]], 1) if last is None else last
    given = np.concatenate([frame, moved, 0 * mask if last is None else mask], -1)
    apply = jax.jit(stylizer.network.apply)
    return np.asarray(apply(stylizer.variables, given[None]))[0].clip(0, 1)


@pytest.mark.slow
def test_the_next_frame_is_painted_with_the_last_picture_before_its_eyes(stylizer):
    video = VideoStylizer(stylizer)
    state, first = video.step(video.init(()), pan(0)[None], None)
    np.testing.assert_allclose(first[0], painted(stylizer, pan(0)), atol=1e-4)
    np.testing.assert_allclose(first[0], stylizer(pan(0)[None])[0], atol=1e-6)
    _, second = video.step(state, pan(1)[None], FLOWS)
    last = np.asarray(first[0])
    moved = np.concatenate([last[:, :1], last[:, :1], last[:, :-2]], 1)  # its edge goes on
    np.testing.assert_allclose(second[0], painted(stylizer, pan(1), moved), atol=1e-4)
    assert np.abs(second[0] - painted(stylizer, pan(1))).max() > 0.01


def test_off_and_cuts_have_no_last_picture(stylizer):
    alone = VideoStylizer(stylizer, temporal="off")
    state, _ = alone.step(alone.init(()), pan(0)[None], None)
    _, second = alone.step(state, pan(1)[None], FLOWS)
    np.testing.assert_allclose(second[0], painted(stylizer, pan(1)), atol=1e-4)
    video = VideoStylizer(stylizer)
    state, _ = video.step(video.init(()), pan(0)[None], None)
    other = (0.3 * pan(1)[..., ::-1] + [0.1, 0.5, 0.2]).astype(np.float32)
    _, second = video.step(state, other[None], FLOWS)
    np.testing.assert_allclose(second[0], painted(stylizer, other), atol=1e-4)


def test_the_filter_is_that_of_networks_of_one_style(model, stylizer):
    filtered = load_stylizer(model)
    wanted = scipy.ndimage.median_filter(stylizer(pan(0)[None])[0], (3, 3, 1), mode="mirror")
    np.testing.assert_allclose(filtered(pan(0)[None])[0], wanted, atol=1e-6)


def test_it_is_no_network_for_other_programs(model, tmp_path, capsys):
    words = ["export", str(model), "-o", str(tmp_path / "out.stablehlo")]
    pytest.importorskip("flatbuffers")
    assert cli.main(words) == 2
    assert "takes its last picture and optical flow too" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_goes_on_to_the_same_frames(model, tmp_path, capsys):
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    source = tmp_path / "frames"
    with writing_clip(source, Clip(64, 64, 1 / RATE, RATE, 0, has_sound=False)) as add:
        for number in range(4):
            add(Frame(pan(number), number / RATE))
    words = ["video", str(source), "--model", str(model), "--size", "64", "-o"]
    assert cli.main([*words, str(tmp_path / "painted")]) == 0
    assert cli.main([*words, str(tmp_path / "alone"), "--temporal", "off"]) == 0
    first, second = (
        [files.load_pixels(path) for path in files.list_images(tmp_path / name)]
        for name in ("painted", "alone")
    )
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[1] - second[1]).max() > 0.01
    capsys.readouterr()
    assert cli.main([*words, str(tmp_path / "grey"), "--color", "keep"]) == 2
    assert "color: wanted style with moving" in capsys.readouterr().err
