"""One picture by its pixels, without a terminal: in memory and as a file."""

import dataclasses
import json
import os
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import nst_jax
from nst_jax import files
from nst_jax.files.disk import claim_temporary
from nst_jax.jobs.paint import PaintJob, paint
from nst_jax.jobs.paint_file import describe_origin, identify, paint_file
from nst_jax.jobs.presets import vary_preset
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import PRESETS, stylize, with_style_loss

CONFIG = dataclasses.replace(PRESETS["smoke"], size=32, num_steps=3)


@pytest.fixture
def job(tmp_path, monkeypatch, photograph, painting) -> PaintJob:
    """A job of files, in a current folder of their own."""
    monkeypatch.chdir(tmp_path)
    files.save_image("c.png", photograph)
    files.save_image("s.png", painting)
    return PaintJob("c.png", ["s.png"], CONFIG)


def stop_after(step: int):
    """A flag, and an on_progress that sets it from another thread after a step."""
    flag = threading.Event()

    def on_progress(progress):
        if progress.report is not None and progress.report.step == step:
            thread = threading.Thread(target=flag.set)
            thread.start()
            thread.join()

    return flag, on_progress


def test_a_job_paints_what_stylize_does_and_tells_its_progress(job):
    told = []
    painted = paint(job, on_progress=told.append)

    content, style = (nst_jax.load_image(name, size=32) for name in ("c.png", "s.png"))
    image, record = stylize(content, style, CONFIG, *nst_jax.load_encoder("vgg16"))
    np.testing.assert_array_equal(painted.image, image)
    assert painted.is_finished
    assert painted.record["steps"] == record["steps"]
    first, *steps = told
    assert (first.stage, first.report, first.first_step) == ("painting", None, 0)
    assert [progress.report.step for progress in steps] == [1, 2, 3]
    assert steps[0].levels[-1].width == 32


def test_a_flag_stops_a_run_from_any_thread(job):
    flag, on_progress = stop_after(1)
    long = dataclasses.replace(job, config=dataclasses.replace(CONFIG, num_steps=1000))
    painted = paint(long, on_progress=on_progress, cancel=flag)
    assert not painted.is_finished
    assert len(painted.record["steps"]) < 1000
    assert paint(job).is_finished, "the flag was of that run alone"


def test_a_stopped_file_goes_on_to_the_same_picture(job):
    longer = dataclasses.replace(job, config=dataclasses.replace(CONFIG, num_steps=6))
    flag, on_progress = stop_after(2)
    stopped = paint_file(longer, "out.png", on_progress=on_progress, cancel=flag)
    assert stopped is not None
    assert not stopped.is_finished
    assert not Path("out.png").exists()
    assert Path("out.png.state/preview.png").exists()
    with pytest.raises(FileExistsError, match="holds an unfinished run; add --resume"):
        paint_file(longer, "out.png")
    other = dataclasses.replace(longer.config, style_weight=3.0)
    with pytest.raises(ValueError, match=r"resume: the saved run had style_weight 2\.0"):
        paint_file(dataclasses.replace(longer, config=other), "out.png", resume=True)
    files.save_image("t.png", 1 - files.load_image("s.png"))
    with pytest.raises(ValueError, match="resume: the saved run had other pictures"):
        paint_file(dataclasses.replace(longer, styles=["t.png"]), "out.png", resume=True)

    notes = []
    resumed = paint_file(longer, "out.png", resume=True, on_note=notes.append, record="r.json")

    assert resumed is not None
    np.testing.assert_array_equal(resumed.image, paint(longer).image)
    (note,) = notes
    assert note.startswith("going on after step ")
    assert not Path("out.png.state").exists()
    assert len(json.loads(Path("r.json").read_text())["steps"]) == 6


def test_a_finished_picture_is_known_by_what_made_it(job):
    left = claim_temporary("out.png")
    os.utime(left, (0, 0))  # of a run that was killed long ago
    paint_file(job, "out.png")
    assert not left.exists()
    before = Path("out.png").read_bytes()
    notes = []
    assert paint_file(job, "out.png", resume=True, on_note=notes.append) is None
    assert "finished: nothing to resume" in notes[0]

    other = dataclasses.replace(job, config=dataclasses.replace(CONFIG, style_weight=3.0))
    with pytest.raises(ValueError, match=r"'out\.png' is finished, and was made of other pictures"):
        paint_file(other, "out.png", resume=True)
    longer = dataclasses.replace(job, config=dataclasses.replace(CONFIG, num_steps=5))
    with pytest.raises(ValueError, match=r"finished with 3 steps, and 5 are asked for; --init out"):
        paint_file(longer, "out.png", resume=True)
    assert Path("out.png").read_bytes() == before

    assert paint_file(other, "out.png", resume=True, overwrite=True) is not None
    assert Path("out.png").read_bytes() != before


