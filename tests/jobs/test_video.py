"""Clips painted from file to file: the command's words, sound, scenes, and going on."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import jax.numpy as jnp
import made_clips
import made_data
import numpy as np
import pytest

from nst_jax import cli, files
from nst_jax.files.video_output import writing_clip
from nst_jax.files.videos import Clip, Frame, Selection, read_frames
from nst_jax.jobs import video, video_by_network, video_by_pixels
from nst_jax.jobs.kept_frames import KeptFrames
from nst_jax.jobs.styles import StyleChoice
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.jobs.video import VideoJob
from nst_jax.papers import ruder_2016
from nst_jax.stylizers import load_stylizer

pytest.importorskip("av")
pytest.importorskip("cv2")

RATE = Fraction(25)
CLIP = Clip(32, 48, 1 / RATE, RATE, 0, has_sound=False)
STYLE = StyleChoice(names=("waves",))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return made_data.save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def many(models):
    return load_stylizer(models.many)


def pan(number):
    y, x = np.mgrid[0:32, 0:48].astype(np.float64)
    return made_clips.texture(y, x - number)


def other_scene(number):
    return (0.3 * pan(number)[..., ::-1] + [0.1, 0.5, 0.2]).astype(np.float32)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six frames of one scene and six of another, as lossless pictures."""
    path = tmp_path_factory.mktemp("clip") / "frames"
    with writing_clip(path, CLIP) as add:
        for number in range(12):
            pixels = pan(number) if number < 6 else other_scene(number)
            add(Frame(pixels, number / RATE))
    return path


def job(clip, out, many, **options):
    options = {"temporal": "all", **options}
    return VideoJob(clip, out, STYLE, model=many, selection=Selection(), **options)


def pixels_of(path):
    return np.stack([frame.pixels for frame in read_frames(path)])


@pytest.fixture(scope="module")
def whole(clip, many, tmp_path_factory):
    """What a run makes of the clip that is not disturbed."""
    out = tmp_path_factory.mktemp("whole") / "painted"
    report = video.run(job(clip, out, many))
    return report, pixels_of(out)


def test_a_clip_is_painted_scene_by_scene(whole, clip, many):
    report, painted = whole
    assert (report.frames, report.size, report.scenes) == (12, (48, 32), (0, 6))
    statistics = many.pool_statistics([pixels_of(clip)[6]], "waves")
    alone = many.with_statistics(statistics).paint([pixels_of(clip)[6]], "waves")[0]
    np.testing.assert_allclose(painted[6], alone, atol=1 / 255)  # the second scene begins anew
    assert np.abs(painted[7] - many.paint([pixels_of(clip)[7]], "waves")[0]).max() > 0.02


def test_off_paints_every_frame_alone(clip, many, tmp_path):
    report = video.run(job(clip, tmp_path / "painted", many, temporal="off"))
    alone = many.paint(list(pixels_of(clip)), "waves")
    assert report.scenes == ()
    np.testing.assert_allclose(pixels_of(tmp_path / "painted"), np.stack(alone), atol=0.51 / 255)


def test_a_stopped_run_goes_on_and_ends_with_the_same_frames(
    whole, clip, many, tmp_path, monkeypatch
):
    monkeypatch.setattr(video_by_network, "_SAVE_EVERY", 3)
    out, stop = tmp_path / "painted", threading.Event()

    def stop_after(count):
        return lambda label, done, of: stop.set() if (label, done) == ("painting", count) else None

    for count in (2, 8):
        stop.clear()
        report = video.run(
            job(clip, out, many, resume=count > 2), on_frame=stop_after(count), cancel=stop
        )
        assert (report.is_finished, report.frames) == (False, count)
        assert not out.exists()
    with pytest.raises(FileExistsError, match="holds an unfinished run; add --resume"):
        video.run(job(clip, out, many))
    with pytest.raises(ValueError, match=r"resume: .* holds a run with other settings"):
        video.run(job(clip, out, many, resume=True, temporal="off"))
    report = video.run(job(clip, out, many, resume=True))
    assert (report.first, report.frames) == (8, 12)
    np.testing.assert_array_equal(pixels_of(out), whole[1])
    assert os.listdir(tmp_path) == ["painted"]


