"""That the networks' benchmark compares like with like, and runs; not what it measures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def run(*options):
    return subprocess.run(
        [sys.executable, "-m", "experiments.speed.networks", *map(str, options)],
        cwd=ROOT,
        # PyTorch's threads wait busily for a core.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["johnson_full_batch", "johnson_half_instance", "dumoulin_half"])
def test_all_sides_paint_the_same_picture(monkeypatch, name):
    pytest.importorskip("torch")
    from experiments.speed import networks as script

    tolerances = {"torch": 1e-4, "torch channels_last": 1e-4, "torch bfloat16": 0.1}
    monkeypatch.setattr(script, "RIVALS", tuple(tolerances))  # whatever the processor knows
    works = script.painting_works(name, 48)
    wanted = np.asarray(works.pop("ours")())
    assert wanted.shape == (1, 48, 48, 3)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(works.pop("ours bfloat16")(), wanted, atol=0.02)
    assert works.keys() == tolerances.keys()
    for side, work in works.items():
        painted = work().float().permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(painted, wanted, atol=tolerances[side], err_msg=side)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["train_johnson_smoke", "train_dumoulin_smoke"])
def test_all_sides_train_alike(monkeypatch, name):
    pytest.importorskip("torch")
    from experiments.speed import networks as script

    rivals = ("torch", "torch channels_last", "torch bfloat16")
    monkeypatch.setattr(script, "RIVALS", rivals)  # whatever the processor knows
    works = script.training_works(name, num_styles=1)
    assert set(rivals) < works.keys()
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        totals = {side: [float(work()) for _ in range(3)] for side, work in works.items()}
    wanted = totals.pop("ours")
    assert max(wanted) > 1.01 * min(wanted)
    first_only = {"ours bfloat16": 2e-2, "torch bfloat16": 2e-2}
    for side, found in totals.items():
        if side in first_only:
            # Adam begins by the signs of gradients, of which the smallest are rounding alone:
            # after a step, runs of another precision go their own ways, and all come down.
            assert found[0] == pytest.approx(wanted[0], rel=first_only[side]), side
            assert found[-1] < 0.9 * found[0], side
        else:
            assert found == pytest.approx(wanted, rel=3e-3), side


@pytest.mark.oracle
def test_a_short_run_adds_rows_to_the_record(tmp_path):
    pytest.importorskip("torch")
    options = ("--repeats", 1, "--out", tmp_path)
    done = run("--rows", "train_johnson_smoke", *options)
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "record.json").read_text())
    done = run("--rows", "johnson_half_instance", "--sizes", 48, *options)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["machine"]["torch_threads"] == 1
    assert set(record["versions"]) >= {"nst_jax", "jax", "torch"}
    assert list(record["rows"]) == ["train_johnson_smoke", "johnson_half_instance at 48"]
    training, painting = record["rows"].values()
    assert training == first["rows"]["train_johnson_smoke"]
    assert (training["batch_size"], training["size"]) == (2, 48)
    assert "--rows johnson_half_instance --sizes 48 --repeats 1" in painting["command"]
    for row in (training, painting):
        assert "commit" in row
        assert row["compile_seconds"] > 0
        sides, best = row["sides"], row["best"]
        theirs = {"torch", "torch channels_last"}
        # PyTorch's bfloat16 where the processor knows it.
        assert sides.keys() - {"torch bfloat16"} == {"ours", "ours bfloat16"} | theirs
        assert best == min(theirs, key=lambda side: sides[side]["seconds"])
        for side in sides.values():
            # With one turn the ratio is that of the seconds.
            assert side["ratio"] == pytest.approx(side["seconds"] / sides[best]["seconds"])
    lbfgs, seconds = painting["lbfgs"], painting["sides"]["ours"]["seconds"]
    assert lbfgs["steps"] == 500
    assert lbfgs["times_as_long_as_painting"] == pytest.approx(
        500 * lbfgs["seconds_a_step"] / seconds
    )
    for name in record["rows"]:
        assert name in done.stdout

    # Rows of another machine would not compare.
    record["machine"]["cores"] += 1
    (tmp_path / "record.json").write_text(json.dumps(record))
    done = run("--rows", "train_johnson_smoke", *options)
    assert done.returncode == 1
    assert "another machine" in done.stderr