def test_a_file_made_meanwhile_is_kept_and_the_picture_too(job):
    def on_progress(progress):
        if progress.report is not None:
            Path("out.png").write_text("another's")

    with pytest.raises(FileExistsError, match=r"this run's picture is out\.png\.state/finished"):
        paint_file(job, "out.png", on_progress=on_progress)
    assert Path("out.png").read_text() == "another's"
    kept = np.asarray(PIL.Image.open("out.png.state/finished.png")) / 255
    np.testing.assert_allclose(kept, paint(job).image[0], atol=0.51 / 255)


def test_two_at_once_do_not_mix_their_states(job):
    with Unfinished(Path("out.png")).held():
        with pytest.raises(ValueError, match=r"^out: 'out\.png' is being painted by another proc"):
            paint_file(job, "out.png")
        assert paint_file(job, "other.png") is not None
    assert sorted(path.name for path in Path().iterdir()) == ["c.png", "other.png", "s.png"]


@pytest.mark.parametrize("taken", ["c.png", "s.png", "m.png"])
def test_pictures_that_it_is_made_of_are_never_replaced(job, taken):
    PIL.Image.new("L", (64, 48), 255).save("m.png")
    before = Path(taken).read_bytes()
    with pytest.raises(ValueError, match="is one of the pictures that it is made of"):
        paint_file(dataclasses.replace(job, masks=["m.png"]), taken, overwrite=True)
    assert Path(taken).read_bytes() == before


def test_a_mixed_texture_is_kept_with_the_state(job, monkeypatch):
    files.save_image("t.png", 1 - files.load_image("s.png"))
    config = dataclasses.replace(CONFIG, num_steps=4)
    textured = dataclasses.replace(job, fine_style="t.png", scale=1, config=config)
    flag = threading.Event()

    def on_progress(progress):
        if progress.stage == "painting" and progress.report is not None:
            flag.set()

    stopped = paint_file(textured, "o.png", on_progress=on_progress, cancel=flag)
    assert stopped is not None
    assert not stopped.is_finished
    whole = paint(textured)

    def mix_again(*_, **__):
        raise AssertionError("mixed again, as another machine would otherwise")

    monkeypatch.setattr(gatys_2017, "mix_scales", mix_again)
    resumed = paint_file(textured, "o.png", resume=True)
    assert resumed is not None
    np.testing.assert_array_equal(resumed.image, whole.image)
    assert [len(mixing["steps"]) for mixing in resumed.record["info"]["fine_style"]] == [4]
    assert not Path("o.png.state").exists()


def test_what_made_a_picture_tells_everything_apart_but_the_steps(job, photograph):
    from nst_jax.jobs.paint import load_pictures

    def identity(**changes):
        changed = dataclasses.replace(job, **changes)
        return identify(changed, load_pictures(changed))

    first = identity()
    assert identity(config=dataclasses.replace(CONFIG, num_steps=9)) == first
    others = [
        identity(config=dataclasses.replace(CONFIG, seed=1)),
        identity(styles=["c.png"]),
        identity(fine_style="s.png"),
        identity(masks=[np.ones((48, 64), np.float32)]),
    ]
    assert len({first, *others}) == 5
    assert describe_origin(first, 3) == f"nst-jax {nst_jax.__version__}, 3 steps, {first}"


def test_settings_vary_a_preset_and_bring_what_goes_with_them():
    assert vary_preset("smoke", {}) == PRESETS["smoke"]
    assert vary_preset("default", {"style_loss": "mrf"}) == with_style_loss(
        PRESETS["default"], "mrf"
    )
    assert vary_preset("default", {"color": "keep"}).color == "luminance"
    assert vary_preset("paper", {"encoder": "vgg16"}).weights == "vgg16-normalized"
    assert vary_preset("default", {"weights": "vgg19-keras"}).encoder == "vgg19"
    with pytest.raises(ValueError, match=r"style_wieght: no setting .*did you mean style_weight"):
        vary_preset("default", {"style_wieght": 3.0})
    with pytest.raises(ValueError, match=r"preset: wanted default.*did you mean smoke"):
        vary_preset("smok", {})
