"""The tables of painted clips, at a size for tests."""

from fractions import Fraction

import made_clips
import made_data
import numpy as np
import pytest
from made_data import PlainDistances

from experiments.common import contact_sheet
from experiments.video import __main__ as script
from nst_jax import files
from nst_jax.files.video_output import writing_clip
from nst_jax.files.videos import Clip, Frame

pytest.importorskip("cv2")


@pytest.fixture
def data(tmp_path):
    """A clip of a pan, as a folder of pictures, and the painting that a network is named after."""
    folder = made_data.write_data(tmp_path / "data", made_data.TIERS)
    (folder / "video").mkdir()
    y, x = np.mgrid[0:32, 0:48].astype(np.float64)
    rate = Fraction(25)
    clip = Clip(32, 48, 1 / rate, rate, 12, has_sound=False)
    with writing_clip(folder / "video" / "pan", clip) as add:
        for number in range(12):
            add(Frame(made_clips.texture(y, x - 0.7 * number), number / rate))
    return folder


@pytest.mark.slow
def test_every_mode_is_measured_beside_the_clip(start, data, tmp_path, monkeypatch):
    model = made_data.save_models(tmp_path).many
    monkeypatch.setattr(script, "CLIPS", {"pan": "video/pan"})
    monkeypatch.setattr(script, "NETWORKS", {"many styles": (model, "waves")})
    monkeypatch.setattr(script, "Distances", PlainDistances)
    out = tmp_path / "out"
    start(script, "--data", data, "--out", out, "--figures", "modes", "--size", 48)
    record = files.read_record(out / "modes" / "record.json")
    runs = record["runs"]["pan"]["many styles"]
    assert list(runs) == ["off", "statistics", "blend", "all"]
    assert len({run["short"]["input_error"] for run in runs.values()}) == 1
    assert runs["off"]["short"]["excess_over_off"] == 1
    assert runs["all"]["short"]["error"] < runs["off"]["short"]["error"]
    assert all(run["style_distance"] > 0 for run in runs.values())
    for kind in ("strip", "slice"):
        sheet = files.load_image(out / "modes" / f"pan_many_styles_{kind}.jpg")
        assert float(np.std(sheet)) > 0.05


def test_slices_have_time_downwards():
    pictures = [np.full((4, 6, 3), number / 10, np.float32) for number in range(5)]
    found = contact_sheet.slice_over_time(pictures)
    assert found.shape == (15, 6, 3)
    np.testing.assert_allclose(found[::3, 0, 0], np.arange(5) / 10, rtol=1e-6)