@pytest.mark.parametrize("name", ["painted", "painted.mp4"])
def test_a_finished_clip_is_known_by_what_made_it(clip, many, tmp_path, name):
    out, notes = tmp_path / name, []
    short = dataclasses.replace(
        job(clip, out, many, temporal="off"), selection=Selection(end=Fraction(3, 25))
    )
    again = dataclasses.replace(short, resume=True)
    assert video.run(again, on_note=notes.append).is_new
    assert notes == [f"no unfinished run in {out}.state: starting afresh"]
    before = contents_of(out)
    report = video.run(again, on_note=notes.append)
    assert (report.is_new, report.is_finished, report.frames) == (False, True, 3)
    assert notes[1:] == [f"{out} is finished: nothing to resume"]
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        video.run(short)
    shutil.copytree(clip, tmp_path / "other")
    shutil.copy(clip / "000001.png", tmp_path / "other" / "000002.png")
    told = "is finished, and was made of another clip or with other options; choose another name"
    for change in (
        {"choice": StyleChoice(names=("dots",))},
        {"selection": Selection()},
        {"clip": tmp_path / "other"},
    ):
        with pytest.raises(ValueError, match=rf"^resume: '.*{name}' {told}"):
            video.run(dataclasses.replace(again, **change))
    assert contents_of(out) == before
    changed = dataclasses.replace(again, choice=StyleChoice(names=("dots",)), overwrite=True)
    assert video.run(changed).is_new
    assert contents_of(out) != before
    assert sorted(os.listdir(tmp_path)) == ["other", name]


def test_a_clip_that_something_else_made_is_not_called_finished(clip, many, tmp_path):
    shutil.copytree(clip, tmp_path / "painted")
    with pytest.raises(ValueError, match=r"^resume: '.*painted' does not say what made it"):
        video.run(job(clip, tmp_path / "painted", many, temporal="off", resume=True))
    np.testing.assert_array_equal(pixels_of(tmp_path / "painted"), pixels_of(clip))


def test_a_run_that_may_overwrite_may_do_so_when_it_goes_on(clip, many, tmp_path):
    out, stop = tmp_path / "painted", threading.Event()
    shutil.copytree(clip, out)
    stop.set()
    stopped = job(clip, out, many, temporal="off", overwrite=True)
    assert not video.run(stopped, cancel=stop).is_finished
    assert video.run(dataclasses.replace(stopped, overwrite=False, resume=True)).first == 1
    assert np.abs(pixels_of(out) - pixels_of(clip)).max() > 0.02


def contents_of(out):
    return [path.read_bytes() for path in sorted(out.iterdir() if out.is_dir() else [out])]


def test_a_run_goes_on_with_the_same_files_alone(models, tmp_path):
    """Other files of the same names are other ones."""
    mask, played, stop = tmp_path / "mask.png", tmp_path / "clip.mp4", threading.Event()
    stop.set()
    choice = StyleChoice(names=("waves", "dots"), masks=(mask,))

    def write(shift):
        grey = np.repeat(pan(shift)[..., :1], 3, axis=-1)
        files.save_image(mask, jnp.asarray(grey[None]))
        with writing_clip(played, CLIP) as add:
            for number in range(3):
                add(Frame(pan(number + shift), number / RATE))

    def run(model=models.many, **options):
        wanted = VideoJob(played, tmp_path / "out", choice, model=model, temporal="off", **options)
        return video.run(wanted, cancel=stop)

    write(0)
    assert not run().is_finished
    assert run(resume=True).first == 1
    before = {path: path.read_bytes() for path in (mask, played)}
    write(5)
    after = {path: path.read_bytes() for path in before}
    for changed in before:
        for path in before:
            path.write_bytes((after if path == changed else before)[path])
        with pytest.raises(ValueError, match=r"resume: .* holds a run with other settings"):
            run(resume=True)
    for path, content in before.items():
        path.write_bytes(content)
    assert run(resume=True).first == 2


def test_a_frame_that_changed_is_another_clip(clip, many, tmp_path):
    """In a folder of pictures too, where the names stay the same."""
    stop, played = threading.Event(), tmp_path / "frames"
    stop.set()
    shutil.copytree(clip, played)
    wanted = job(played, tmp_path / "painted", many, temporal="off")
    assert not video.run(wanted, cancel=stop).is_finished
    shutil.copy(played / "000003.png", played / "000009.png")
    with pytest.raises(ValueError, match=r"resume: .* holds a run with other settings"):
        video.run(dataclasses.replace(wanted, resume=True))


