"""nst-jax train: what users type, what they are told, what lies in their folders afterwards."""

import contextlib
import dataclasses
import functools
import json
import os
import re
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import PIL.Image
import pytest
from train_command import (
    SMOKE,
    arrays,
    assert_refused,
    assert_same,
    make_job,
    make_pictures,
    press_ctrl_c,
    replaced,
    run,
)

import nst_jax
from nst_jax import files, stylizers
from nst_jax.cli import main
from nst_jax.cli import train as cli_train
from nst_jax.cli.errors import exit_status, one_line
from nst_jax.jobs import training
from nst_jax.jobs.training_pictures import find_pictures
from nst_jax.jobs.training_plan import make_plan
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.papers import dumoulin_2017, johnson_2016
from nst_jax.progress import follow_training
from nst_jax.runs.report import Report
from nst_jax.train import TrainingDivergedError

pytestmark = pytest.mark.usefixtures("lax_promotion")

PAPERS = {"johnson2016": johnson_2016, "dumoulin2017": dumoulin_2017}
JOHNSON = shlex.split("johnson2016 --content-dir photos --style wave.png --workdir run")
DUMOULIN = shlex.split("dumoulin2017 --content-dir photos --style wave.png line.png --workdir many")
ADD = shlex.split("dumoulin2017 --content-dir photos --add-style new.png --workdir more")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A current folder with pictures in it, and no weights fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    make_pictures()
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which johnson2016 was trained, with a broken photograph among the others."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder), jax.numpy_dtype_promotion("standard"):
        make_pictures()
        Path("photos/broken.jpg").write_text("no picture")
        told = run(*JOHNSON, *SMOKE, "--held-out-dir", "held")
    return folder, told


# Options --------------------------------------------------------------------------------------


def config_of(*words: str) -> Any:
    return make_job(*words).config


# The option, the fields that it changes, and what these become, unlike smoke's.
OPTIONS = {
    "--num-steps 3": {"num_steps": 3},
    "--width 6": {"width": 6},
    "--style-size 40": {"style_size": 40},
    "--batch-size 3": {"batch_size": 3},
    "--seed 7": {"seed": 7},
    "--content-weight 1.5": {"content_weight": 1.5},
    "--style-weight 2.5": {"style_weight": 2.5},
    "--tv-weight 0.5": {"tv_weight": 0.5},
    "--encoder vgg19": {"encoder": "vgg19"},
    "--weights vgg16-keras": {"weights": "vgg16-keras"},
    "--weights vgg19-keras": {"weights": "vgg19-keras", "encoder": "vgg19"},
    "--precision bfloat16": {"precision": "bfloat16"},
    "--learning-rate 0.03": {"learning_rate": 0.03},
    "--clip-norm 2": {"clip_norm": 2.0},
}


@pytest.mark.parametrize("words", [JOHNSON, DUMOULIN], ids=["johnson2016", "dumoulin2017"])
def test_every_option_changes_its_fields_alone(words):
    preset = PAPERS[words[0]].PRESETS["smoke"]
    assert config_of(*words, "--preset", "smoke") == preset
    for option, changes in OPTIONS.items():
        assert all(getattr(preset, name) != value for name, value in changes.items()), option
        config = config_of(*words, "--preset", "smoke", *option.split())
        assert config == dataclasses.replace(preset, **changes), option


def test_no_options_are_the_cpu_preset():
    assert config_of(*JOHNSON) == johnson_2016.PRESETS["cpu"]
    assert config_of(*DUMOULIN) == dumoulin_2017.PRESETS["cpu"]
    assert config_of(*JOHNSON, "--preset", "authors") == johnson_2016.PRESETS["authors"]


def test_what_pictures_are_cut_from_grows_with_them():
    config = config_of(*JOHNSON, "--size", "240")
    assert (config.size, config.shorter_side) == (240, (288, 576))  # of 160 and 192 to 384
    assert config_of(*JOHNSON, "--preset", "paper", "--size", "240").shorter_side is None


