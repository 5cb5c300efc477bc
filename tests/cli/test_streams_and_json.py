"""`-` for standard input and output, and --json."""

import io
import json
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from small_models import save_models, save_picture

from nst_jax import files
from nst_jax.cli import main

OPTIMIZE = ["--preset", "smoke", "--size", "32", "--num-steps", "2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with photo.png, painting.png and a model of one style."""
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path)
    save_picture(tmp_path / "photo.png", width=40)
    save_picture(tmp_path / "painting.png", seed=1)
    return tmp_path


@pytest.fixture
def pipe(monkeypatch):
    """Connects bytes with standard input, and standard output with bytes."""

    def connect(content: bytes, *, is_terminal: bool = False) -> io.BytesIO:
        out = io.BytesIO()
        given = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: is_terminal)
        monkeypatch.setattr("sys.stdin", given)
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, write_through=True))
        return out

    return connect


def test_one_pass_through_pipes_is_that_of_files(folder, pipe, capsys):
    words = ["--model", "one.safetensors", "--quiet"]
    assert main(["stylize", "photo.png", "-o", "out.png", *words]) == 0
    out = pipe((folder / "photo.png").read_bytes())
    assert main(["stylize", "-", "--model", "one.safetensors", "-o", "-"]) == 0
    with PIL.Image.open(io.BytesIO(out.getvalue())) as painted:
        assert painted.format == "PNG"
        np.testing.assert_array_equal(painted, PIL.Image.open("out.png"))
    assert "48 pixels in" in capsys.readouterr().err, "lines go to standard error"
    assert sorted(path.name for path in folder.glob("*.png")) == [
        *("out.png", "painting.png", "photo.png")
    ]


def test_pixels_through_pipes_are_those_of_files(folder, pipe, capsys):
    assert main(["optimize", "photo.png", "painting.png", "-o", "out.png", *OPTIMIZE]) == 0
    capsys.readouterr()
    out = pipe((folder / "painting.png").read_bytes())
    words = ["optimize", "photo.png", "-", "-o", "-", "--record", "run.json", *OPTIMIZE]
    assert main(words) == 0
    with PIL.Image.open(io.BytesIO(out.getvalue())) as painted:
        np.testing.assert_array_equal(painted, PIL.Image.open("out.png"))
    assert files.read_record("run.json")["command"].startswith("nst-jax optimize photo.png -")
    assert "standard output: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("stylize - - --model one.safetensors -o o/", "content and style: wanted - once"),
        ("stylize photo.png painting.png --model one.safetensors -o -", "wanted a folder"),
        ("stylize photo.png --model many.safetensors --style all -o -", "wanted a folder"),
        ("stylize photo.png --model one.safetensors -o - --json", "json: wanted with a file"),
        ("stylize - --model one.safetensors -o o.png", "cannot read standard input: not a JPEG"),
        ("optimize - painting.png -o o.png", "cannot read standard input: not a JPEG"),
        ("optimize photo.png painting.png -o - --resume", "resume: wanted with a file"),
        ("optimize photo.png painting.png -o - --save-every 2", "leave out --save-every"),
    ],
)
def test_what_does_not_fit_a_pipe_is_refused_before_work(folder, pipe, capsys, words, told):
    out = pipe(b"no picture at all, but some text")
    before = sorted(folder.iterdir())
    assert main(words.split()) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert told in line
    assert out.getvalue() == b""
    assert sorted(folder.iterdir()) == before


def test_a_terminal_is_no_picture(folder, pipe, capsys, monkeypatch):
    pipe(b"", is_terminal=True)
    assert main(["stylize", "-", "--model", "one.safetensors", "-o", "o.png"]) == 2
    assert "got a terminal" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    assert main(["stylize", "photo.png", "--model", "one.safetensors", "-o", "-"]) == 2
    assert "add > out.png" in capsys.readouterr().err


def test_stylize_tells_its_results_as_json(folder, capsys):
    words = "stylize photo.png text.txt --model many.safetensors --style waves dots -o o --json"
    (folder / "text.txt").write_text("no picture")
    assert main(words.split()) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "stylize"
    assert [(each["style"], each["file"]) for each in told["results"]] == [
        ("waves", "o/photo_waves.png"),
        ("dots", "o/photo_dots.png"),
    ]
    assert {(each["content"], each["width"], each["height"]) for each in told["results"]} == {
        ("photo.png", 40, 48)
    }
    assert "text.txt" in told["failures"][0]
    assert set(told["seconds"]) == {"compile", "run"}


def test_optimize_tells_its_result_as_json(folder, capsys):
    words = ["optimize", "photo.png", "painting.png", "-o", "out.png", "--json", *OPTIMIZE]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["finished"], told["new"]) == ("out.png", True, True)
    assert (told["width"], told["height"]) == (27, 32)
    assert told["losses"]["step"] == 2
    assert main([*words, "--resume"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["new"] is False
    assert "nothing to resume" in captured.err


def test_video_info_and_weights_tell_json(folder, capsys):
    (folder / "clip").mkdir()
    for number in range(3):
        save_picture(folder / "clip" / f"{number}.png", seed=number)
    words = "video clip --model one.safetensors -o out/ --size 32 --temporal off --json"
    assert main(words.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["frames"], told["is_finished"]) == ("out", 3, True)
    assert main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["default_weights"] == "found, hash ok"
    assert told["platform"] == "cpu"
    assert main(["weights", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "vgg16-lpips" in {each["name"] for each in told["results"]}
    (folder / "bad.safetensors").write_bytes(b"bad")
    assert main(["weights", "verify", "bad.safetensors", "vgg16-lpips", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [each["ok"] for each in told["results"]] == [False, True]