def test_two_at_once_do_not_mix_their_frames(clip, many, tmp_path):
    with (
        Unfinished(tmp_path / "painted").held(),
        pytest.raises(ValueError, match=r"^out: '.*painted' is being painted by another process"),
    ):
        video.run(job(clip, tmp_path / "painted", many))
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_the_frames_that_are_done(clip, many, tmp_path):
    def interrupt(label, done, of):
        if (label, done) == ("painting", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped; 4 frames are kept; .*--resume"):
        video.run(job(clip, tmp_path / "painted", many), on_frame=interrupt)
    assert len(list((tmp_path / "painted.state" / "frames").iterdir())) == 4


def test_a_killed_run_loses_only_what_is_painted_again(whole, clip, many, tmp_path, monkeypatch):
    """As after SIGKILL: pictures beyond the last saved state are there, and are painted again."""
    monkeypatch.setattr(video_by_network, "_SAVE_EVERY", 3)
    out = tmp_path / "painted"
    saved = KeptFrames.save

    def die(kept, arrays, more, *, done):
        if done > 3:
            raise SystemExit  # and whatever else would be written is not
        saved(kept, arrays, more, done=done)

    monkeypatch.setattr(KeptFrames, "save", die)
    with pytest.raises(SystemExit):
        video.run(job(clip, out, many))
    monkeypatch.setattr(KeptFrames, "save", saved)
    report = video.run(job(clip, out, many, resume=True))
    assert report.first == 3
    np.testing.assert_array_equal(pixels_of(out), whole[1])


def test_one_style_is_wanted(clip, many, tmp_path):
    both = StyleChoice(names=("waves", "dots"))
    with pytest.raises(ValueError, match="style: wanted one style for a clip, got 2"):
        video.run(VideoJob(clip, tmp_path / "painted", both, model=many))
    with pytest.raises(ValueError, match=r"out: .* is the clip itself"):
        video.run(job(clip, clip, many))


# A style that changes -----------------------------------------------------------------------------


def test_a_style_changes_over_time(clip, many, tmp_path):
    """From waves in the first frames to dots in the last ones, and half of each in between."""
    changing = VideoJob(
        clip,
        tmp_path / "painted",
        StyleChoice(names=("waves", "dots")),
        style_times=(0.08, 0.24),
        model=many,
        selection=Selection(),
        temporal="off",
    )
    video.run(changing)
    painted, frames = pixels_of(tmp_path / "painted"), list(pixels_of(clip))
    for number, style in {0: "waves", 2: "waves", 6: "dots", 11: "dots"}.items():
        wanted = many.paint([frames[number]], style)[0]
        np.testing.assert_allclose(painted[number], wanted, atol=0.51 / 255)
    half = many.paint([frames[4]], {"waves": 0.5, "dots": 0.5})[0]
    np.testing.assert_allclose(painted[4], half, atol=0.51 / 255)
    assert np.abs(painted[4] - many.paint([frames[4]], "waves")[0]).max() > 0.02


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("choice", "times", "words"),
    [
        (("waves", "dots"), (0, 1, 2), "style_times: wanted two or more, one for each of --style"),
        (("waves",), (0,), "style_times: wanted two or more"),
        (("waves", "dots"), (1, 0), "style_times: wanted seconds that rise"),
        (("waves", "dots"), (0, float("nan")), "style_times: wanted seconds that rise"),
    ],
)
def test_times_that_do_not_fit_are_one_line(clip, many, tmp_path, choice, times, words):
    wanted = VideoJob(
        clip, tmp_path / "out", StyleChoice(names=choice), style_times=times, model=many
    )
    with pytest.raises(ValueError, match=words):
        video.run(wanted)
    blended = StyleChoice(names=("waves", "dots"), blend=(1, 1))
    with pytest.raises(ValueError, match="style_times: wanted without --style-blend"):
        video.run(VideoJob(clip, tmp_path / "out", blended, style_times=(0, 1), model=many))


