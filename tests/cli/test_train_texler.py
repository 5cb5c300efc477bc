"""nst-jax train texler_2020: from a folder of frames and a painted one to a painted clip."""

import contextlib
import io
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest
from train_command import assert_refused, make_pictures, run, save

from nst_jax import files, stylizers
from nst_jax.cli import main

pytestmark = pytest.mark.usefixtures("lax_promotion")

WORDS = shlex.split("texler_2020 --preset smoke --frames photos --painted painted --workdir run")


def make_folders() -> None:
    """In the current folder what make_pictures makes, the second of the photos painted."""
    make_pictures()
    Path("painted").mkdir()
    with PIL.Image.open("photos/1.png") as picture:
        save(Path("painted/1.jpg"), 1 - np.asarray(picture) / 255)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a network was trained on the painted frame, and what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder), jax.numpy_dtype_promotion("standard"):
        make_folders()
        told = run(*WORDS)
    assert told.status == 0, told.err
    return folder, told.out


@pytest.mark.slow
def test_the_file_that_a_training_leaves_paints_the_clip(trained):
    folder, out = trained
    assert "training 53,211 parameters on 1 painted frames of a clip" in out
    assert out.splitlines()[-1].startswith("next: nst-jax video photos --model run/model.")
    model = folder / "run/model.safetensors"
    stylizer = stylizers.load_stylizer(model)
    assert (stylizer.architecture, stylizer.styles) == ("texler_2020", ("painted",))
    photo = files.load_image(folder / "photos/0.png")
    painted = np.asarray(stylizer(photo))
    assert painted.shape == photo.shape
    # No filter comes after it, as one does after Johnson's networks.
    plain = stylizers.load_stylizer(model, median_filter=1)
    np.testing.assert_array_equal(painted, plain(photo))
    assert np.abs(painted - stylizers.load_stylizer(model, median_filter=3)(photo)).max() > 1e-4
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert main(["video", "photos", "--model", str(model), "-o", "out", "--size", "64"]) == 0
    assert len(files.list_images(folder / "out")) == 3


@pytest.mark.slow
def test_another_training_begins_with_the_network(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folders()
    model = str(trained[0] / "run/model.safetensors")
    told = run(*WORDS, "--start-from", model, "--num-steps", "1")
    assert told.status == 0, told.err


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Folders as of a training; one that begins is an error."""
    monkeypatch.chdir(tmp_path)
    make_folders()

    def begin(*args, **options):
        raise AssertionError("began to train")

    monkeypatch.setattr("nst_jax.jobs.training._fit", begin)


def test_a_painted_file_without_a_frame_is_refused(folders):
    shutil.move("painted/1.jpg", "painted/7.jpg")
    wanted = "painted: wanted files called as the frames that they are painted of, got 'painted/7"
    assert_refused(run(*WORDS), wanted)


def test_two_painted_files_of_one_frame_are_refused(folders):
    shutil.copy("photos/1.png", "painted/1.png")
    assert_refused(run(*WORDS), "painted: wanted one file for each frame, got 'painted/1.jpg' and")


def test_painted_files_of_two_sizes_are_refused(folders):
    with PIL.Image.open("photos/2.png") as picture:
        picture.resize((136, 104)).save("painted/2.png")
    wanted = "painted: wanted pictures of one size, as a clip's frames are, got 'painted/2.png'"
    assert_refused(run(*WORDS), wanted)
    assert "began to train" in run(*WORDS, "--painted-size", "68").err


def test_a_cut_out_part_is_refused(folders):
    with PIL.Image.open("photos/1.png") as picture:
        picture.crop((0, 0, 40, 52)).save("painted/1.jpg")
    assert_refused(run(*WORDS), "painted: wanted the whole frame painted, got '1.jpg' of 40 by 52")
