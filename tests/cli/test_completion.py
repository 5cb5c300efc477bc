"""nst-jax completion: what a shell offers is what the commands take."""

import shutil
import subprocess

import pytest

from nst_jax.cli import COMMANDS, completion, main


@pytest.fixture(scope="module")
def found():
    return completion.find_options()


@pytest.mark.slow
def test_every_command_and_its_options_are_found(found):
    assert {key.split()[0] for key in found} == set(COMMANDS)
    assert {"--style", "--mask", "--json", "--out", "--help"} <= set(found["stylize"])
    assert {"--style-weight", "--num-steps", "--verbose"} <= set(found["optimize"])
    assert {"weights fetch", "weights verify", "train johnson2016"} <= set(found)
    assert "--url" in found["weights fetch"]
    assert "--content-dir" in found["train huang2017"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["nst-jax", "sty"], {"stylize", "styles"}),
        (["nst-jax", "stylize", "photo.jpg", "--style-b"], {"--style-blend"}),
        (["nst-jax", "weights", "f"], {"fetch"}),
        (["nst-jax", "weights", "fetch", "--u"], {"--url"}),
        (["nst-jax", "stylize", "photo"], set()),
    ],
)
def test_bash_offers_them(capsys, typed, offered):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash is installed")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = " ".join(f"'{word}'" for word in typed)
    asked = f"COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _nst_jax; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        [bash, "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.slow
def test_the_other_shells_have_their_own(capsys):
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("autoload -U +X compinit bashcompinit")
    assert main(["completion", "fish"]) == 0
    assert "__fish_seen_subcommand_from stylize' -l style-blend" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 2
