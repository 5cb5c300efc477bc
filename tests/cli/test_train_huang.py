"""nst-jax train huang2017: what sets it apart from the other papers' trainings."""

import contextlib
import dataclasses
import json
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

from nst_jax import files, stylizers
from nst_jax.cli import main
from nst_jax.cli import train as cli_train
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import describe_weights
from nst_jax.networks.huang import Decoder
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.papers import huang_2017
from nst_jax.progress import follow_training
from nst_jax.runs.report import Report

pytestmark = pytest.mark.usefixtures("lax_promotion")

HUANG = shlex.split("huang2017 --content-dir photos --style-dir paintings --workdir run")
HELD = ("--held-out-dir", "held", "--held-out-style-dir", "held_paintings")
LOST = "loss [0-9.e+]+ = content [0-9.e+]+ \\+ style [0-9.e+]+"


def make_folders() -> None:
    """In the current folder what make_pictures makes, two paintings in folders and one apart."""
    make_pictures()
    for folder, names in (("paintings", "wave line"), ("held_paintings", "new")):
        Path(folder, "below").mkdir(parents=True)
        for name in names.split():
            shutil.copy(f"{name}.png", f"{folder}/below")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A current folder with pictures in it, and no weights fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    make_folders()
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which huang2017 was trained, never stopped."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder), jax.numpy_dtype_promotion("standard"):
        make_folders()
        told = run(*HUANG, *SMOKE, *HELD)
    assert told.status == 0, told.err
    return folder, told


# Options --------------------------------------------------------------------------------------

OPTIONS = {
    "--num-steps 3": {"num_steps": 3},
    "--warm-start-steps 5": {"warm_start_steps": 5},
    "--batch-size 3": {"batch_size": 3},
    "--seed 7": {"seed": 7},
    "--size 40": {"size": 40, "shorter_side": (40, 60)},
    "--content-weight 1.5": {"content_weight": 1.5},
    "--style-weight 2.5": {"style_weight": 2.5},
    "--encoder vgg19": {"encoder": "vgg19", "weights": "vgg19-adain"},
    "--weights vgg16-keras": {"weights": "vgg16-keras"},
    "--weights vgg19-keras": {"weights": "vgg19-keras", "encoder": "vgg19"},
    "--precision bfloat16": {"precision": "bfloat16"},
    "--learning-rate 0.03": {"learning_rate": 0.03},
    "--clip-norm 2": {"clip_norm": 2.0},
}


def config_of(*words: str) -> Any:
    return make_job(*HUANG, *words).config


def test_every_option_changes_its_fields_alone():
    preset = huang_2017.PRESETS["smoke"]
    assert config_of("--preset", "smoke") == preset
    for option, changes in OPTIONS.items():
        assert all(getattr(preset, name) != value for name, value in changes.items()), option
        config = config_of("--preset", "smoke", *option.split())
        assert config == dataclasses.replace(preset, **changes), option


def test_another_encoder_has_the_weights_that_presets_have_for_it():
    assert config_of() == huang_2017.PRESETS["cpu"]
    assert config_of("--preset", "paper", "--encoder", "vgg16").weights == "vgg16-normalized"
    assert config_of("--preset", "paper", "--encoder", "vgg19").weights == "vgg19-adain"


def test_small_batches_have_fewer_identity_pairs():
    """The preset's 2 of 4; never more than half, so that styles are learnt too."""
    pairs = {size: config_of("--batch-size", str(size)).identity_pairs for size in (1, 2, 3, 4, 8)}
    assert pairs == {1: 0, 2: 1, 3: 1, 4: 2, 8: 2}
    assert config_of("--batch-size", "2", "--identity-pairs", "2").identity_pairs == 2


