"""nst-jax train li_wand_2016: a painting in, a network that paints in one pass out."""

import contextlib
import shlex

import jax
import numpy as np
import pytest
from train_command import assert_refused, make_job, make_pictures, run

from nst_jax import files, stylizers

pytestmark = pytest.mark.usefixtures("lax_promotion")

WORDS = shlex.split(
    "li_wand_2016 --preset smoke --content-dir photos --style wave.png --workdir run"
)


@pytest.mark.slow
def test_the_file_that_a_training_leaves_paints(tmp_path):
    with contextlib.chdir(tmp_path):
        make_pictures()
        told = run(*WORDS, "--encoder-input", "signed")
    assert told.status == 0, told.err
    stylizer = stylizers.load_stylizer(tmp_path / "run/model.safetensors")
    assert (stylizer.architecture, stylizer.styles) == ("li_wand_2016", ("wave",))
    assert stylizer.network.encoder_input == "signed"
    held = files.load_arrays(tmp_path / "run/model.safetensors")[0]
    assert not any("encoder" in name for name in held)
    photo = files.load_image(tmp_path / "held/3.png")
    painted = np.asarray(stylizer(photo))
    assert painted.shape == photo.shape
    # In the end the network paints as it did when it was saved, in float16.
    padded = np.pad(np.asarray(photo), ((0, 0), (0, 4), (0, 4), (0, 0)), mode="reflect")
    whole = jax.jit(stylizer.network.apply)(stylizer.variables, padded)
    assert np.abs(np.asarray(whole)[:, :40, :40] - painted[:, :40, :40]).max() < 2e-3


def test_options_are_the_configurations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pictures()
    config = make_job(*WORDS, "--num-teachers", "5", "--teacher-size", "64").config
    assert config.num_groups == 3  # pyright: ignore
    assert config.painting.size == 64  # pyright: ignore
    assert_refused(run(*WORDS, "--teacher", "best"), "teacher: wanted authors or cpu or smoke, got")
    weights = run(*WORDS, "--weights", "w.safetensors")
    assert_refused(weights, "weights: wanted a name, as the network's file has room for no more")
