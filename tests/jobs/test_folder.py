"""Photographs in one pass, without a terminal."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures

from nst_jax.jobs import folder
from nst_jax.jobs.folder import FolderJob
from nst_jax.jobs.styles import StyleChoice
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.stylizers import load_stylizer, save_model


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory):
    """A model of two styles."""
    network = DumoulinNetwork(num_styles=2, width=4)
    shapes = jax.eval_shape(
        network.init,
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32),
        jax.ShapeDtypeStruct((1, 2), jnp.float32),
    )
    path = tmp_path_factory.mktemp("models") / "two.safetensors"
    save_model(path, network, made_arrays(shapes), styles=("waves", "dots"), card={})
    return load_stylizer(path)


def photographs(count):
    return [jnp.asarray(made_pictures(1, 48, 64, 3, seed=seed)) for seed in range(count)]


def test_pictures_given_as_arrays_come_back_in_the_report(stylizer):
    given = photographs(3)
    told = []
    job = FolderJob(given, StyleChoice(names=("dots", "waves")), model=stylizer, batch_size=2)
    report = folder.run(job, on_progress=lambda done, of: told.append((done, of)))
    assert (report.failures, report.sizes.total(), told[-1]) == ([], 6, (6, 6))
    for picture, results in zip(given, report.pictures, strict=True):
        for name, result in zip(("dots", "waves"), results, strict=True):
            assert result is not None
            np.testing.assert_allclose(result, stylizer(picture, name)[0], atol=1e-4)


def test_a_flag_ends_a_folder_between_pictures(stylizer, tmp_path):
    flag = threading.Event()
    choice = StyleChoice(names=("dots",))
    job = FolderJob(photographs(4), choice, out=tmp_path / "out", model=stylizer, batch_size=1)

    def on_progress(done, of):
        if done == 2:
            flag.set()

    report = folder.run(job, on_progress=on_progress, cancel=flag)
    assert not report.is_finished
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "2.png"]


def test_a_stopped_folder_goes_on_with_what_is_missing(stylizer, tmp_path):
    choice, out = StyleChoice(names=("dots",)), tmp_path / "out"
    out.mkdir()
    (out / "2.png").write_text("there")
    report = folder.run(
        FolderJob(photographs(3), choice, out=out, model=stylizer, skip_existing=True)
    )
    assert (report.skipped, report.done, report.sizes.total()) == (1, 2, 2)
    assert (out / "2.png").read_text() == "there"
    again = folder.run(
        FolderJob(photographs(3), choice, out=out, model=stylizer, skip_existing=True)
    )
    assert (again.skipped, again.done) == (3, 0)


def test_a_file_made_meanwhile_is_a_failure_that_stops_no_other(stylizer, tmp_path, monkeypatch):
    paint_each = stylizer.paint_each

    def slow(*args, **kwargs):
        (tmp_path / "out" / "2.png").write_text("another's")
        return paint_each(*args, **kwargs)

    monkeypatch.setattr(stylizer, "paint_each", slow)
    job = FolderJob(
        photographs(3), StyleChoice(names=("dots",)), out=tmp_path / "out", model=stylizer
    )
    report = folder.run(job)
    (failure,) = report.failures
    assert isinstance(failure, FileExistsError)
    assert (report.done, report.sizes.total()) == (3, 2)
    assert (tmp_path / "out/2.png").read_text() == "another's"


def test_a_broken_picture_is_named_and_stops_no_other(stylizer, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    given = [tmp_path / "broken.jpg", *photographs(1)]
    report = folder.run(FolderJob(given, StyleChoice(names=("dots",)), model=stylizer))
    (failure,) = report.failures
    assert "broken.jpg" in str(failure)
    assert report.pictures[0] == [None]
    assert report.pictures[1][0] is not None


def test_a_painting_whose_path_is_a_styles_name_is_answered_with_its_model():
    with pytest.raises(ValueError, match=r"wave is a style of the model dumoulin2017; add --model"):
        folder.run(FolderJob(photographs(1), StyleChoice(names=("wave",))))
