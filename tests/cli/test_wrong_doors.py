"""What is typed at the wrong command, or half right, is answered with what to type."""

import signal
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


def test_ctrl_c_while_a_command_loads_is_one_word(capsys, monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("nst_jax.cli.importlib.import_module", interrupt)
    assert main(["optimize", "photo.png", "painting.png", "-o", "o.png"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_sigterm_ends_a_command_as_ctrl_c_does(capsys, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)

    def terminate(name):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")

    monkeypatch.setattr("nst_jax.cli.importlib.import_module", terminate)
    assert main(["info"]) == 143
    assert capsys.readouterr().err == "stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_home_info_and_weights_list_say_so_and_go_on(capsys, monkeypatch):
    def no_home():
        raise RuntimeError("could not determine home directory")

    for name in ("NST_JAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert main(["info"]) == 0
    assert "set NST_JAX_CACHE to one" in capsys.readouterr().out
    assert main(["weights", "list"]) == 0
    assert "vgg16-lpips" in capsys.readouterr().out


def test_a_run_may_go_on_for_longer_and_says_how_where_it_is_finished(capsys):
    words = ["optimize", "photo.png", "painting.png", "-o", "o.png", "--preset", "smoke"]
    words += ["--size", "32", "--scales", "1"]
    assert main([*words, "--num-steps", "2"]) == 0
    capsys.readouterr()
    assert main([*words, "--num-steps", "4", "--resume"]) == 2
    error = capsys.readouterr().err
    assert "finished with 2 steps, and 4 are asked for; --init o.png goes on from it" in error
    assert main([*words[:4], "p.png", *words[5:], "--num-steps", "2", "--init", "o.png"]) == 0


@pytest.mark.slow
def test_a_second_demo_paints_nothing_twice_that_takes_minutes(capsys, monkeypatch):
    words = ["demo", "--size", "32", "--num-steps", "2"]
    assert main(words) == 0
    before = Path("nst-jax-demo/castle.png").read_bytes()
    capsys.readouterr()

    def paint_again(*_):
        raise AssertionError("painted again")

    monkeypatch.setattr("nst_jax.cli.demo.paint_loaded", paint_again)
    assert main(words) == 0
    assert "nst-jax-demo/castle.png: there already" in capsys.readouterr().out
    assert Path("nst-jax-demo/castle.png").read_bytes() == before
    with pytest.raises(AssertionError, match="painted again"):
        main([*words[:3], "--num-steps", "3", "--debug"])