def test_a_time_limit_takes_the_place_of_steps():
    limits = {"8m": 480.0, "45s": 45.0, "1h30m": 5400.0, "0.5h": 1800.0}
    for text, seconds in limits.items():
        assert make_job(*JOHNSON, "--time-limit", text).time_limit == seconds
    assert make_job(*JOHNSON).time_limit is None
    for text in ("8", "m", "0s", "8 m", "1d"):
        with pytest.raises(ValueError, match=r"^time_limit: wanted a time such as 8m, 1h30m"):
            make_job(*JOHNSON, "--time-limit", text)
    with pytest.raises(ValueError, match=r"^time_limit: wanted in place of --num-steps"):
        make_job(*JOHNSON, "--time-limit", "8m", "--num-steps", "9")


def test_steps_of_a_new_style_are_counted_apart():
    config = config_of(*ADD, "--preset", "smoke", "--num-steps", "9")
    smoke = dumoulin_2017.PRESETS["smoke"]
    assert config == dataclasses.replace(smoke, add_style_steps=9)


def test_help_has_the_defaults_of_the_chosen_preset(capsys):
    for preset in ("paper", "smoke"):
        assert main(["train", "johnson2016", "--preset", preset, "--help"]) == 0
        text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
        config = johnson_2016.PRESETS[preset]
        for name in ("num-steps", "width", "batch-size", "style-size", "normalization"):
            value = getattr(config, name.replace("-", "_"))
            assert re.search(rf"--{name} [^(]*\(default: {value}\)", text), name
        layers = " ".join(layer for layer, _ in config.style_layers)
        assert f"(default: {layers})" in text


def test_layers_and_their_weights_are_two_lists():
    layers = ("--style-layers", "relu1_1", "relu3_1")
    config = config_of(*JOHNSON, *layers, "--style-layer-weights", "2", "0.5")
    assert config.style_layers == (("relu1_1", 2.0), ("relu3_1", 0.5))
    assert config_of(*JOHNSON, *layers).style_layers == (("relu1_1", 1.0), ("relu3_1", 1.0))
    weights = ("--style-layer-weights", "1", "2", "3", "4")
    preset = johnson_2016.PRESETS["cpu"]
    assert config_of(*JOHNSON, *weights).style_layers == tuple(
        (layer, weight)
        for (layer, _), weight in zip(preset.style_layers, (1.0, 2.0, 3.0, 4.0), strict=True)
    )
    with pytest.raises(ValueError, match=r"^style_layer_weights: wanted 2, one for each of"):
        config_of(*JOHNSON, *layers, "--style-layer-weights", "1", "2", "3")