# By pixels ----------------------------------------------------------------------------------------


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.png"
    y, x = np.mgrid[0:40, 0:40].astype(np.float64)
    files.save_image(path, jnp.asarray(made_clips.texture(1.7 * y, 1.7 * x)[None, ..., ::-1]))
    return path


def by_pixels(clip, out, painting, *, passes=1, count=4, **options):
    config = dataclasses.replace(
        ruder_2016.PRESETS["smoke"], passes=passes, pass_steps=2, temporal_from_pass=2
    )
    return VideoJob(
        clip,
        out,
        StyleChoice(names=(painting,)),
        method="optimize",
        config=config,
        selection=Selection(end=Fraction(count, 25)),
        **options,
    )


@pytest.mark.parametrize("passes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_clip_by_pixels_goes_on_to_the_same_frames(clip, painting, tmp_path, passes):
    report = video.run(by_pixels(clip, tmp_path / "whole", painting, passes=passes))
    assert (report.frames, report.size, report.scenes) == (4, (48, 32), (0,))
    whole = pixels_of(tmp_path / "whole")
    assert np.abs(whole - pixels_of(clip)[:4]).mean() > 0.01
    out, stop = tmp_path / "painted", threading.Event()

    def stop_after(label, done, of):
        if label == "painting" and done == 4 * passes - 2:
            assert of == 4 * passes
            stop.set()

    stopped = video.run(
        by_pixels(clip, out, painting, passes=passes), on_frame=stop_after, cancel=stop
    )
    assert not stopped.is_finished
    assert not out.exists()
    report = video.run(by_pixels(clip, out, painting, passes=passes, resume=True))
    assert report.first > 0
    np.testing.assert_array_equal(pixels_of(out), whole)
    assert sorted(os.listdir(tmp_path)) == ["painted", "painting.png", "whole"]


def test_scenes_by_pixels_begin_anew(clip, painting, tmp_path, monkeypatch):
    turns = []
    monkeypatch.setattr(
        video_by_pixels.PixelPainter,
        "_paint_turn",
        lambda painter, turn: turns.append(turn) or True,
    )
    with pytest.raises(FileNotFoundError):  # since nothing was painted
        video.run(by_pixels(clip, tmp_path / "out", painting, count=12))
    assert [turn.frame for turn in turns] == list(range(12))
    assert [turn.frame for turn in turns if not turn.neighbours] == [0, 6]


# Killed ------------------------------------------------------------------------------------------


def kill_amid(words, frames):
    """Start the command, and kill it once some more frames are painted."""
    before = set(os.listdir(frames)) if frames.exists() else set()
    process = subprocess.Popen(
        [sys.executable, "-m", "nst_jax", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = time.monotonic() + 120
    while not frames.exists() or len(set(os.listdir(frames)) - before) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("method", ["network", "optimize"])
def test_a_command_killed_at_any_moment_goes_on_to_the_same_frames(
    models, painting, tmp_path, method
):
    count = {"network": 200, "optimize": 14}[method]
    source, out = tmp_path / "source", tmp_path / "painted"
    with writing_clip(source, CLIP) as add:
        for number in range(count):
            add(Frame(pan(number) if number < count - 5 else other_scene(number), number / RATE))
    words = ["video", source, "--size", 48, "--quiet"]
    words += {
        "network": ["--model", models.many, "--style", "waves"],
        "optimize": ["--style", painting, "--method", "optimize", "--preset", "smoke"],
    }[method]
    assert cli.main([*map(str, words), "-o", str(tmp_path / "whole")]) == 0
    words += ["-o", out]
    for more in ([], ["--resume"]):
        kill_amid([*words, *more], tmp_path / "painted.state" / "frames")
        assert not out.exists()
    assert cli.main([*map(str, words), "--resume"]) == 0
    np.testing.assert_array_equal(pixels_of(out), pixels_of(tmp_path / "whole"))
    assert not (tmp_path / "painted.state").exists()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"names": ()}, "style: wanted at least one painting, got none"),
        ({"alpha": 0.5}, "alpha: wanted with --method network"),
        ({"masks": ("a.png",)}, "mask: wanted with --method network"),
        ({"color": "keep", "color_when": "before"}, "color_when: wanted after"),
    ],
)
def test_what_pixels_do_not_do_is_one_line(clip, painting, tmp_path, choice, words):
    wanted = by_pixels(clip, tmp_path / "out", painting)
    changed = dataclasses.replace(wanted.choice, **choice)
    with pytest.raises(ValueError, match=words):
        video.run(dataclasses.replace(wanted, choice=changed))


