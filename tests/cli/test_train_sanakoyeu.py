"""nst-jax train sanakoyeu_2018: a folder of paintings in, a network that paints like them out."""

import contextlib
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from train_command import make_pictures, run

from nst_jax import files, stylizers

pytestmark = pytest.mark.usefixtures("lax_promotion")

WORDS = shlex.split(
    "sanakoyeu_2018 --preset smoke --content-dir photos --style-dir vincent --workdir run"
)


@pytest.mark.slow
def test_the_file_that_a_training_leaves_paints(tmp_path):
    with contextlib.chdir(tmp_path):
        make_pictures()
        Path("vincent").mkdir()
        for name in ("wave", "line"):
            shutil.copy(f"{name}.png", "vincent")
        told = run(*WORDS)
    assert told.status == 0, told.err
    assert "3 photographs and 2 paintings to paint like vincent;" in told.out
    stylizer = stylizers.load_stylizer(tmp_path / "run/model.safetensors")
    assert (stylizer.architecture, stylizer.styles) == ("sanakoyeu_2018", ("vincent",))
    photo = files.load_image(tmp_path / "held/3.png")
    painted = np.asarray(stylizer(photo))
    assert painted.shape == photo.shape
    assert np.isfinite(painted).all()