def test_help_tells_every_option(capsys):
    for words in ([], ["--help"]):
        assert main(["train", *words]) == 0
        text = capsys.readouterr().out
        assert "johnson2016" in text
        assert "dumoulin2017" in text
    options = (
        "content-dir held-out-dir workdir preset num-steps width size style-size batch-size seed "
        "content-weight style-weight tv-weight encoder weights precision learning-rate clip-norm "
        "save-every report-every quiet style"
    )
    for paper, more in (("johnson2016", ""), ("dumoulin2017", "style-dir add-style model")):
        assert main(["train", paper, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"usage: nst-jax train {paper}" in text
        assert "first 8 training pictures" in " ".join(text.replace("│", " ").split())
        fields = {field.name for field in dataclasses.fields(PAPERS[paper].Config)}
        fields = {name.replace("_", "-") for name in fields - {"add_style_steps"}}
        for option in {*options.split(), *more.split(), *fields}:
            assert f"--{option} " in text, option
        for name, config in PAPERS[paper].PRESETS.items():
            assert re.search(rf"{name} +{config.num_steps} steps", text)


@pytest.mark.parametrize(
    "words",
    [
        [*JOHNSON[:-2]],
        [*JOHNSON, "--stile-weight", "3"],
        [*JOHNSON, "--size", "large"],
        [*JOHNSON, "--style-dir", "paintings"],
    ],
)
def test_words_that_make_no_sense_are_bad_input(here, words):
    told = run(*words)
    assert told.status == 2
    assert "--help" in told.err
    assert "Traceback" not in told.err


def test_a_misspelt_paper_or_preset_is_answered_with_the_one_that_is_meant():
    assert_refused(run("johnson"), "paper: wanted johnson2016, dumoulin2017, huang2017, ")
    assert_refused(run("johnson"), "got 'johnson'; did you mean johnson2016?")
    told = run(*JOHNSON, "--preset", "papr")
    assert_refused(told, "got 'papr'; did you mean paper?")


# A run from beginning to end ------------------------------------------------------------------


def test_a_run_says_what_it_does(trained):
    _, told = trained
    assert told.status == 0, told.err
    device, plan, result, following = told.out.splitlines()
    assert device.startswith("running on CPU")
    assert plan == (
        "training 28,467 parameters on 4 pictures to paint like wave; "
        "losses of 2 held-out pictures are logged"
    )
    assert re.match(r"run/model.safetensors: 4 steps in \d+ s; on held-out pictures loss ", result)
    assert following == ("next: nst-jax stylize photo.jpg --model run/model.safetensors -o out.png")
    compiling, *steps = [line for line in told.err.splitlines() if "skipped" not in line]
    assert compiling == "preparing for 48x48, once for this size; the first step takes a while"
    assert [line.split()[:2] for line in steps] == [["step", f"{n}/4"] for n in (1, 2, 3, 4)]
    assert re.search(r"step 2/4  loss .* = content .*  \S+ steps/s, 0:00:\d\d left", told.err)


def assert_broken_picture_is_named_once(told):
    (line,) = [line for line in told.err.splitlines() if "broken.jpg" in line]
    assert line.startswith("warning: skipped 'photos/broken.jpg': cannot read")


def test_a_broken_picture_is_named_once_and_left_out(trained):
    assert_broken_picture_is_named_once(trained[1])


def test_the_model_knows_where_it_comes_from(trained):
    folder, _ = trained
    model = stylizers.load_model(folder / "run/model.safetensors")
    assert model.architecture == "johnson2016"
    assert model.network == JohnsonNetwork(width=4, normalization="instance", output="vgg")
    assert model.styles == ("wave",)
    card = model.card
    assert (card["paper"], card["preset"], card["steps"], card["seed"]) == (
        "johnson2016",
        "smoke",
        4,
        0,
    )
    assert card["config"]["weights"] == "vgg16-lpips"
    assert card["config"]["width"] == 4
    assert card["data"]["content"]["count"] == 4
    style = {"name": "wave", "sha256": files.sha256_of(folder / "wave.png")}
    assert card["data"]["styles"] == {"0": style}
    assert len(card["data"]["encoder"]) == 64
    assert 0 < card["seconds"] < 600
    losses = card["held_out_losses"]
    assert losses["total"] == pytest.approx(losses["content"] + losses["style"] + losses["tv"])
    assert card["versions"]["nst_jax"] == nst_jax.__version__
    assert card["device"] == "cpu"
    words = shlex.split(card["command"])
    assert words == ["nst-jax", "train", *JOHNSON, *SMOKE, "--held-out-dir", "held"]


def test_the_record_and_the_logs(trained):
    folder, _ = trained
    record = json.loads((folder / "run/record.json").read_text())
    assert set(record) == {"command", "config", "versions", "device", "seconds", "steps", "info"}
    assert set(record["seconds"]) == {"compile", "run"}
    assert min(record["seconds"].values()) > 0
    card = stylizers.load_model(folder / "run/model.safetensors").card
    for name in ("command", "config", "versions", "device"):
        assert record[name] == card[name]
    assert record["info"]["held_out_losses"] == card["held_out_losses"]
    assert record["info"]["styles"] == ["wave"]
    assert record["info"]["weights"]["source_sha256"].startswith("2ecbe4ce")
    names = {path.name for path in (folder / "run").iterdir()}
    assert names == {
        "checkpoints",
        "metrics.jsonl",
        "model.safetensors",
        "record.json",
        "samples",
        "tensorboard",
    }
    sheet = PIL.Image.open(folder / "run/samples/step_000004.jpg")
    assert sheet.size == (2 * 48 + 2, 48)  # the two of held/ beside each other


def test_the_model_paints(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    command = trained[1].out.splitlines()[-1].removeprefix("next: nst-jax ")
    shutil.copy("photos/0.png", "photo.jpg")
    assert main(shlex.split(command)) == 0
    assert PIL.Image.open("out.png").size == (68, 52)


@pytest.mark.slow
def test_a_finished_run_is_left_as_it_is(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    words = (*JOHNSON, *SMOKE, "--held-out-dir", "held")
    results = [Path("run", name) for name in ("model.safetensors", "record.json", "metrics.jsonl")]
    before, model = [path.stat().st_mtime_ns for path in results], arrays("run")

    told = run(*words)

    assert told.status == 0
    line, following = told.out.splitlines()
    assert line == "run is finished: nothing to train"
    assert following.startswith("next: nst-jax stylize")
    assert [path.stat().st_mtime_ns for path in results] == before

    # Killed between the last checkpoint and the results.
    for path in results[:2]:
        path.unlink()
    told = run(*words, "--quiet")
    assert (told.status, told.out, "step" in told.err) == (0, "", False)
    assert_same(arrays("run"), model)
    assert results[1].exists()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (("--style-weight", "9"), "config.style_weight 6.0, this one has 9.0"),
        (("--style", "line.png"), 'data.styles.0.name "wave", this one has "line"'),
        (("--content-dir", "held"), "data.content.count 4, this one has 2"),
    ],
)
def test_other_settings_and_data_are_refused(trained, monkeypatch, changed, complaint):
    monkeypatch.chdir(trained[0])
    words = [*JOHNSON, *SMOKE, "--quiet"]
    if changed[0] in words:
        place = words.index(changed[0])
        words[place : place + 2] = []

    told = run(*words, *changed)

    assert told.status == 2
    assert told.err.splitlines()[-1].startswith("error: workdir: 'run' holds a run with ")
    assert complaint in told.err


@pytest.mark.slow
def test_a_stopped_run_goes_on_by_itself(trained, here, monkeypatch):
    monkeypatch.setattr(cli_train, "follow_training", press_ctrl_c(at_step=1))
    shutil.copy(trained[0] / "photos/broken.jpg", "photos/broken.jpg")
    words = (*JOHNSON, *SMOKE[:2], "--held-out-dir", "held")

    told = run(*words, "--save-every", "0", "--quiet")

    (*_, last) = told.err.splitlines()
    stopped = re.fullmatch(r"stopped after step (\d) of 4; the same command goes on", last)
    assert stopped is not None, told.err
    assert told.status == 130
    assert not Path("run/model.safetensors").exists()
    monkeypatch.undo()
    monkeypatch.chdir(here)
    told = run(*words)
    assert told.status == 0, told.err
    assert f"going on after step {stopped[1]} of 4" in told.out.splitlines()
    assert f"step {stopped[1]}/4" not in told.err
    assert_same(arrays("run"), arrays(str(trained[0] / "run")))


@pytest.mark.slow
def test_a_diverging_run_is_told_on_one_line(trained, here):
    shutil.copytree(trained[0], here, dirs_exist_ok=True)
    for result in ("model.safetensors", "record.json", "checkpoints/step_000004/run.json"):
        Path("run", result).unlink()
    shutil.rmtree("run/checkpoints/step_000004")
    # As if the first steps had had losses of almost nothing.
    saved = Path("run/checkpoints/step_000003/run.json")
    extra = json.loads(saved.read_text())
    extra["extra"]["first_totals"] = [1e-3]
    saved.write_text(json.dumps(extra))

    told = run(*JOHNSON, *SMOKE, "--held-out-dir", "held", "--quiet")

    assert told.status == 1
    assert told.out == ""
    (line,) = [line for line in told.err.splitlines() if "skipped" not in line]
    assert re.fullmatch(
        r"error: The loss became .* at step 4\. The checkpoint 'run/checkpoints/step_000003' "
        r"stays; try a lower learning rate or gradient clipping, in another workdir\.",
        line,
    )
    assert not Path("run/model.safetensors").exists()


@pytest.mark.slow
def test_a_rate_far_too_high_is_told_before_a_model_is_written(here):
    told = run(*JOHNSON, *SMOKE, "--quiet", "--learning-rate", "1e12")
    assert (told.status, told.out) == (1, "")
    assert told.err == (
        "error: A parameter became 1e+12 at step 1. There is no checkpoint yet; try a lower "
        "learning rate or gradient clipping, in another workdir.\n"
    )


@pytest.mark.slow
def test_paths_that_are_not_utf_8(here):
    """As old archives have them: the byte 0xE9, and nothing else, for an accented letter."""
    name = os.fsdecode(b"caf\xe9")
    Path("photos").rename(name)
    Path(name, "0.png").rename(Path(name, f"{name}.png"))
    words = [*replaced(JOHNSON, ["--content-dir", name]), *SMOKE]
    told = run(*words)
    assert told.status == 0, told.err
    card = stylizers.load_model("run/model.safetensors").card
    assert shlex.split(card["command"])[2:] == words
    told = run(*replaced(words, ["--workdir", f"{name} 2"]))
    assert_refused(told, "workdir: wanted a path in UTF-8")


def test_a_training_without_a_standard_output(here, monkeypatch):
    monkeypatch.setattr(cli_train.training, "run", lambda job, **callbacks: finished(job))
    monkeypatch.setattr("sys.stdout", None)  # as `>&-` leaves it
    assert main(["train", *JOHNSON, *SMOKE]) == 0


def finished(job):
    return training.Trained(None, {}, 4, 4, {"total": 1.0}, Path("m"), {"seconds": 1.0}, True)


def test_divergence_is_a_failure_that_says_all():
    error = TrainingDivergedError("It came apart.", step=3, checkpoint=None)
    assert (exit_status(error), one_line(error)) == (1, "It came apart.")


def test_the_runs_own_samples_are_no_training_pictures(here):
    Path("photos/run/samples").mkdir(parents=True)
    shutil.copy("wave.png", "photos/run/samples/step_000001.png")
    words = [*JOHNSON[:-1], "photos/run", *SMOKE]
    job = make_job(*words)

    found = find_pictures(job, make_plan(job))

    assert [path.name for path in found.content] == ["0.png", "1.png", "2.png"]
    assert np.shape(found.held_out) == (3, 48, 48, 3)


# Several styles -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder in which a network of two styles was trained and then taught a third."""
    folder = tmp_path_factory.mktemp("many")
    with contextlib.chdir(folder), jax.numpy_dtype_promotion("standard"):
        make_pictures()
        Path("photos/broken.jpg").write_text("no picture")
        first = run(*DUMOULIN, *SMOKE)
        second = run(*ADD, *SMOKE, "--model", "many/model.safetensors")
    return folder, first, second


@pytest.mark.slow
def test_several_styles_in_one_network(many):
    folder, told, _ = many
    assert told.status == 0, told.err
    assert_broken_picture_is_named_once(told)  # which is among the held-out pictures too
    model = stylizers.load_model(folder / "many/model.safetensors")
    assert model.network == DumoulinNetwork(num_styles=2, width=4)
    assert model.styles == ("wave", "line")
    assert [entry["name"] for entry in model.card["data"]["styles"].values()] == ["wave", "line"]
    assert "to paint like wave, line; losses of 3 training pictures" in told.out
    assert told.out.splitlines()[-1] == (
        "next: nst-jax stylize photo.jpg --style wave --model many/model.safetensors -o out.png"
    )
    sheet = PIL.Image.open(folder / "many/samples/step_000004.jpg")
    assert sheet.size == (3 * 32 + 2 * 2, 2 * 32 + 2)  # three pictures in two styles


@pytest.mark.slow
def test_one_more_style_trains_its_own_arrays_alone(many):
    folder, _, told = many
    assert told.status == 0, told.err
    before, after = arrays(str(folder / "many")), arrays(str(folder / "more"))
    assert before.keys() == after.keys()
    moved = 0
    for name, array in after.items():
        if "_norm" not in name:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
            continue
        assert array.shape == (3, *before[name].shape[1:])
        np.testing.assert_array_equal(array[:2], before[name], err_msg=name)
        moved += bool((array[2] != array[:2].astype(np.float32).mean(0).astype(np.float16)).any())
    assert moved > 20
    model = stylizers.load_model(folder / "more/model.safetensors")
    assert model.styles == ("wave", "line", "new")
    assert model.card["data"]["model"] == files.sha256_of(folder / "many/model.safetensors")
    base = stylizers.load_model(folder / "many/model.safetensors").card
    assert model.card["base"] == base
    assert "training 406 of 29,285 parameters on 4 pictures to paint like new;" in told.out
    assert told.out.splitlines()[-1].endswith(
        "--style new --model more/model.safetensors -o out.png"
    )


@pytest.mark.slow
def test_a_network_begins_with_anothers_parameters(trained, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(folder)
    # So short a step that the parameters stay where they began, in float16.
    words = (
        *JOHNSON,
        *SMOKE,
        "--num-steps",
        "1",
        "--learning-rate",
        "1e-12",
        "--workdir",
        "second",
    )
    told = run(*words, "--start-from", "run/model.safetensors")
    assert told.status == 0, told.err
    assert_same(arrays("second"), arrays("run"))
    first, second = (
        stylizers.load_model(f"{name}/model.safetensors") for name in ("run", "second")
    )
    assert second.card["data"]["model"] == files.sha256_of("run/model.safetensors")
    assert second.card["base"] == first.card
    # Without it, or with another, it is another run.
    told = run(*words)
    assert told.status == 2
    assert "holds a run with data.model" in told.err


def test_a_folder_of_paintings(here):
    Path("paintings").mkdir()
    for name in ("line.png", "new.png"):
        shutil.copy(name, "paintings")
    words = [*DUMOULIN, *SMOKE, "--style-dir", "paintings", "--style", "wave.png"]
    del words[words.index("--style") : words.index("--workdir")]

    plan = make_plan(make_job(*words))

    assert plan.styles == ("wave", "line", "new")
    assert plan.paintings["new"] == Path("paintings/new.png")


# What goes wrong ------------------------------------------------------------------------------


def zeros(network: Any, *shapes: tuple[int, ...]) -> Any:
    """Variables of a network that takes pictures and arrays of these shapes."""
    inputs = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((1, 44, 44, 3), *shapes)]
    found = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), found)


