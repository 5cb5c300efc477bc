"""What is typed at the wrong command, or half right, is answered with what to type."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import nst_jax
from nst_jax import papers
from nst_jax.cli import main, wrong_doors
from nst_jax.cli.config_options import choose_preset
from nst_jax.cli.optimize_options import options_type
from nst_jax.cli.stylize import Stylize


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
        ("stylize phot.jpg --style p.jpg -o o.png", "cannot read 'phot.jpg' and 'p.jpg': no such"),
        ("optimize phot.jpg p.jpg -o o.png", "cannot read 'phot.jpg' and 'p.jpg': no such files"),
        ("sheet photo.png --model wave -o o.png", "model: wanted with --style and paintings"),
        ("styles --size 5", "size: wanted with -o and the sheet to write"),
        ("app --port 70000", "port: wanted 0 to 65535, got 70000"),
        ("stylize --style painting.png -o o.png", "content: wanted a photograph, got none"),
        ("stylize --quiet --style a.png b.png --size 64 -o o.png", "content: wanted a photograph"),
        ("stylize photo.png painting.png", "stylize photo.png --style painting.png -o o"),
        ("stylize photo.png --style painting.png", "out: wanted -o and the picture to write"),
        ("optimize -o o.png", "content: wanted a photograph, got none"),
        ("optimize photo.png -o o.png", "style: wanted a painting after the photograph"),
        ("optimize --scales 0.5 1 --resume photo.png painting.png", "out: wanted -o and the pict"),
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


@pytest.mark.parametrize(
    "words",
    [
        "optimize photo.png nothing.png -o new/ --size 32",
        "optimize photo.png painting.png -o new/ --size 32 --encoder vgg19 --weights none",
        "stylize nothing.png --style painting.png -o new/",
    ],
)
def test_a_command_that_fails_leaves_no_empty_folder(capsys, words):
    assert main(words.split()) == 2
    assert capsys.readouterr().err.count("error: ") == 1
    assert not Path("new").exists()


@pytest.mark.parametrize("command", ["stylize", "optimize"])
def test_which_options_take_how_many_words_is_known(command):
    """What wrong_doors says of options before JAX loads is what their types say after."""
    chosen = choose_preset(())
    options = {"stylize": Stylize, "optimize": options_type(chosen)}[command]
    found: dict[str, set[str]] = {"several": set(), "none": set()}

    def visit(kind: Any) -> None:
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            if dataclasses.is_dataclass(hint):
                visit(hint)
            elif field.name not in ("content", "style") or command == "stylize":
                kinds = {get_origin(each) or each for each in (hint, *get_args(hint))}
                if field.name != "content" and tuple in kinds:
                    found["several"].add(field.name)
                if hint is bool:
                    found["none"].add(field.name)

    visit(options)
    assert found["several"] == wrong_doors._TAKE_SEVERAL[command]
    assert found["none"] == wrong_doors._FLAGS[command]


@pytest.mark.slow
def test_what_cannot_be_right_is_refused_before_jax_loads():
    code = (
        "import sys; from nst_jax.cli import main; "
        "status = main(['stylize', '--style', 'painting.png', '-o', 'o.png']); "
        "assert 'jax' not in sys.modules, 'JAX loaded'; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: content: wanted a photograph, got none; ")


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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_waits_for_its_step_says_which_signal_ended_it(
    capsys, monkeypatch, press_ctrl_c, number, status
):
    before, seen = papers.gatys_2016.stylize, []

    def stop_at_once(*args, on_step, **options):
        def signal_and_go_on(report):
            on_step(report)
            if not seen:
                signal.raise_signal(number)
            seen.append(report.step)

        return before(*args, on_step=signal_and_go_on, **options)

    monkeypatch.setattr("nst_jax.jobs.paint.stylize", stop_at_once)
    words = ["optimize", "photo.png", "painting.png", "-o", "o.png", "--preset", "smoke"]
    words += ["--size", "32", "--scales", "1", "--num-steps", "9"]
    assert main(words) == status
    told = capsys.readouterr().err
    assert re.search(r"stopped after step \d of 9; the picture so far is o\.png\.state", told)
    assert not Path("o.png").exists()


def test_an_interruption_that_is_lost_in_a_finalizer_comes_again(capsys, monkeypatch):
    """Python drops what is raised while it collects garbage, Ctrl-C too."""

    class Garbage:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def work(name):
        Garbage()
        time.sleep(30)
        raise AssertionError("went on")

    monkeypatch.setattr("nst_jax.cli.importlib.import_module", work)
    began = time.monotonic()
    assert main(["info"]) == 143
    assert capsys.readouterr().err == "stopped\n"
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_sigterm_while_text_is_executed_ends_with_143_too(tmp_path):
    """As while a command's module defines a dataclass; run as a module, which ends otherwise."""
    (tmp_path / "stopped.py").write_text(
        "import signal, sys\n"
        "from nst_jax import cli\n"
        "raising = 'import signal; signal.raise_signal(signal.SIGTERM)'\n"
        "cli.importlib.import_module = lambda name: exec(raising)\n"
        "sys.exit(cli.main(['info']))\n"
    )
    places = os.pathsep.join((str(Path(nst_jax.__file__).parents[1]), str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-m", "stopped"],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (143, "stopped\n")


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
