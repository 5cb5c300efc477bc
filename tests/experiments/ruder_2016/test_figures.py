"""The tables of clips by pixels, at a size for tests; exact motion against what is seen."""

from fractions import Fraction

import made_clips
import made_data
import numpy as np
import pytest
from made_data import PlainDistances

from experiments.ruder_2016 import __main__ as script
from nst_jax import files
from nst_jax.files.video_output import writing_clip
from nst_jax.files.videos import Clip, Frame

pytest.importorskip("cv2")
SMALL = ("--preset", "smoke", "--size", 48, "--num-steps", 6, 3)


@pytest.fixture
def data(tmp_path):
    """A clip of a pan, as a folder of pictures."""
    folder = made_data.write_data(tmp_path / "data", made_data.TIERS)
    y, x = np.mgrid[0:32, 0:48].astype(np.float64)
    rate = Fraction(25)
    (folder / "video").mkdir()
    with writing_clip(folder / script.CLIP, Clip(32, 48, 1 / rate, rate, 4, False)) as add:
        for number in range(4):
            add(Frame(made_clips.texture(y, x - 2 * number), number / rate))
    return folder


@pytest.mark.slow
def test_every_part_is_measured_beside_frames_alone(start, data, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "Distances", PlainDistances)
    out = tmp_path / "out"
    start(script, "--data", data, "--out", out, "--figures", "consistency", "--count", 4, *SMALL)
    runs = files.read_record(out / "consistency" / "record.json")["runs"]
    assert list(runs) == ["alone", "warped start", "short-term", "long-term"]
    assert runs["alone"]["error_over_alone"] == 1
    assert runs["short-term"]["error"] < runs["alone"]["error"]
    assert len({run["input_error"] for run in runs.values()}) == 1
    assert float(np.std(files.load_image(out / "consistency" / "slices.jpg"))) > 0.05


@pytest.mark.slow
def test_what_was_covered_is_measured_apart(start, data, tmp_path):
    out = tmp_path / "out"
    start(script, "--data", data, "--out", out, "--figures", "comes_back", "--count", 5, *SMALL)
    runs = files.read_record(out / "comes_back" / "record.json")["runs"]
    assert list(runs) == ["short-term", "long-term"]
    for run in runs.values():
        assert run["covered"] > run["never_covered"] > 0


def test_what_passes_moves_as_its_flows_say():
    frames, covered = script.make_passing(64, 5)
    flows = script.exact_flows(covered)(1, 3)
    for mask, flow, here, there in (
        (covered[1], flows.flow, frames[1], frames[3]),
        (covered[3], flows.opposite, frames[3], frames[1]),
    ):
        y, x = np.nonzero(mask)
        np.testing.assert_array_equal(there[y, x + flow[mask][:, 0].astype(int)], here[y, x])
        assert np.all(flow[~mask] == 0)
        assert np.all(flow[mask][:, 1] == 0)
    seen = ~(covered[1] | covered[3])
    np.testing.assert_array_equal(frames[1][seen], frames[3][seen])
    assert (covered.any(0) & ~covered[0] & ~covered[-1]).sum() > 50
