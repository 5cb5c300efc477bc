"""The command markovian from its words to the picture, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_models import save_picture

from nst_jax import files
from nst_jax.cli import main

pytestmark = pytest.mark.usefixtures("lax_promotion")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "photo.png", seed=0)
    save_picture(tmp_path / "painting.png", seed=1)
    return tmp_path


WORDS = ["markovian", "photo.png", "painting.png", "-o", "out.png", "--workdir", "run"]


@pytest.mark.slow
def test_a_picture_is_painted_once_and_then_found_finished(folder, capsys):
    assert main([*WORDS, "--preset", "smoke"]) == 0
    assert "out.png: 4 steps in " in capsys.readouterr().out
    first = files.load_image("out.png")
    assert first.shape == (1, 48, 48, 3)
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "accuracy" in line] == [1, 2, 3, 4]
    origin = files.load_origin("out.png")
    assert origin is not None
    assert origin.startswith("nst-jax markovian photo.png painting.png")
    assert main([*WORDS, "--preset", "smoke"]) == 2  # the picture is there
    assert "out.png" in capsys.readouterr().err
    assert main([*WORDS, "--preset", "smoke", "--overwrite"]) == 0
    np.testing.assert_array_equal(files.load_image("out.png"), first)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--preset", "paper"], "preset: wanted authors, cpu, smoke, got 'paper'"),
        (["--num-steps", "0"], "num_steps: wanted 1 to 1073741823, got 0"),
        (["--adversarial-weight", "-1"], "adversarial_weight: wanted a finite number, 0 or more"),
        (["--save-every", "-1"], "save_every: wanted 0 or more, got -1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, capsys, words, complaint):
    assert main([*WORDS, *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {complaint}")
    assert told.count("\n") == 1
    assert not Path("out.png").exists()
    assert not Path("run").exists()
