"""A few steps at 96 pixels, where ours and PyTorch must still agree closely."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nst_jax import files

ROOT = Path(__file__).parents[3]
PARITY = [sys.executable, "-m", "experiments.gatys_2016.parity"]
# Each with what three steps' losses may differ by: neural-style's noise is 4e-6, of which float32's
# rounding is one per cent. The paper's is not here, since from its own faint noise L-BFGS leaps
# beyond float32 on pictures as small as these, in PyTorch as in ours.
PRESETS = {"default": 1e-3, "authors": 1e-3, "johnson_neural_style": 2e-2}


def run(out, *options):
    assets = ROOT / "nst_jax" / "assets"
    pictures = (
        *("--content", assets / "content" / "kitten.jpg"),
        *("--style", assets / "style" / "van_gogh_harvest.jpg"),
    )
    return subprocess.run(
        [*PARITY, "--size", "96", "--out", out, *pictures, *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # PyTorch's threads wait busily for a core
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.oracle
def test_every_preset_agrees_and_is_not_repeated(tmp_path):
    pytest.importorskip("torch")
    done = run(tmp_path, "--num-steps", "3", "--presets", *PRESETS)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "record.json").read_text())["rows"]
    assert tuple(rows) == tuple(PRESETS)
    for name, row in rows.items():
        assert row["config"]["num_steps"] == 3
        assert {"command", "commit", "versions", "device", "machine"} <= row.keys()
        assert row["ratio"] == pytest.approx(1.0, abs=PRESETS[name]), name
        assert row["ratio"] == pytest.approx(row["ours"]["total"] / row["torch"]["total"])
        assert row["ours"]["total"] != pytest.approx(row["ours"]["initial_total"], rel=1e-4)
        assert row["ours"]["clipped_total"] == pytest.approx(
            row["torch"]["clipped_total"], rel=PRESETS[name]
        )
        ours, theirs = (
            files.load_image(tmp_path / f"{name}_{side}.jpg") for side in ("ours", "torch")
        )
        assert ours.shape == theirs.shape
        assert float(abs(ours - theirs).max()) < 0.03
        assert name in done.stdout

    # A second run does only what is new: another number of steps for one preset.
    done = run(tmp_path, "--num-steps", "2", "--presets", "authors")
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "record.json").read_text())["rows"]
    assert again["authors"]["config"]["num_steps"] == 2
    assert {name: again[name] for name in PRESETS if name != "authors"} == {
        name: rows[name] for name in PRESETS if name != "authors"
    }
    done = run(tmp_path, "--num-steps", "2", "--presets", "authors")
    assert json.loads((tmp_path / "record.json").read_text())["rows"] == again


@pytest.mark.oracle
def test_without_pictures_it_says_how_to_name_them(tmp_path):
    pytest.importorskip("torch")
    environment = {k: v for k, v in os.environ.items() if k != "NST_JAX_DATA"}
    done = subprocess.run(
        [*PARITY, "--out", tmp_path],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--data or NST_JAX_DATA, or give --content --style" in done.stderr