def test_the_command_paints_by_pixels_and_keeps_colours(clip, painting, tmp_path, capsys):
    words = ["video", clip, "--style", painting, "-o", tmp_path / "out", "--method", "optimize"]
    words += ["--preset", "smoke", "--size", 48, "--end", 0.12, "--num-steps", 2, 1]
    words += ["--color", "keep", "--distances", 1, 2, "--temporal-weight", 50]
    assert cli.main([str(word) for word in words]) == 0
    assert "3 frames of 48x32 pixels" in capsys.readouterr().out
    painted, own = pixels_of(tmp_path / "out"), pixels_of(clip)[:3]
    hue = [each - each @ np.array([0.299, 0.587, 0.114])[:, None] for each in (painted, own)]
    assert np.median(np.abs(hue[0] - hue[1])) < 0.03


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--passes", "3"], "passes: wanted with --method optimize, got it with network"),
        (["--method", "optimize", "--model", "johnson2016-wave"], "model: wanted with --method"),
        (["--method", "optimize", "--preset", "x"], "preset: wanted default, paper"),
        (["--method", "optimize", "--num-steps", "1", "2", "3"], "num_steps: wanted one number"),
    ],
)
def test_words_of_the_other_method_are_one_line(clip, painting, tmp_path, capsys, words, told):
    common = ["video", str(clip), "--style", str(painting), "-o", str(tmp_path / "out")]
    assert cli.main([*common, *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error


def test_the_command_paints_a_clip(models, clip, tmp_path, capsys):
    source = tmp_path / "a.mp4"
    with writing_clip(source, CLIP) as add:
        for number in range(10):
            add(Frame(pan(number), number / RATE))
    out = tmp_path / "painted.mp4"
    words = ["video", source, "--model", models.many, "--style", "waves", "-o", out]
    words += ["--size", 40, "--start", 0.08, "--end", 0.24, "--color", "keep"]
    assert cli.main([str(word) for word in words]) == 0
    told = capsys.readouterr()
    assert "4 frames of 40x27 pixels" in told.out
    assert "frames/s" in told.err
    found = list(read_frames(out))
    assert [frame.time for frame in found] == [Fraction(n, 25) for n in range(4)]
    assert found[0].pixels.shape == (28, 40, 3)
    assert cli.main([str(word) for word in words]) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    assert cli.main([*map(str, words), "--resume"]) == 0
    assert capsys.readouterr().out == f"{out} is finished: nothing to resume\n"
    assert cli.main([*map(str, words), "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "painted.mp4"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.mp4", "-o", "b.mp4"], "cannot read"),
        (["a.txt", "-o", "b.mp4"], "not a clip that FFmpeg knows"),
        (["a.txt", "-o", "b.avi"], "use .mp4"),
        (["a.txt", "-o", "b.mp4", "--end", "-1"], "end: wanted more seconds than start"),
        (["a.txt", "-o", "b.mp4", "--max-pixels", "0"], "max_pixels: wanted at least"),
        (["a.txt", "-o", "b.mp4", "--style-size", "0"], "style_size: wanted 16 to 16384 pixels"),
        (["a.txt", "-o", "b.mp4", "--fps", "nan"], "fps: wanted a finite number"),
    ],
)
def test_bad_words_are_one_line(words, told, models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("no clip")
    status = cli.main(["video", *words, "--model", str(models.many), "--style", "waves"])
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert told in error
    assert os.listdir() == ["a.txt"]


def test_help_says_what_it_does_and_what_it_needs(capsys):
    assert cli.main(["video", "--help"]) == 0
    told = capsys.readouterr().out
    for words in ("without flicker", "pip install av opencv-python-headless", "--temporal"):
        assert words in told


def test_frames_are_ordinary_pictures(whole, clip, many, tmp_path):
    video.run(job(clip, tmp_path / "painted", many, temporal="off"))
    assert files.load_image(tmp_path / "painted" / "000001.png").shape == (1, 32, 48, 3)
