"""Optical flow, on motions that are known exactly and on Middlebury's pairs."""

import os
import sys
from pathlib import Path

import made_clips
import numpy as np
import pytest

from nst_jax import files
from nst_jax.files.video_libraries import VideoLibraryMissingError
from nst_jax.flow import endpoint_error, estimate_flow, estimate_flows

MIDDLEBURY = Path(os.environ.get("NST_JAX_DATA", "")) / "video" / "middlebury"


def test_the_endpoint_error_is_a_mean_distance():
    flow, truth = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    flow[0, 0], truth[1, 1] = (3, 4), (0, 2)
    assert endpoint_error(flow, truth) == pytest.approx(7 / 4)
    known = np.array([[1, 1], [1, 0]], np.float32)
    assert endpoint_error(flow, truth, known=known) == pytest.approx(5 / 3)


def test_without_opencv_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    frame = np.zeros((32, 32, 3), np.float32)
    with pytest.raises(VideoLibraryMissingError, match="pip install opencv-python-headless"):
        estimate_flow(frame, frame)


@pytest.mark.parametrize(
    "motion",
    [
        made_clips.pan(2.4, -1.3),
        made_clips.turn_and_zoom(0, 1.06),
        made_clips.turn_and_zoom(4, 1),
        made_clips.turn_and_zoom(-3, 0.95),
    ],
    ids=["pan", "zoom", "rotation", "both"],
)
@pytest.mark.parametrize("preset", ["fast", "medium"])
def test_smooth_motion_is_found_to_a_fraction_of_a_pixel(motion, preset):
    pytest.importorskip("cv2")
    first, second, truth = made_clips.moved(motion)
    found = estimate_flow(second, first, preset=preset)
    inner = np.s_[8:-8, 8:-8]
    still = endpoint_error(np.zeros_like(truth)[inner], truth[inner])
    error = endpoint_error(found[inner], truth[inner])
    assert error < 0.35
    assert error < still / 4


def test_both_directions_of_a_moving_square():
    pytest.importorskip("cv2")
    first, second, backward, forward, _ = made_clips.cut_out(step=3)
    found = estimate_flows(second, first)
    np.testing.assert_allclose(found.flow[20:28, 29:37], backward[20:28, 29:37], atol=0.5)
    np.testing.assert_allclose(found.opposite[20:28, 26:34], forward[20:28, 26:34], atol=0.5)
    assert np.abs(found.flow[4:8, 4:60]).max() < 0.5


@pytest.mark.usefixtures("unchecked")
def test_bad_frames_are_refused():
    pytest.importorskip("cv2")
    frame = np.zeros((32, 32, 3), np.float32)
    with pytest.raises(ValueError, match="frame: wanted two of one size"):
        estimate_flow(frame, frame[:, :30])
    with pytest.raises(ValueError, match="at least 16 pixels a side"):
        estimate_flow(frame[:10], frame[:10])
    with pytest.raises(ValueError, match="preset: wanted one of ultrafast, fast, medium, got 'x'"):
        estimate_flow(frame, frame, preset="x")  # pyright: ignore[reportArgumentType]


@pytest.mark.skipif(not MIDDLEBURY.is_dir(), reason="NST_JAX_DATA has no video/middlebury")
def test_the_error_on_middleburys_pairs_is_what_dis_is_known_for():
    pytest.importorskip("cv2")
    errors = {}
    for folder in sorted(MIDDLEBURY.iterdir()):
        first, second = (files.load_pixels(folder / f"frame{number}.png") for number in (10, 11))
        with np.load(folder / "flow10.npz") as stored:
            truth, known = stored["flow"].astype(np.float32), stored["valid"].astype(np.float32)
        found = estimate_flow(first, second)
        errors[folder.name] = endpoint_error(found, np.nan_to_num(truth), known=known)
    assert np.mean(list(errors.values())) < 1.0
    assert errors["RubberWhale"] < 0.3
    assert errors["Dimetrodon"] < 0.3
