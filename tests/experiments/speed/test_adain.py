"""That the benchmark of AdaIN compares like with like, and runs; not what it measures."""

import json

import numpy as np
import pytest


@pytest.mark.oracle
@pytest.mark.parametrize("encode", [False, True])
def test_all_sides_paint_the_same_picture(monkeypatch, encode):
    pytest.importorskip("torch")
    from experiments.speed import adain as script

    rivals = ("torch", "torch channels_last", "torch bfloat16")
    monkeypatch.setattr(script, "RIVALS", rivals)  # whatever the processor knows
    works = script.painting_works(32, encode=encode)
    assert set(rivals) < works.keys()
    wanted = np.asarray(works.pop("ours")())
    assert wanted.shape == (1, 32, 32, 3)
    tolerances = {"ours bfloat16": 0.03, "torch bfloat16": 0.1}
    for side, work in works.items():
        painted = work()
        if side.startswith("torch"):
            painted = painted.float().permute(0, 2, 3, 1).numpy()
        tolerance = tolerances.get(side, 1e-3) * np.abs(wanted).max()
        np.testing.assert_allclose(painted, wanted, atol=tolerance, err_msg=side)


@pytest.mark.oracle
def test_a_short_run_writes_a_record(start, tmp_path, capsys):
    pytest.importorskip("torch")
    from experiments.speed import adain as script

    start(script, "--sizes", 32, "--repeats", 1, "--out", tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["command"].startswith("python -m experiments.speed.adain --sizes 32")
    assert {"commit", "device", "machine"} <= record.keys()
    assert {"jax", "torch"} <= record["versions"].keys()
    assert set(record["rows"]) == {"32, style at hand", "32, with the style's encoding"}
    for row in record["rows"].values():
        assert row["sides"][row["best"]]["ratio"] == 1
        assert row["lbfgs"]["times_as_long_as_painting"] > 0
    assert "style at hand" in capsys.readouterr().out
