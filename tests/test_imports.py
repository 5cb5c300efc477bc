"""What is loaded when: help at once, each command what it needs, `import nst_jax` nothing."""

import pydoc
import subprocess
import sys

import pytest

import nst_jax
from nst_jax import cli
from nst_jax.cli import errors


def loaded_after(code: str) -> set[str]:
    """The modules of a fresh interpreter after some code, whose output goes nowhere."""
    code = (
        "import io, sys\n"
        "from contextlib import redirect_stderr, redirect_stdout\n"
        "with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):\n"
        f"    {code}\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["stylise"]])
def test_what_computes_nothing_loads_neither_jax_nor_numpy(words):
    loaded = loaded_after(f"from nst_jax import cli; cli.main({words})")
    assert not loaded & {"jax", "numpy", "tyro", "rich"}


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        ("stylize --help", {"scipy.ndimage", "optax", "grain", "orbax.checkpoint"}),
        ("optimize --help", {"scipy.ndimage", "grain", "orbax.checkpoint"}),
        ("weights --help", {"optax", "nst_jax.papers.gatys_2016", "nst_jax.stylizers"}),
        ("info --help", {"optax", "nst_jax.papers.gatys_2016", "nst_jax.stylizers"}),
    ],
)
@pytest.mark.slow
def test_a_command_loads_what_it_needs(words, unneeded):
    assert not loaded_after(f"from nst_jax import cli; cli.main({words.split()})") & unneeded


@pytest.mark.slow
def test_the_package_loads_when_it_is_used():
    assert not loaded_after("import nst_jax; dir(nst_jax)") & {"jax", "numpy"}
    loaded = loaded_after("import nst_jax; nst_jax.papers.gatys_2016.PRESETS")
    assert "nst_jax.papers.gatys_2016" in loaded
    assert not loaded & {"nst_jax.papers.huang_2017", "nst_jax.train", "torch", "tyro"}


def test_help_shows_the_public_functions_with_their_signatures():
    text = pydoc.plain(pydoc.render_doc(nst_jax))
    for signature in (
        "load_image(path: str | os.PathLike[str], *, size: int | None = None)",
        "load_stylizer(",
        "gram_matrix(",
    ):
        assert f"\n    {signature}" in text
    assert {"losses", "papers", "stylizers", "load_encoder"} <= set(dir(nst_jax))


def test_names_that_are_not_there_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(nst_jax, "nonsense")  # noqa: B009, which pyright would find
    with pytest.raises(AttributeError, match="no attribute 'nonsense_2016'"):
        getattr(nst_jax.papers, "nonsense_2016")  # noqa: B009


def test_every_public_name_is_found():
    assert set(nst_jax._FUNCTIONS) <= set(nst_jax.__all__)
    for name in nst_jax.__all__:
        assert getattr(nst_jax, name) is not None
    for name in nst_jax.papers.__all__:
        assert getattr(nst_jax.papers, name).__name__ == f"nst_jax.papers.{name}"


def test_every_command_has_a_module():
    for name in cli.COMMANDS:
        __import__(f"nst_jax.cli.{name}")
        assert callable(sys.modules[f"nst_jax.cli.{name}"].run)


def test_errors_that_say_it_all_exist():
    from nst_jax.app.requirements import AppLibraryMissingError
    from nst_jax.encoders.weights.conversion import ConverterMissingError
    from nst_jax.export.requirements import ExportLibraryMissingError
    from nst_jax.files import DownloadError, HashMismatchError
    from nst_jax.files.video_libraries import VideoLibraryMissingError
    from nst_jax.runs.report import DivergedError
    from nst_jax.sweeps.requirements import ReportLibraryMissingError
    from nst_jax.train import TrainingDivergedError

    told = (
        *(ConverterMissingError, DownloadError, HashMismatchError, DivergedError),
        *(AppLibraryMissingError, ExportLibraryMissingError, ReportLibraryMissingError),
        *(TrainingDivergedError, VideoLibraryMissingError),
    )
    assert {error.__name__ for error in told} == errors._COMPLETE
    for error in told:
        assert errors.exit_status(error.__new__(error, "what happened")) == 1
        assert "--debug" not in errors.one_line(error.__new__(error, "what happened"))