@functools.cache
def networks() -> tuple[Any, ...]:
    """A network of one style and its variables, and one of two."""
    one, two = JohnsonNetwork(width=1), DumoulinNetwork(num_styles=2, width=1)
    return one, zeros(one), two, zeros(two, (1, 2))


def bad_files() -> None:
    Path("empty").mkdir()
    Path("text").mkdir()
    Path("text/photo.jpg").write_text("no picture")
    Path("taken").write_text("a letter")
    Path("other").mkdir()
    shutil.copy("new.png", "other/wave.png")
    shutil.copy("new.png", "all.png")
    Path("junk.safetensors").write_text("junk")
    one, of_one, two, of_two = networks()
    stylizers.save_model("one.safetensors", one, of_one, styles=["x"], card={})
    Path("base").mkdir()
    styles = ["wave", "line"]
    stylizers.save_model("base/model.safetensors", two, of_two, styles=styles, card={})


J, D = "johnson2016", "dumoulin2017"
BASE = "--model base/model.safetensors"
# A paper, words that take the place of those before of the same name, and the complaint.
BAD_INPUTS = {
    "missing photographs": (J, "--content-dir none", "cannot list 'none': No such file"),
    "no photographs": (J, "--content-dir empty", "no pictures in 'empty'; put files there"),
    "one folder empty of two": (J, "--content-dir photos empty", "no pictures in 'empty'"),
    "no folder": (J, "--content-dir", "content_dir: wanted folders with photographs"),
    "text for photographs": (J, "--content-dir text", "none of the 1 pictures can be read"),
    "missing held-out": (J, "--held-out-dir none", "cannot list 'none'"),
    "missing style": (J, "--style none.png", "cannot read 'none.png': No such file"),
    "text for a style": (J, "--style text/photo.jpg", "cannot read 'text/photo.jpg': not a JPEG"),
    "two styles": (J, "--style wave.png line.png", "style: wanted one painting, got 2; nst-jax"),
    "no style": (J, "--style", "style: wanted one painting, got 0"),
    "a style that is every style": (J, "--style all.png", "none of them 'all'"),
    "unknown preset": (J, "--preset best", "preset: wanted paper, authors, cpu, smoke, got 'best'"),
    "small": (J, "--size 10", "size: wanted a multiple of 4 from 44 on, got 10"),
    "odd size": (J, "--size 50", "size: wanted a multiple of 4 from 44 on, got 50"),
    "small style": (J, "--style-size 15", "style_size: wanted 16 or more"),
    "style too thin": (J, "--style-size 18", "size 18 makes 'wave.png' 18x14 pixels"),
    "negative style": (J, "--style-weight -1", "style_weight: wanted a finite number, 0 or more"),
    "negative content": (J, "--content-weight -1", "content_weight: wanted a finite number"),
    "infinite tv": (J, "--tv-weight inf", "tv_weight: wanted a finite number"),
    "no rate": (J, "--learning-rate 0", "learning_rate: wanted a finite number above 0"),
    "negative norm": (J, "--clip-norm -1", "clip_norm: wanted a finite number above 0"),
    "starting from another paper": (
        J,
        "--start-from base/model.safetensors",
        "got 'base/model.safetensors', a network of dumoulin2017 with {'num_styles': 2, 'width': 1",
    ),
    "starting from another width": (J, "--start-from one.safetensors", "wanted a network of john"),
    "starting from the run's own": (
        J,
        "--start-from base/model.safetensors --workdir base",
        "workdir: wanted a folder other than that of the model",
    ),
    "starting from junk": (J, "--start-from junk.safetensors", "cannot read 'junk.safetensors'"),
    "no steps": (J, "--num-steps 0", "num_steps: wanted 1 or more, got 0"),
    "no batch": (J, "--batch-size 0", "batch_size: wanted 1 or more"),
    "negative seed": (J, "--seed -1", "seed: wanted 0 to 4294967295, got -1"),
    "too wide to be saved": (J, "--width 300", "width: wanted a whole number from 1 to 256"),
    "negative saving": (J, "--save-every -1", "save_every: wanted 0 or more steps, got -1"),
    "negative reports": (J, "--report-every -1", "report_every: wanted 0 or more steps, got -1"),
    "workdir a file": (J, "--workdir taken", "cannot use workdir 'taken': File exists"),
    "workdir in a file": (J, "--workdir taken/run", "cannot use workdir 'taken/run': Not a"),
    "no such weights": (J, "--weights vgg99", "vgg99 is neither a file nor one of"),
    "VGG-19 not here": (J, "--encoder vgg19", "VGG-19 has no weights on this machine"),
    "weights of the other": (
        J,
        "--encoder vgg16 --weights vgg19-keras",
        "vgg19-keras are of vgg19, wanted vgg16",
    ),
    "junk for weights": (J, "--weights junk.safetensors", "cannot read 'junk.safetensors'"),
    "no styles": (D, "--style", "style: wanted at least one painting, got none"),
    "missing paintings": (D, "--style-dir none", "cannot list 'none'"),
    "one name twice": (
        D,
        "--style wave.png other/wave.png",
        "got 'wave.png' and 'other/wave.png'; rename one",
    ),
    "a model without a new style": (D, BASE, "model: wanted with --add-style only"),
    "nothing to add to": (D, "--add-style new.png", "add_style: wanted with --model"),
    "adding and training": (D, f"--add-style new.png {BASE}", "wanted without --style, "),
    "adding to two networks": (
        D,
        f"--style --add-style new.png {BASE} --start-from {BASE.split()[1]}",
        "wanted without --style, --style-dir, --width and --start-from",
    ),
    "another width": (
        D,
        f"--style --add-style new.png {BASE} --width 4",
        "width: wanted without --add",
    ),
    "adding text": (D, f"--style --add-style text/photo.jpg {BASE}", "cannot read 'text/photo"),
    "a name that is there": (
        D,
        f"--style --add-style wave.png {BASE}",
        "add_style: wanted a new name, got 'wave', which 'base/model.safetensors' has",
    ),
    "a network of one style": (
        D,
        "--style --add-style new.png --model one.safetensors",
        "model: wanted a network of dumoulin2017, got 'one.safetensors' of johnson2016",
    ),
    "a missing model": (
        D,
        "--style --add-style new.png --model none.safetensors",
        "cannot read 'none.safetensors'",
    ),
    "an unknown model": (D, "--style --add-style new.png --model monet", "model: wanted "),
    "a junk model": (
        D,
        "--style --add-style new.png --model junk.safetensors",
        "cannot read 'junk.safetensors'",
    ),
    "the model's own folder": (
        D,
        f"--style --add-style new.png {BASE} --workdir base",
        "workdir: wanted a folder other than that of the model",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_told_on_one_line_before_any_work(here, case):
    bad_files()
    before = sorted(Path().rglob("*"))
    paper, text, wanted = BAD_INPUTS[case]
    words = [*(JOHNSON if paper == J else DUMOULIN), *SMOKE]
    assert_refused(run(*replaced(words, shlex.split(text))), wanted)
    assert sorted(Path().rglob("*")) == before, "a refused run leaves nothing behind"


# Progress -------------------------------------------------------------------------------------


def report(step: int) -> Report:
    return Report(step, 3.0, {"content": 1.0, "style": 2.0, "tv": 0.0})


def test_progress_without_a_terminal_is_a_few_lines(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with follow_training(8000, size=160, first_step=1000) as on_step:
        for step in range(1001, 8001):
            now[0] += 0.5
            on_step(report(step))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "preparing for 160x160, once for this size; the first step takes a while"
    assert "step 2000/8000  loss 3 = content 1 + style 2  2 steps/s, 0:50:00 left" in lines
    assert lines[-1] == "step 8000/8000  loss 3 = content 1 + style 2  2 steps/s, 0:00:00 left"
    assert len(lines) == 1 + 18  # every 400 steps


def test_a_slow_run_is_heard_of_every_five_minutes(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with follow_training(100_000, size=256) as on_step:
        for step in range(1, 31):
            now[0] += 60.0
            on_step(report(step))

    lines = capsys.readouterr().err.splitlines()[1:]
    assert [line.split()[1] for line in lines] == [f"{n}/100000" for n in range(5, 31, 5)]
    assert lines[0].endswith("  0.0167 steps/s, 69 days, 10:35:00 left")


def test_progress_on_a_terminal_is_a_bar_with_the_rate(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich take anything for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    with follow_training(8, size=48) as on_step:
        for step in range(1, 9):
            on_step(report(step))

    text = capsys.readouterr().err
    assert "8/8" in text
    assert "steps/s" in text
    assert "loss 3" in text
    assert "content" not in text

    with follow_training(8, size=48, verbose=True) as on_step:
        on_step(report(1))
    assert "step 1/8  loss 3 = content 1 + style 2" in capsys.readouterr().err


def test_quiet_progress_is_none(capsys):
    with follow_training(8, size=48, quiet=True) as on_step:
        on_step(report(1))
    assert capsys.readouterr() == ("", "")
