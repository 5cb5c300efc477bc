"""Which picture becomes which file, and what is refused before any work."""

import os
from pathlib import Path

import numpy as np
import pytest

from nst_jax import files
from nst_jax.files.disk import claim_temporary
from nst_jax.jobs import outputs
from nst_jax.jobs.outputs import is_folder, place_in_folder, plan_outputs


@pytest.fixture
def folder(tmp_path, monkeypatch, photograph) -> Path:
    """A current folder with photos/a.png and photos/b.png."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a", "b"):
        files.save_image(f"photos/{name}.png", photograph)
    return tmp_path


def plan(*contents, out="out", suffixes=("",), overwrite=False, skip_existing=False):
    return plan_outputs(contents, out, suffixes, overwrite=overwrite, skip_existing=skip_existing)


def written(found) -> list[list[str | None]]:
    return [[output and output.as_posix() for output in task.outputs] for task in found.tasks]


def test_what_is_there_can_be_left_out(folder):
    Path("out").mkdir()
    for name in ("a_x.png", "b_x.png", "b_y.png"):
        (Path("out") / name).write_text("there")

    found = plan(Path("photos"), suffixes=("_x", "_y"), skip_existing=True)

    assert written(found) == [[None, "out/a_y.png"]]
    assert found.skipped == 3
    with pytest.raises(FileExistsError, match="--skip-existing"):
        plan(Path("photos"), suffixes=("_x", "_y"))
    with pytest.raises(ValueError, match="skip_existing: wanted without --overwrite"):
        plan(Path("photos"), overwrite=True, skip_existing=True)


def test_one_photograph_goes_into_a_folder_that_is_there_or_ends_as_one(folder):
    assert written(plan("photos/a.png", out="new/")) == [["new/a.png"]]
    assert Path("new").is_dir()
    assert written(plan("photos/a.png", out="new")) == [["new/a.png"]]
    assert written(plan("photos/a.png", out="one.png")) == [["one.png"]]
    assert is_folder("elsewhere/")
    assert not is_folder("elsewhere")
    assert place_in_folder("new/", "photos/a.png") == Path("new/a.png")
    assert place_in_folder("one.png", "photos/a.png") == Path("one.png")


def test_what_killed_runs_left_goes(folder):
    Path("out").mkdir()
    old, new = claim_temporary("out/a.png"), claim_temporary("out/b.png")
    os.utime(old, (0, 0))
    plan(Path("photos"))
    assert not old.exists()
    assert new.exists(), "another process may be writing it"


def test_a_name_too_long_is_one_failure_and_stops_no_other(folder):
    os.rename("photos/b.png", f"photos/{'b' * 240}.png")

    found = plan(Path("photos"), suffixes=("_of_a_painting",))

    assert written(found) == [["out/a_of_a_painting.png"]]
    (failure,) = found.failures
    assert "File name too long; choose a shorter one" in str(failure)
    with pytest.raises(OSError, match="File name too long"):
        plan("photos/a.png", out=f"{'o' * 300}.png")


def test_names_that_differ_in_case_alone_are_refused_where_they_are_one(folder, monkeypatch):
    Path("more").mkdir()
    os.rename("photos/b.png", "more/A.png")
    contents = ("photos/a.png", "more/A.png")
    monkeypatch.setattr(outputs, "ignores_case", lambda folder: False)
    assert written(plan(*contents)) == [["out/a.png"], ["out/A.png"]]
    monkeypatch.setattr(outputs, "ignores_case", lambda folder: True)
    with pytest.raises(ValueError, match=r"'photos/a\.png' and 'more/A\.png' would both become"):
        plan(*contents)


def test_a_folder_knows_whether_case_counts(folder):
    from nst_jax.files.disk import ignores_case

    Path("Case").mkdir()
    assert ignores_case(folder) == Path("cASE").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["Case", "photos"]


def test_photographs_are_never_replaced_and_names_never_shared(folder):
    with pytest.raises(ValueError, match="is one of the photographs"):
        plan(Path("photos"), out="photos", overwrite=True)
    with pytest.raises(ValueError, match=r"would both become 'out/a\.png'"):
        plan("photos/a.png", Path("photos"))


def test_pictures_without_names_are_numbered(folder):
    black = np.zeros((1, 16, 16, 3), np.float32)
    assert written(plan(black, black)) == [["out/1.png"], ["out/2.png"]]