def test_help_tells_every_option_and_no_other(capsys):
    assert main(["train", "--help"]) == 0
    assert "nst-jax train huang2017" in capsys.readouterr().out
    assert main(["train", "huang2017", "--help"]) == 0
    text = capsys.readouterr().out
    told = set(re.findall(r"^[^\w-]*--([a-z][a-z-]*) ", text, re.MULTILINE))
    options = (
        "content-dir style-dir workdir held-out-dir held-out-style-dir preset start-from "
        "save-every report-every time-limit quiet verbose style-layer-weights "
        "identity-layer-weights"
    )
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(huang_2017.Config)}
    assert told == {*options.split(), *fields}
    for name, config in huang_2017.PRESETS.items():
        assert re.search(rf"{name} +{config.num_steps} steps of {config.batch_size} pi", text)


# A run from beginning to end ------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_says_what_it_does(trained):
    _, told = trained
    device, plan, result, following = told.out.splitlines()
    assert device.startswith("running on CPU")
    assert plan == (
        "training 2,915,139 parameters on 3 photographs and 2 paintings to paint like any "
        "painting; losses of 2 pairs of held-out photographs and paintings are logged"
    )
    assert re.fullmatch(
        rf"run/model\.safetensors: 6 steps in \d+ s; on held-out pictures {LOST}", result
    )
    assert following == (
        "next: nst-jax stylize photo.jpg --style painting.jpg --model run/model.safetensors "
        "-o out.png"
    )


@pytest.mark.slow
def test_the_progress_counts_both_stages_through(trained):
    lines = trained[1].err.splitlines()
    assert (
        lines[0]
        == "preparing for 32x32, warm start, once for this size; the first step takes a while"
    )
    assert lines[3] == "preparing for 32x32, once for this size"
    steps = [line for line in lines if line.startswith("step ")]
    assert [line.split()[1] for line in steps] == [f"{n}/6" for n in range(1, 7)]
    assert all("relu3_1" in line for line in steps[:2])
    assert all(re.search(LOST, line) for line in steps[2:])


@pytest.mark.slow
def test_the_model_knows_where_it_comes_from(trained):
    folder, _ = trained
    model = stylizers.load_model(folder / "run/model.safetensors")
    card = model.card
    assert (model.architecture, model.styles) == ("huang2017", ())
    assert (card["paper"], card["preset"], card["steps"]) == ("huang2017", "smoke", 6)
    assert card["config"]["weights"] == "vgg16-normalized"
    assert card["data"]["content"]["count"] == 3
    assert card["data"]["paintings"]["count"] == 2
    weights = describe_weights("vgg16", weights="vgg16-normalized")
    assert card["data"]["encoder"] == weights["arrays_sha256"]
    losses = card["held_out_losses"]
    assert losses["total"] == pytest.approx(losses["content"] + losses["style"])
    record = json.loads((folder / "run/record.json").read_text())
    assert record["command"] == shlex.join(("nst-jax", "train", *HUANG, *SMOKE, *HELD))
    assert record["info"]["held_out_losses"] == losses
    assert record["info"]["weights"]["weights"] == "vgg16-normalized"
    logged = [
        [json.loads(line).get("seconds") for line in path.read_text().splitlines()]
        for path in (folder / "run/metrics.jsonl", folder / "run/warm_start/metrics.jsonl")
    ]
    latest = [max(seconds for seconds in log if seconds is not None) for log in logged]
    assert card["seconds"] == pytest.approx(sum(latest))
    # The two photographs that are held out, each after the painting that is.
    assert PIL.Image.open(folder / "run/samples/step_000004.jpg").size == (2 * 32 + 2, 32)


