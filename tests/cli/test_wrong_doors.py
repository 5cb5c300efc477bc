"""What is typed at the wrong command, or half right, is answered with what to type."""

from pathlib import Path

import pytest

import nst_jax
from nst_jax.cli import main


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch, photograph, painting):
    """A current folder with photo.png and painting.png."""
    monkeypatch.chdir(tmp_path)
    nst_jax.save_image("photo.png", photograph)
    nst_jax.save_image("painting.png", painting)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("stylise photo.png", "did you mean stylize?"),
        ("stylize photo.png painting.png -o o.png", "stylize photo.png --style painting.png -o o"),
        ("stylize photo.png --style wave -o o.png", "add --model dumoulin2017"),
        ("stylize photo.png --style painting.png -o o.png --style-weight 5", "has --alpha"),
        ("stylize photo.png --style painting.png -o o.png --style_weight=5", "has --alpha"),
        ("optimize photo.png painting.png -o o.png --alpha 0.5", "has --style-weight"),
        ("optimize photo.png --style painting.png -o o.png", "optimize photo.jpg painting.jpg"),
        ("optimize photo.png painting.png -o o.png --iterations 5", "--num-steps"),
        ("stylize photo.png --style painting.png -o o.png --alpha 60%", "write 0.6"),
        ("stylize photo.png --style painting.png -o o.png --alpha=7.5%", "write 0.075"),
        ("stylize phot.png --style painting.png -o o.png", "did you mean 'photo.png'?"),
        ("stylize photo.png --style paintng.png -o o.png", "did you mean 'painting.png'?"),
        ("optimize photo.png painting.png -o o.png --preset defualt", "did you mean default?"),
    ],
)
def test_the_right_word_is_named_on_one_line(capsys, words, told):
    assert main(words.split()) == 2
    error = capsys.readouterr().err.splitlines()
    error = [line for line in error if not line.startswith("painting: ")]
    assert len(error) == 1
    assert error[0].startswith("error: ")
    assert told in error[0]
    assert not Path("o.png").exists()


@pytest.mark.parametrize(
    "words",
    [["stylize", "", "-o", "o.png"], ["optimize", "", "painting.png", "-o", "o.png"], [""]],
)
def test_an_empty_word_is_no_current_folder(capsys, words):
    assert main(words) == 2
    before = ["nst-jax", *words][words.index("")]
    assert capsys.readouterr().err.startswith(f"error: got an empty word after {before}; ")
    assert sorted(path.name for path in Path().iterdir()) == ["painting.png", "photo.png"]


@pytest.mark.parametrize("command", ["stylize photo.png --style painting.png", "optimize a b"])
def test_choices_are_listed_in_their_order_and_without_none(capsys, command):
    assert main([*command.split(), "-o", "o.png", "--color", "red"]) == 2
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "('style', 'keep', 'luminance', 'cholesky', 'pca', 'symmetric', 'histogram')" in error


def test_a_folder_to_paint_into_may_be_new(capsys):
    words = ["--preset", "smoke", "--size", "32", "--num-steps", "0", "--quiet"]
    assert main(["optimize", "photo.png", "painting.png", "-o", "new/", *words]) == 0
    assert Path("new/photo.png").exists()
    assert main(["optimize", "photo.png", "painting.png", "-o", "new", *words]) == 2
    assert "'new/photo.png' exists" in capsys.readouterr().err
