"""That the benchmark compares like with like, and runs; what it measures no test can say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "experiments.speed.gatys")


@pytest.mark.oracle
def test_all_sides_compute_the_same_loss_and_gradient():
    pytest.importorskip("torch")
    from experiments.speed import gatys as benchmark

    exact = benchmark._ours("ours", 48)[0]()
    (wanted, _), gradient = exact
    for side, tolerance in (("ours bfloat16", 2e-2), ("ours remat", 1e-5)):
        (total, _), other = benchmark._ours(side, 48)[0]()
        assert float(total) == pytest.approx(float(wanted), rel=tolerance), side
        error = np.linalg.norm(other - gradient) / np.linalg.norm(gradient)
        assert error < 5 * tolerance, side
    tolerances = {"torch": 1e-4, "torch channels_last": 1e-4, "torch bfloat16": 0.1}
    for side, tolerance in tolerances.items():
        total = benchmark._theirs(side, 48)[0]()
        assert total.item() == pytest.approx(float(wanted), rel=tolerance), side


@pytest.mark.oracle
def test_ratios_are_medians_over_the_turns():
    pytest.importorskip("torch")
    from experiments.speed import gatys as benchmark

    found = benchmark.compare({"ours": [1.0, 4.0, 6.0], "torch": [2.0, 2.0, 8.0]}, "torch")
    # Turn by turn 0.5, 2 and 0.75, which is not the ratio of the medians.
    assert found["ours"] == {"seconds": 4.0, "ratio": 0.75}
    assert found["torch"] == {"seconds": 2.0, "ratio": 1.0}


@pytest.mark.oracle
def test_a_short_run_prints_tables_and_writes_a_record(tmp_path):
    pytest.importorskip("torch")
    done = subprocess.run(
        [*COMMAND, "--sizes", "32", "--repeats", "1", "--out", tmp_path],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # PyTorch's threads wait busily for a core
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for title in ("value and gradient", "L-BFGS step", "peak memory"):
        assert title in done.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    assert "--sizes 32 --repeats 1" in record["command"]
    assert set(record["versions"]) >= {"nst_jax", "jax", "torch"}
    assert record["machine"]["torch_threads"] == 1
    (row,) = record["rows"]
    assert row["size"] == 32
    assert row["compile_seconds_of_three_programs"] > 0
    ours = {"ours", "ours bfloat16", "ours remat"}
    theirs = {"torch", "torch channels_last"}
    gradient, step = row["value_and_gradient"], row["lbfgs_step"]
    # PyTorch's bfloat16 where the processor knows it.
    assert set(gradient) - {"torch bfloat16"} == ours | theirs
    assert set(step) == ours | {row["best"]}
    assert row["best"] == min(theirs, key=lambda side: gradient[side]["seconds"])
    for table in (gradient, step):
        assert table[row["best"]]["ratio"] == 1.0
        for side in table.values():
            assert side["seconds"] > 0
            # With one turn the ratio is that of the seconds.
            assert side["ratio"] == pytest.approx(side["seconds"] / table[row["best"]]["seconds"])
    if sys.platform == "linux":
        assert set(row["mebibytes"]) == ours | theirs
        # At least the picture and its gradient, 24 KiB, at most what a machine has to spare.
        assert all(0.02 < value < 1000 for value in row["mebibytes"].values())