@pytest.mark.slow
def test_the_model_paints(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    command = trained[1].out.splitlines()[-1].removeprefix("next: nst-jax ")
    shutil.copy("photos/0.png", "photo.jpg")
    shutil.copy("new.png", "painting.jpg")
    assert main(shlex.split(command)) == 0
    assert PIL.Image.open("out.png").size == (68, 52)


@pytest.mark.slow
def test_a_finished_run_is_left_as_it_is(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    results = [Path("run", name) for name in ("model.safetensors", "record.json", "metrics.jsonl")]
    before = [path.stat().st_mtime_ns for path in results]

    told = run(*HUANG, *SMOKE, *HELD)

    assert (told.status, told.err) == (0, "")
    line, following = told.out.splitlines()
    assert line == "run is finished: nothing to train"
    assert following.startswith("next: nst-jax stylize")
    assert [path.stat().st_mtime_ns for path in results] == before


@pytest.mark.slow
def test_a_run_stopped_in_either_stage_goes_on_by_itself(trained, here, monkeypatch):
    words = (*HUANG, *SMOKE, *HELD)
    with monkeypatch.context() as patched:
        patched.setattr(cli_train, "follow_training", press_ctrl_c(at_step=1))
        told = run(*words, "--quiet")
        assert (told.status, told.out) == (130, "")
        assert told.err == "stopped after step 1 of 6; the same command goes on\n"
        assert not Path("run/checkpoints").exists()

        patched.setattr(cli_train, "follow_training", press_ctrl_c(at_step=4))
        told = run(*words)
        assert told.status == 130, told.err
        assert told.out.splitlines()[-1] == "going on after step 1 of 6"
        assert told.err == "stopped after step 4 of 6; the same command goes on\n"
        assert not Path("run/model.safetensors").exists()

    told = run(*words)
    assert told.status == 0, told.err
    assert "going on after step 4 of 6" in told.out.splitlines()
    assert [line.split()[1] for line in told.err.splitlines()[1:]] == ["5/6", "6/6"]
    assert "warm start" not in told.err
    assert_same(arrays("run"), arrays(str(trained[0] / "run")))


@pytest.mark.slow
def test_a_start_takes_the_warm_starts_place(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    # So short a step that the parameters stay where they began, in float16; pairs of one.
    changes = "--num-steps 1 --learning-rate 1e-12 --batch-size 1 --seed 4294967295"
    start = ("--start-from", "run/model.safetensors")
    told = run(*HUANG[:-1], "second", *SMOKE, *changes.split(), *start)
    assert told.status == 0, told.err
    assert "losses of 3 pairs of training photographs and paintings" in told.out
    assert "step 1/1" in told.err
    assert_same(arrays("second"), arrays("run"))
    first, second = (stylizers.load_model(f"{n}/model.safetensors") for n in ("run", "second"))
    assert second.card["base"] == first.card
    assert second.card["data"]["model"] == files.sha256_of("run/model.safetensors")
    assert second.card["config"]["warm_start_steps"] == 0
    assert not Path("second/warm_start").exists()
    # Three photographs after two paintings, in rows of three.
    assert PIL.Image.open("second/samples/step_000001.jpg").size == (3 * 32 + 4, 2 * 32 + 2)


# What goes wrong ------------------------------------------------------------------------------

BAD_INPUTS = {
    "no paintings": ("--style-dir", "style_dir: wanted folders with paintings besides the run's"),
    "no photographs": ("--content-dir", "content_dir: wanted folders with photographs besides"),
    "missing paintings": ("--style-dir none", "cannot list 'none': No such file"),
    "text for paintings": ("--style-dir text", "none of the 1 pictures can be read"),
    "missing held-out paintings": ("--held-out-style-dir none", "cannot list 'none'"),
    "missing held-out photographs": ("--held-out-dir none", "cannot list 'none'"),
    "unknown preset": ("--preset best", "preset: wanted paper, authors, pytorch_adain, cpu, smoke"),
    "odd size": ("--size 36", "size: wanted a multiple of 8 from 16 on, got 36"),
    "negative warm start": ("--warm-start-steps -1", "warm_start_steps: wanted 0 or more, got -1"),
    "a warm start of a start": (
        "--warm-start-steps 3 --start-from model.safetensors",
        "warm_start_steps: wanted without --start-from, whose network has had them, got 3",
    ),
    "weights that cannot be named": (
        "--weights mine.safetensors",
        "weights: wanted a name, as the network's file has room for no more, got "
        "'mine.safetensors'; choose from vgg16-lpips, vgg16-normalized, ",
    ),
    "weights of the other": (
        "--encoder vgg16 --weights vgg19-keras",
        "vgg19-keras are of vgg19, wanted vgg16",
    ),
    "the paper's weights not here": (
        "--preset paper",
        "the weights vgg19-adain are not on this machine; run nst-jax weights fetch vgg19-adain",
    ),
    "starting from another paper": (
        "--start-from one.safetensors",
        "start_from: wanted a network of huang2017 with ",
    ),
    "starting from another encoder's": (
        "--start-from model.safetensors --weights vgg16-lpips",
        "start_from: wanted a network around vgg16-lpips, got 'model.safetensors' around other",
    ),
    "starting from the run's own": (
        "--start-from folder/model.safetensors --workdir folder",
        "workdir: wanted a folder other than that of the model",
    ),
}


def save_models() -> None:
    """A network of another paper, and one of this, twice; all zeros."""
    one = JohnsonNetwork(width=1)
    image = jax.ShapeDtypeStruct((1, 44, 44, 3), np.float32)
    of_one = zeros(jax.eval_shape(one.init, jax.random.key(0), image))
    stylizers.save_model("one.safetensors", one, of_one, styles=["x"], card={})
    any_style = huang_2017.make_network(huang_2017.PRESETS["smoke"], VGG("vgg16", TORCHVISION))
    features = jax.ShapeDtypeStruct((1, 2, 2, 512), np.float32)
    decoder = Decoder(architecture="vgg16")
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), features)
    variables = {"params": {"decoder": zeros(shapes["params"])}}
    encoder = describe_weights("vgg16", weights="vgg16-normalized")
    Path("folder").mkdir()
    for path in ("model.safetensors", "folder/model.safetensors"):
        stylizers.save_model(path, any_style, variables, styles=(), card={}, encoder=encoder)


def zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_told_on_one_line_before_any_work(here, case):
    text, wanted = BAD_INPUTS[case]
    Path("text").mkdir()
    Path("text/painting.jpg").write_text("no picture")
    if "--start-from" in text:
        save_models()
    before = sorted(Path().rglob("*"))

    assert_refused(run(*replaced([*HUANG, *SMOKE], shlex.split(text))), wanted)
    assert sorted(Path().rglob("*")) == before, "a refused run leaves nothing behind"


@pytest.mark.parametrize("option", ["--width", "--style-size", "--tv-weight", "--style"])
def test_what_the_paper_has_not_is_no_option(here, option):
    told = run(*HUANG, option, "3")
    assert told.status == 2
    assert "--help" in told.err


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (("--style-weight", "9"), "config.style_weight 1.0, this one has 9.0"),
        (("--style-dir", "held_paintings"), "data.paintings.count 2, this one has 1"),
        (("--warm-start-steps", "3"), "config.warm_start_steps 2, this one has 3"),
    ],
)
@pytest.mark.slow
def test_other_settings_and_data_are_refused(trained, monkeypatch, changed, complaint):
    monkeypatch.chdir(trained[0])
    told = run(*replaced([*HUANG, *SMOKE, *HELD, "--quiet"], list(changed)))
    assert_refused(told, complaint)
    assert "workdir: 'run" in told.err


# Progress -------------------------------------------------------------------------------------


def test_the_time_left_knows_what_the_stages_cost(capsys, monkeypatch):
    """A step of the second takes 7/4 of one of the first; what is compiled between counts not."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with follow_training(2000, size=128, warm_start_steps=1000) as on_step:
        for step in range(1, 2001):
            now[0] += 0.4 if step <= 1000 else 0.7
            now[0] += 50.0 if step in (1, 1001) else 0.0
            on_step(Report(step, 3.0, {"content": 1.0, "style": 2.0}))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("preparing for 128x128, warm start, ")
    losses = "loss 3 = content 1 + style 2"
    assert f"step 500/2000  {losses}  2.5 steps/s, 0:15:00 left" in lines  # 200 s and 700 s
    between = lines.index("preparing for 128x128, once for this size")
    assert lines[between - 1].startswith("step 1000/2000 ")
    assert f"step 1500/2000  {losses}  1.43 steps/s, 0:05:50 left" in lines[between:]
