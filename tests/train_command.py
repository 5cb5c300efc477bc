"""What the tests of nst-jax train share: made pictures, the command, and what it left behind."""

import contextlib
import io
import os
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image

from nst_jax import files
from nst_jax.cli import main, train_options
from nst_jax.jobs.training_plan import TrainingJob

SMOKE = ("--preset", "smoke", "--save-every", "1")


def make_pictures() -> None:
    """In the current folder photos/ with three in it, held/ with two, and three paintings."""
    y, x = np.mgrid[0:52, 0:68].astype(np.float32)
    for number in range(5):
        folder = Path("photos" if number < 3 else "held")
        folder.mkdir(exist_ok=True)
        hill = y > 36 - 3 * number - 12 * np.sin((x + 9 * number) / 64 * np.pi)
        scene = np.stack([0.4 + y / 160, 0.6 + y / 240, 0.95 - y / 480], -1)
        scene[hill] = (0.2, 0.4, 0.15)
        save(folder / f"{number}.png", scene)
    for name, slant in (("wave", 0.3), ("line", -0.8), ("new", 2.0)):
        stroke = 0.5 + 0.5 * np.sin(0.7 * x + slant * y)
        save(Path(f"{name}.png"), np.stack([stroke, 0.7 * stroke, 1 - stroke], -1))


def save(path: Path, pixels: np.ndarray) -> None:
    PIL.Image.fromarray(np.uint8(255 * np.clip(pixels, 0, 1))).save(path)


def run(*words: str) -> SimpleNamespace:
    """The exit status of nst-jax train, and what it printed; warnings as users have them."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        status = main(["train", *words])
    return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())


def arrays(folder: str) -> dict[str, np.ndarray]:
    return files.load_arrays(f"{folder}/model.safetensors")[0]


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def assert_refused(told: SimpleNamespace, wanted: str) -> None:
    """That the input was told to be bad on one line, with these words."""
    errors = [line for line in told.err.splitlines() if not line.startswith("warning: skipped")]
    assert told.status == 2, told.err
    assert told.out == ""
    assert len(errors) == 1, told.err
    assert errors[0].startswith("error: ")
    assert wanted in errors[0]


def make_job(*words: str) -> TrainingJob:
    """The job that the words after nst-jax train ask for."""
    parsed = train_options.parse(words)
    assert parsed is not None
    return train_options.make_job(parsed, command="")


def press_ctrl_c(at_step: int):
    """What shows the progress, were the user to press Ctrl-C when that step is shown."""

    @contextlib.contextmanager
    def follow(num_steps, **options):
        del num_steps, options
        yield lambda report: os.kill(os.getpid(), signal.SIGINT) if report.step == at_step else None

    return follow


def replaced(words: list[str], by: list[str]) -> list[str]:
    """The words without those options, and their values, that come anew."""
    kept, dropping = [], False
    for word in words:
        if word.startswith("--"):
            dropping = word in by
        if not dropping:
            kept.append(word)
    return [*kept, *by]
