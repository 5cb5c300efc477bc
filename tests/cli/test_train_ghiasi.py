"""nst-jax train ghiasi2017: what sets it apart from the other papers' trainings."""

import contextlib
import shlex
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_command import (
    SMOKE,
    arrays,
    assert_same,
    make_job,
    make_pictures,
    press_ctrl_c,
    run,
)

import nst_jax
from nst_jax import files, stylizers
from nst_jax.cli import train as cli_train

pytestmark = pytest.mark.usefixtures("lax_promotion")

WORDS = [
    *shlex.split("ghiasi2017 --content-dir photos --style-dir paintings --workdir run"),
    *SMOKE,
]


def make_folders() -> None:
    """In the current folder what make_pictures makes, two of the paintings in a folder."""
    make_pictures()
    Path("paintings").mkdir()
    for name in ("wave", "line"):
        shutil.copy(f"{name}.png", "paintings")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which ghiasi2017 was trained, never stopped."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder), jax.numpy_dtype_promotion("standard"):
        make_folders()
        told = run(*WORDS)
    assert told.status == 0, told.err
    return folder


@pytest.mark.slow
def test_the_file_that_a_training_leaves_paints_after_any_painting(trained):
    stylizer = stylizers.load_stylizer(trained / "run/model.safetensors")
    photo, wave, line = (
        files.load_image(trained / name) for name in ("held/3.png", "wave.png", "line.png")
    )
    assert stylizer.card["config"]["width"] == stylizer.network.width == 4
    assert stylizer.card["config"]["pooling"] == stylizer.network.pooling
    painted = stylizer(photo, wave)
    assert painted.shape == photo.shape
    assert np.abs(painted - stylizer(photo, line)).max() > 1e-4
    # Batch statistics have left their first values, a mean of 0 and a variance of 1.
    stats = stylizer.variables["batch_stats"]["transformer"]["contract2_norm"]
    assert np.abs(stats["mean"]).max() > 1e-3
    assert np.abs(np.asarray(stats["var"]) - 1).max() > 1e-3


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_to_the_bit(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folders()
    with monkeypatch.context() as patched:
        patched.setattr(cli_train, "follow_training", press_ctrl_c(at_step=2))
        assert run(*WORDS).status == 130
    assert run(*WORDS).status == 0
    assert_same(arrays("run"), arrays(str(trained / "run")))


def test_options_are_the_configurations_and_one_painting_is_too_few(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folders()
    config = make_job(*WORDS, "--style-size", "64", "--distances", "mean").config
    assert (config.style_size, config.style_shorter_side) == (64, (64, 96))  # pyright: ignore
    assert config.distances == "mean"  # pyright: ignore
    Path("paintings/line.png").unlink()
    told = run(*WORDS)
    assert told.status == 2
    error = "error: style_dir: wanted at least 2 paintings, got 1; to paint after a single one, "
    assert told.err.splitlines()[-1].startswith(error)


def test_a_painting_of_one_colour_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folders()
    nst_jax.save_image("paintings/grey.png", jnp.full((1, 64, 64, 3), 0.5))
    told = run(*WORDS)
    assert told.status == 2
    error = "error: style_dir: wanted paintings, got 1 of a single colour among the 3 that are"
    assert told.err.splitlines()[-1].startswith(error)
    assert not Path("run/model.safetensors").exists()
