"""Bars of what benchmarks measured."""

import numpy as np
import pytest

from experiments.speed import plots
from nst_jax import files

SIDES = {"ours": {"seconds": 0.5, "ratio": 0.5}, "torch": {"seconds": 2.0, "ratio": 2.0}}


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"rows": {"a": {"sides": SIDES}, "b": {"sides": SIDES}}}, ["a", "b"]),
        ({"rows": [{"size": 64, "value_and_gradient": SIDES}]}, ["64 pixels"]),
        ({"methods": {"optimisation": SIDES}}, ["optimisation"]),
    ],
    ids=["networks", "optimisation", "controls"],
)
def test_bars_are_read_and_drawn_beside_the_record(start, tmp_path, record, names):
    bars = plots.read_bars(record)
    assert list(bars) == names
    assert all(sides == SIDES for sides in bars.values())
    path = tmp_path / "record.json"
    files.write_record(path, record)
    start(plots, path)
    picture = np.asarray(files.load_image(tmp_path / "speed.png"))[0]
    red, blue = picture[..., 0], picture[..., 2]
    ours, theirs = (blue - red > 0.5), (red - blue > 0.5)  # Matplotlib's first colour, its second
    assert ours.sum() > 500
    assert theirs.sum() > 500
    middles = [np.nonzero(bars.any(0))[0].mean() for bars in (ours, theirs)]
    assert middles[0] < middles[1]  # to the left of 1, and to the right


def test_another_record_is_refused():
    with pytest.raises(ValueError, match="wanted one of a benchmark"):
        plots.read_bars({"runs": {}})
