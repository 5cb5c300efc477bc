"""nst-jax sweep as users type it."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nst_jax
from nst_jax.cli import main

TINY = (
    *("--preset", "smoke", "--size", "32", "--num-steps", "3", "--init", "noise"),
    *("--noise-std", "0.1", "--style-layers", "relu1_1", "--content-layers", "relu1_1"),
)
VARY = ("--vary", "style_weight", "2", "5", "--vary", "ratio", "0.5")


@pytest.fixture
def pictures(tmp_path, monkeypatch, photograph, painting) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    nst_jax.save_image("c.png", photograph)
    nst_jax.save_image("s.png", painting)
    return tmp_path


def sweep(*options: str) -> int:
    return main(["sweep", "c.png", "s.png", "-o", "out", *TINY, *options])


def records() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path("out/runs").glob("*/record.json")}


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(pictures, capsys):
    # The third run takes so long that the kill comes in the middle of it.
    options = ["--vary", "tv_weight", "1", "2", "--vary", "num_steps", "2", "4000"]
    words = ["sweep", "c.png", "s.png", "-o", "out", *TINY, *options]
    process = subprocess.Popen([sys.executable, "-m", "nst_jax", *words], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(records()) < 1:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = records()
    assert 1 <= len(before) < 4

    options[-1] = "3"
    assert sweep(*options) == 0

    assert {path: records()[path] for path in before} == before
    steps = {path: json.loads(Path(path).read_text())["config"]["num_steps"] for path in before}
    done = [path for path in before if steps[path] < 4]
    printed = capsys.readouterr()
    assert f"4 done ({len(done)} were there)" in printed.out
    assert printed.err.count("seed 0: loss") == 4 - len(done)


def test_a_sweep_tells_what_it_did(pictures, capsys):
    assert sweep("--vary", "style_weight", "2", "5", "--vary", "noise_std", "0.1", "1e30") == 0
    printed = capsys.readouterr()
    assert printed.out == "out/report.html: 2 done, 2 diverged\n"
    assert "style_weight 2, noise_std 0.1, seed 0: loss" in printed.err
    assert "noise_std 1e+30, seed 0: diverged: The loss became " in printed.err
    assert "sweep: 12 of 12 steps" in printed.err
    for name in ("report.html", "sheet.jpg", "runs.csv", "settings.csv", "curves/row_1.svg"):
        assert (Path("out") / name).is_file()

    assert sweep("--vary", "style_weight", "2", "5", "--seeds", "0", "1", "--quiet") == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert len(records()) == 4 + 2


def test_ctrl_c_is_told_with_the_way_on(pictures, capsys, monkeypatch, press_ctrl_c):
    monkeypatch.setattr("nst_jax.cli.sweep._tell_run", lambda outcome: press_ctrl_c())
    assert sweep("--vary", "style_weight", "2", "5", "7") == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("stopped: of 3 runs ")
    assert "missing; the same command goes on; so far: out/report.html" in last


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--vary style_wieght 5", "vary: style_wieght is no setting; did you mean style_weight?"),
        ("--vary style_weight five", "vary style_weight: wanted a number, got 'five'"),
        ("--vary style_weight", "vary style_weight: wanted at least one value, got none"),
        ("--vary pooling max --vary pooling average", "vary pooling: given twice"),
        ("", "vary: wanted at least one setting to vary, or seeds"),
        ("--seeds 0 1 --init content", "seeds: no run begins with noise"),
        ("--vary style_weight 1 --batch 0", "batch: wanted 1 run or more, got 0"),
        ("--vary style_layers relu9_1", "layers: no layer called 'relu9_1'"),
        ("--vary init none.png", "cannot read 'none.png': No such file"),
        ("--vary encoder vgg19", "VGG-19 has no weights on this machine"),
        ("--vary size 20", "size 20 makes 'c.png' 20x15 pixels"),
    ],
)
def test_bad_input_is_told_on_one_line(pictures, capsys, options, told):
    assert sweep(*options.split(), "--quiet") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith(f"error: {told}")
    assert not Path("out").exists()


def test_a_failed_run_is_an_exit_status(pictures, capsys, monkeypatch):
    def fail(*args, **more):
        raise RuntimeError("no luck")

    monkeypatch.setattr("nst_jax.papers.gatys_2016.stylize", fail)
    assert sweep("--vary", "style_weight", "2", "5", "--quiet") == 1
    assert capsys.readouterr().err == (
        "error: 2 of 2 runs failed, the first with: RuntimeError: no luck; "
        "the same command tries them again\n"
    )


def test_missing_libraries_are_told_first(pictures, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jinja2" else found(name)
    )
    assert sweep("--vary", "style_weight", "2") == 1
    assert capsys.readouterr().err == ("error: a sweep's report needs jinja2: pip install jinja2\n")
    assert not Path("out").exists()


def test_help_tells_the_syntax(capsys):
    assert main(["sweep", "--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--vary", "--seeds", "--batch", "cumulative", "ratio", "relu1_1:0.2,relu4_1:1"):
        assert word in text
