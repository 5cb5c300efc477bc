"""The command nst-jax: what users type, what they are told, what lies on their disk afterwards."""

import dataclasses
import functools
import http.server
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

import nst_jax
from nst_jax.cli import info, main
from nst_jax.cli.environment import keep_compiled_programs
from nst_jax.cli.optimize_options import Parsed, parse_options
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import asset_path
from nst_jax.jobs.paint import mixing_config
from nst_jax.papers.gatys_2016 import PRESETS, Config, stylize, with_style_loss
from nst_jax.papers.gatys_2017 import mix_scales
from nst_jax.pixels.levels import Level
from nst_jax.progress import follow_steps
from nst_jax.runs.report import Report

# What every run of these tests shares: seconds, not minutes.
SMOKE = ("--preset", "smoke", "--size", "32", "--style-weight", "2")


@pytest.fixture
def pictures(tmp_path, monkeypatch, photograph, painting) -> Path:
    """A current folder with c.png and s.png in it, and no weights fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    nst_jax.save_image("c.png", photograph)
    nst_jax.save_image("s.png", painting)
    return tmp_path


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that has one file, wrong.h5, which is nobody's weights."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/wrong.h5"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"wrong")

        def log_message(self, format, *args):
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def optimize(*options: str, out: str = "out.png") -> int:
    return main(["optimize", "c.png", "s.png", "-o", out, *SMOKE, *options])


@pytest.fixture
def promotion() -> Iterator[None]:
    """JAX as users have it, for Adam: optax raises a float to the power of an integer."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def start_optimize(*options: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "nst_jax", "optimize", "c.png", "s.png", "-o", "out.png"]
    return subprocess.Popen(
        [*words, *SMOKE, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def parse_words(*options: str) -> Parsed:
    return parse_options(["c.png", "s.png", "-o", "out.png", *options])


def parse(*options: str) -> Config:
    return parse_words(*options).job.config


def pixels(path: str) -> np.ndarray:
    return np.asarray(PIL.Image.open(path)).astype(int)


# Every field of Config but encoder: the option, and what the field becomes, unlike smoke's.
FIELDS = {
    "weights": ("--weights vgg16-normalized", "vgg16-normalized"),
    "pooling": ("--pooling average", "average"),
    "size": ("--size 40", 40),
    "style_size": ("--style-size 48", 48),
    "num_steps": ("--num-steps 3", 3),
    "scales": ("--scales 0.75 1 --scale-shares 1 3", [[0.75, 1.0], [1.0, 3.0]]),
    "init": ("--init noise", "noise"),
    "noise_std": ("--noise-std 0.25", 0.25),
    "seed": ("--seed 7", 7),
    "content_layers": (
        "--content-layers relu1_2 conv2_1 --content-layer-weights 0.3 0.6",
        [["relu1_2", 0.3], ["conv2_1", 0.6]],
    ),
    "style_layers": ("--style-layers relu1_1 --style-layer-weights 2", [["relu1_1", 2.0]]),
    "style_blend": ("--style-blend 3", [3.0]),
    "mask_mode": ("--mask-mode inside", "inside"),
    "mask_growth": ("--mask-growth 2", 2),
    "style_loss": ("--style-loss moments", "moments"),
    "color": ("--color histogram", "histogram"),
    "color_when": ("--color-when after", "after"),
    "content_weight": ("--content-weight 1.5", 1.5),
    "style_weight": ("--style-weight 2.5", 2.5),
    "tv_weight": ("--tv-weight 0.5", 0.5),
    "tv_loss": ("--tv-loss half_sum", "half_sum"),
    "optimizer": ("--optimizer adam", "adam"),
    "learning_rate": ("--learning-rate 0.03", 0.03),
    "history": ("--history 7", 7),
    "precision": ("--precision bfloat16", "bfloat16"),
    "remat": ("--remat", True),
}


def as_json(value):
    return json.loads(json.dumps(value))


def test_every_option_reaches_the_run(pictures, promotion):
    options = shlex.split(" ".join(option for option, _ in FIELDS.values()))

    assert optimize(*options, "--record", "r.json") == 0

    config = json.loads(Path("r.json").read_text())["config"]
    assert config == {"encoder": "vgg16"} | {name: value for name, (_, value) in FIELDS.items()}
    assert set(config) == {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_changes_its_field_alone(name):
    option, value = FIELDS[name]
    needed = {"color_when": "color"}.get(name)
    words, preset = shlex.split(option), dataclasses.asdict(PRESETS["smoke"])
    if needed is not None:
        words += shlex.split(FIELDS[needed][0])
        preset[needed] = FIELDS[needed][1]
    assert as_json(preset[name]) != value, "the test wants another value than the preset's"

    config = parse("--preset", "smoke", *words)

    if name == "style_loss":  # which brings layers and a weight
        preset = dataclasses.asdict(with_style_loss(PRESETS["smoke"], "moments"))
    assert as_json(dataclasses.asdict(config)) == as_json(preset | {name: value})


@pytest.mark.parametrize("when", ["before", "after"])
def test_keep_lets_every_pixel_keep_its_hue(when):
    config = parse("--color", "keep", "--color-when", when)
    assert (config.color, config.color_when) == ("luminance", when)
    assert parse("--color", "keep") == parse("--color", "luminance")
    assert parse("--color", "style") == PRESETS["default"]


@pytest.mark.slow
def test_the_fine_texture_of_another_painting_is_mixed_in(pictures):
    nst_jax.save_image("t.png", 1 - nst_jax.load_image("s.png"))
    words = ("--num-steps", "2", "--fine-style", "t.png", "--scale", "1", "--style-size", "48")

    assert optimize(*words, "--record", "r.json") == 0

    (mixing,) = json.loads(Path("r.json").read_text())["info"]["fine_style"]
    assert mixing["config"]["style_layers"] == [["relu1_1", 1.0]]
    assert (mixing["config"]["num_steps"], mixing["config"]["weights"]) == (2, "vgg16-lpips")
    network = load_encoder("vgg16")
    config = mixing_config(parse(), scale=1)
    coarse, fine = (nst_jax.load_image(name, size=48) for name in ("s.png", "t.png"))
    mixed, _ = mix_scales(coarse, fine, dataclasses.replace(config, num_steps=2), *network)
    run = parse(*SMOKE, "--num-steps", "2", "--style-size", "48")
    image, _ = stylize(nst_jax.load_image("c.png", size=32), mixed, run, *network)
    np.testing.assert_allclose(pixels("out.png"), np.rint(image[0] * 255), atol=1)


def test_no_options_are_the_default_preset():
    assert parse() == PRESETS["default"]
    assert parse("--preset", "smoke") == PRESETS["smoke"]


def test_the_pictures_own_size_can_be_kept(pictures):
    assert parse("--size", "original").size is None

    assert optimize("--size", "original", "--num-steps", "1") == 0

    assert PIL.Image.open("out.png").size == (64, 48)


@pytest.mark.parametrize(
    ("options", "encoder", "weights"),
    [
        ("", "vgg16", None),
        ("--encoder vgg19", "vgg19", None),
        ("--weights vgg19-keras", "vgg19", "vgg19-keras"),
        ("--preset paper", "vgg19", "vgg19-normalized"),
        ("--preset paper --encoder vgg19", "vgg19", "vgg19-normalized"),
        ("--preset paper --encoder vgg16", "vgg16", "vgg16-normalized"),
        ("--preset authors --encoder vgg16", "vgg16", None),
        ("--preset johnson_neural_style --encoder vgg16", "vgg16", None),
        ("--preset authors --weights vgg16-lpips", "vgg16", "vgg16-lpips"),
        ("--preset paper --encoder vgg19 --weights f.safetensors", "vgg19", "f.safetensors"),
    ],
)
def test_encoder_and_weights_follow_each_other(options, encoder, weights):
    config = parse(*options.split())

    assert (config.encoder, config.weights) == (encoder, weights)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--preset authors --encoder vgg16", True),
        ("--preset johnson_neural_style --encoder vgg16", True),
        ("--preset authors --encoder vgg16 --style-weight 1e6", False),
        ("--preset authors --weights vgg16-keras", False),
        ("--preset paper --encoder vgg16", False),
        ("--preset paper --weights vgg16-lpips", True),
        ("--style-loss mrf", False),
        ("--style-loss mrf --weights vgg16-keras", True),
        ("--style-loss mrf --weights vgg16-keras --style-weight 2", False),
        ("", False),
    ],
)
def test_loss_weights_for_a_network_of_another_scale_are_pointed_out(options, told):
    assert (parse_words(*options.split()).warning is not None) == told


def test_a_style_loss_brings_its_layers_and_weight_unless_they_are_given():
    patches = parse("--style-loss", "mrf")
    assert patches == with_style_loss(PRESETS["default"], "mrf")
    own = parse("--style-loss", "mrf", "--style-weight", "3", "--style-layers", "relu2_1")
    assert (own.style_weight, own.style_layers) == (3.0, (("relu2_1", 1.0),))
    assert parse("--style-loss", "gram", "--preset", "smoke") == parse("--preset", "smoke")


def test_the_balance_on_a_smaller_scale_is_worked_out():
    given = parse_words("--preset", "johnson_neural_style", "--encoder", "vgg16")

    # 5 · 57.5² and 100 · 57.5⁴: 255 over the mean of 1 / std.
    assert "--content-weight 1.7e+04 --style-weight 1.1e+09" in str(given.warning)


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ("--style-layers relu1_1 relu3_1", (("relu1_1", 0.5), ("relu3_1", 0.5))),
        ("--style-layer-weights 3 4", (("relu1_1", 3.0), ("relu2_1", 4.0))),
        ("--style-layers", ()),
    ],
)
def test_of_layers_and_their_weights_one_list_is_enough(options, layers):
    assert parse("--preset", "smoke", *options.split()).style_layers == layers


def test_a_file_to_begin_with(pictures, painting):
    nst_jax.save_image("mine.png", painting[:, ::-1])
    flipped = np.asarray(nst_jax.load_image("mine.png", size=32))

    assert optimize("--init", "mine.png", "--num-steps", "0") == 0

    # No step: the result is the beginning, brought to the photograph's shape.
    assert pixels("out.png").shape == (24, 32, 3)
    assert np.abs(pixels("out.png").mean((0, 1)) / 255 - flipped.mean((0, 1, 2))).max() < 0.02
    assert np.corrcoef(pixels("out.png").ravel(), np.asarray(shape(flipped)).ravel())[0, 1] > 0.9


def shape(image):
    """Brought to 24 x 32 pixels by Pillow."""
    picture = PIL.Image.fromarray(np.uint8(255 * image[0]))
    return picture.resize((32, 24), PIL.Image.Resampling.BILINEAR)


def test_the_record_is_as_promised(pictures, capsys):
    assert optimize("--num-steps", "6", "--tv-weight", "0.1", "--record", "r.json") == 0

    record = json.loads(Path("r.json").read_text())
    assert set(record) == {"command", "config", "versions", "device", "seconds", "steps", "info"}
    words = shlex.split(record["command"])
    assert words[:5] == ["nst-jax", "optimize", "c.png", "s.png", "-o"]
    assert set(record["seconds"]) == {"compile", "run"}
    assert min(record["seconds"].values()) >= 0
    assert [entry["step"] for entry in record["steps"]] == [1, 2, 3, 4, 5, 6]
    for entry in record["steps"]:
        assert set(entry) == {"step", "total", "content", "style", "tv"}
        parts = entry["content"] + entry["style"] + entry["tv"]
        assert entry["total"] == pytest.approx(parts, rel=1e-5)
    assert record["steps"][-1]["total"] < record["info"]["initial"]["total"]
    assert record["versions"]["nst_jax"] == nst_jax.__version__
    assert record["config"]["weights"] == "vgg16-lpips"
    assert record["info"]["weights"]["source_sha256"].startswith("2ecbe4ce")
    printed = capsys.readouterr()
    assert "out.png: 32x24 pixels in" in printed.out
    assert f"loss {record['steps'][-1]['total']:.3g} = content" in printed.out


def test_two_styles_are_blended(pictures):
    nst_jax.save_image("t.png", 1 - nst_jax.load_image("s.png"))

    def run(out: str, *styles_and_options: str) -> np.ndarray:
        assert main(["optimize", "c.png", *styles_and_options, *SMOKE, "-o", out]) == 0
        return pixels(out)

    first = run("first.png", "s.png")
    only_first = run("only_first.png", "s.png", "t.png", "--style-blend", "5", "0")
    both = run("both.png", "s.png", "t.png")
    assert np.array_equal(first, only_first)
    assert not np.array_equal(first, both)


def save_mask(path: str, mask: np.ndarray) -> None:
    """Half a picture in white, or what else is given from 0 to 1."""
    PIL.Image.fromarray(np.uint8(np.rint(255 * mask))).save(path)


def test_each_part_is_painted_after_its_own_painting(pictures, painting):
    nst_jax.save_image("t.png", painting[:, ::-1, :, ::-1])
    upper = np.zeros((48, 64))
    upper[:20] = 1
    save_mask("upper.png", upper)
    save_mask("lower.png", 1 - upper)
    colours = np.where(upper[..., None] == 1, [0.0, 0.5, 1.0], [1.0, 0.0, 0.0])
    save_mask("colours.png", colours)
    save_mask("part.png", np.tile(np.arange(56) < 30, (40, 1)))
    words = ("--preset", "smoke", "--size", "32", "--num-steps", "2", "--quiet")

    def paint(out, *more):
        assert main(["optimize", "c.png", "s.png", "t.png", "-o", out, *words, *more]) == 0
        return pixels(out)

    alone = paint("alone.png", "--mask", "upper.png", "--record", "r.json")
    np.testing.assert_array_equal(paint("two.png", "--mask", "upper.png", "lower.png"), alone)
    np.testing.assert_array_equal(paint("colours.png.png", "--mask", "colours.png"), alone)
    assert np.abs(paint("turned.png", "--mask", "lower.png", "upper.png") - alone).max() > 2
    part = paint("part.png.png", "--mask", "upper.png", "--style-mask", "part.png", "whole")
    assert np.abs(part - alone).max() > 2

    told = json.loads(Path("r.json").read_text())["info"]["guidance"]
    assert told["regions"] == [pytest.approx(20 / 48, abs=1e-4), pytest.approx(28 / 48, abs=1e-4)]
    assert (told["masks"], told["mode"], told["skipped"]) == (["upper.png"], "simple", [])


def bad_files() -> None:
    save_mask("half.png", np.tile(np.arange(64) < 32, (48, 1)))
    save_mask("black.png", np.zeros((48, 64)))
    save_mask("square.png", np.ones((48, 48)))
    Path("folder").mkdir()
    Path("text.png").write_text("no picture")
    Path("there.png").write_bytes(Path("c.png").read_bytes())
    Path("there.json").write_text("{}")
    Path("file").write_text("")
    Path("junk.safetensors").write_text("junk")
    PIL.Image.new("RGB", (15, 40)).save("thin.png")


# After c.png s.png -o out.png and SMOKE, unless the line begins with its own pictures.
BAD_INPUTS = {
    "missing content": ("none.png s.png", "cannot read 'none.png': No such file"),
    "missing style": ("c.png none.png", "cannot read 'none.png'"),
    "one bad style of two": ("c.png s.png none.png", "cannot read 'none.png'"),
    "no style": ("c.png", "style: wanted a painting after the photo"),
    "content a folder": ("folder s.png", "cannot read 'folder': it is a folder"),
    "text": ("text.png s.png", "cannot read 'text.png': not a JPEG, PNG"),
    "thin": ("thin.png s.png", "cannot use 'thin.png': it is 15x40 pixels"),
    "no such layer": ("--style-layers relu9_9", "layers: no layer called 'relu9_9' in vgg16"),
    "layer of the other network": ("--content-layers relu4_4", "no layer called 'relu4_4'"),
    "no layers": ("--style-layers --content-layers", "style_layers: wanted at least one layer"),
    "layer named twice": ("--style-layers relu1_1 relu1_1", "style_layers: wanted each once"),
    "unequal layers": (
        "--content-layers relu1_1 relu2_1 --content-layer-weights 1",
        "content_layer_weights: wanted 2, one for each of content_layers (relu1_1 relu2_1), got 1",
    ),
    "unequal weights alone": ("--style-layer-weights 1 2 3", "style_layer_weights: wanted 2"),
    "negative layer weight": ("--style-layer-weights -1 1", "style_layers: wanted finite weights"),
    "negative share": ("--scales 0.5 1 --scale-shares -1 2", "scales: wanted"),
    "NaN share": ("--scales 0.5 1 --scale-shares nan 2", "scales: wanted finite weights"),
    "NaN blend": ("--style-blend nan", "style_blend: wanted finite weights"),
    "large seed": ("--seed 99999999999999999999", "seed: wanted 0 to 4294967295"),
    "unequal scales": ("--scales 0.5 1 --scale-shares 1", "scale_shares: wanted 2"),
    "falling scales": ("--scales 1 0.5", "scales: wanted rising factors"),
    "unknown preset": ("--preset gatys", "preset: wanted default, paper"),
    "blend of wrong length": (
        "--style-blend 1 2",
        "style_blend: wanted a weight for each style, 1",
    ),
    "negative blend": ("--style-blend -1", "style_blend: wanted finite weights, 0 or more"),
    "small size": ("--size 8", "size: wanted 16 pixels or more, got 8"),
    "size too small for the shape": ("--size 20", "size 20 makes 'c.png' 20x15 pixels"),
    "small style size": ("--style-size 8", "style_size: wanted 16 or more"),
    "negative weight": ("--style-weight -1", "style_weight: wanted a finite number, 0 or more"),
    "infinite weight": ("--content-weight inf", "content_weight: wanted a finite number"),
    "NaN learning rate": ("--learning-rate nan", "learning_rate: wanted a number above 0"),
    "no history": ("--history 0", "history: wanted 1 to 10000"),
    "negative steps": ("--num-steps -1", "num_steps: wanted 0 to 2147483647"),
    "negative save": ("--save-every -5", "save_every: wanted 0 or more"),
    "remat with line search": ("--remat --optimizer lbfgs_zoom", "remat: wanted optimizer lbfgs"),
    "colours changed when, and not how": ("--color-when after", "color_when: wanted with --color"),
    "scale of nothing": ("--scale 2", "scale: wanted with --fine-style FILE"),
    "large scale": ("--fine-style s.png --scale 9", "scale: wanted 1 to 5 layers, got 9"),
    "missing fine style": ("--fine-style none.png", "cannot read 'none.png'"),
    "no such start": ("--init painting", "init: wanted content, noise, style or a picture"),
    "start from text": ("--init text.png", "cannot read 'text.png'"),
    "unknown extension": ("-o out.xyz", "cannot write 'out.xyz': extension '.xyz' is not known"),
    "no extension": ("-o out", "cannot write 'out': extension ''"),
    "missing folder": ("-o none/out.png", "cannot write 'none/out.png'"),
    "folder a file": ("-o text.png/out.png", "cannot write 'text.png/out.png': Not a directory"),
    "output the photograph": ("-o c.png --overwrite", "'c.png' is one of the pictures that it is"),
    "output the painting": ("-o s.png --overwrite", "'s.png' is one of the pictures that it is"),
    "a name too long": (f"-o {'n' * 300}.png", "File name too long; choose a shorter one"),
    "a name too long with its state": (
        f"-o {'n' * 250}.png",
        "its name is too long, since 6 letters more name its unfinished state",
    ),
    "a record's name too long": (f"--record {'n' * 300}.json", "File name too long"),
    "misspelt picture": (
        "c.pgn s.png",
        "cannot read 'c.pgn': No such file or directory; did you mean 'c.png'?",
    ),
    "existing output": ("-o there.png", "'there.png' exists; choose another name"),
    "existing record": ("--record there.json", "'there.json' exists"),
    "record not json": ("--record r.txt", "cannot write 'r.txt': extension '.txt'"),
    "record in no folder": ("--record none/r.json", "cannot write 'none/r.json'"),
    "VGG-19 not here": (
        "--encoder vgg19",
        "VGG-19 has no weights on this machine; get them once with pip install h5py && "
        "nst-jax weights fetch vgg19-keras, or use VGG-16 (--encoder vgg16)",
    ),
    "a preset's VGG-19 not here": (
        "--preset paper --size 32",
        "the weights vgg19-normalized are not on this machine; run nst-jax weights fetch "
        "vgg19-normalized, or use VGG-16 (--encoder vgg16)",
    ),
    "no such weights": ("--encoder vgg16 --weights vgg99", "vgg99 is neither a file nor one of"),
    "weights of the other network": (
        "--encoder vgg16 --weights vgg19-keras",
        "vgg19-keras are of vgg19, wanted vgg16",
    ),
    "masks and a blend": ("--mask half.png --style-blend 1", "mask: wanted without --style-blend"),
    "too many masks": ("--mask half.png half.png", "mask: wanted 1, one for each style"),
    "too few masks": (
        "c.png s.png s.png s.png --mask half.png",
        "mask: wanted a flat colour for each of 3 styles in 'half.png', or one mask for each "
        "style; got 2 colours: #ffffff (50.0%), #000000 (50.0%)",
    ),
    "an empty mask": ("--mask black.png", "mask: number 1 is empty"),
    "nothing left": (
        "c.png s.png s.png --mask square.png",
        "mask: those given leave no place for the last style",
    ),
    "a mask of another shape": (
        "--mask square.png",
        "mask: 'square.png': wanted the picture's proportions, 32 to 24, got 48 by 48 pixels",
    ),
    "masks of two sizes": ("c.png s.png s.png --mask half.png square.png", "masks of one size"),
    "a missing mask": ("--mask none.png", "cannot read 'none.png'"),
    "style masks too many": ("--style-mask half.png whole", "style_mask: wanted 1, one for each"),
    "a style mask of another shape": (
        "--style-mask square.png",
        "style_mask: 'square.png': wanted the picture's proportions",
    ),
    "an empty style mask": ("--style-mask black.png", "style_mask: 'black.png': number 1 is empty"),
    "no such mode": ("--mask-growth 99", "mask_growth: wanted -64 to 64, got 99"),
    "junk weights": ("--weights junk.safetensors", "cannot read 'junk.safetensors'"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_told_on_one_line(pictures, capsys, case):
    bad_files()
    before = sorted(Path().rglob("*"))
    text, wanted = BAD_INPUTS[case]
    words = shlex.split(text)
    pictures_given = [] if not words[0].startswith("-") else ["c.png", "s.png"]
    output = [] if "-o" in words else ["-o", "out.png"]
    defaults = zip(SMOKE[::2], SMOKE[1::2], strict=True)
    smoke = [w for name, value in defaults if name not in words for w in (name, value)]

    status = main(["optimize", *pictures_given, *words, *output, *smoke, "--quiet"])

    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith("error: ")
    assert wanted in printed.err
    assert sorted(Path().rglob("*")) == before, "a failed run leaves nothing behind"


@pytest.mark.parametrize(
    "words",
    [
        ["paint"],
        ["optimize"],
        ["optimize", "c.png", "s.png"],
        ["optimize", "c.png", "s.png", "-o", "out.png", "--pooling", "median"],
        ["optimize", "c.png", "s.png", "-o", "out.png", "--size", "large"],
        ["optimize", "c.png", "s.png", "-o", "out.png", "--sise", "64"],
        ["weights", "steal"],
    ],
)
def test_words_that_make_no_sense_are_bad_input(pictures, capsys, words):
    assert main(words) == 2

    printed = capsys.readouterr()
    assert "--help" in printed.err
    assert "Traceback" not in printed.err


def test_overwriting_must_be_said(pictures, capsys):
    Path("out.png").write_text("precious")

    assert optimize() == 2
    assert Path("out.png").read_text() == "precious"

    assert optimize("--overwrite", "--quiet") == 0
    assert pixels("out.png").shape == (24, 32, 3)


def test_quiet_is_quiet(pictures, capsys):
    assert optimize("--quiet") == 0

    assert capsys.readouterr() == ("", "")


# Large enough for two sizes, so that a kill may fall before or after the change.
LONG = ("--size", "128", "--num-steps", "40")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_picture(pictures, capsys):
    assert optimize(*LONG, out="whole.png") == 0
    state, preview = (Path("out.png.state") / name for name in ("state.safetensors", "preview.png"))
    for _ in range(2):
        before = state.stat().st_mtime_ns if state.exists() else None
        process = start_optimize(*LONG, "--save-every", "1", *(["--resume"] if before else []))
        wait_for(preview, process)
        while state.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert not Path("out.png").exists()
    assert pixels(str(preview)).shape[2] == 3
    capsys.readouterr()

    # State left behind is neither lost nor silently taken.
    assert optimize(*LONG) == 2
    assert "add --resume to go on with it, or delete the folder" in capsys.readouterr().err
    # Nor taken for that of another run.
    assert optimize(*LONG, "--resume", "--seed", "5") == 2
    assert "resume: the saved run had seed 0, this one has 5" in capsys.readouterr().err

    assert optimize(*LONG, "--resume", "--record", "r.json") == 0
    assert "going on after step" in capsys.readouterr().out
    assert np.array_equal(pixels("out.png"), pixels("whole.png"))
    steps = json.loads(Path("r.json").read_text())["steps"]
    assert [entry["step"] for entry in steps] == list(range(1, 41))
    assert not Path("out.png.state").exists()


def test_resuming_a_finished_run_is_no_work(pictures, capsys):
    assert optimize() == 0
    written = Path("out.png").stat().st_mtime_ns
    capsys.readouterr()

    assert optimize("--resume") == 0

    told = "out.png is finished: nothing to resume; --init out.png goes on from it under a new name"
    assert capsys.readouterr().out == f"{told}\n"
    assert Path("out.png").stat().st_mtime_ns == written


def test_resuming_nothing_starts_afresh(pictures, capsys):
    assert optimize("--resume") == 0

    assert "starting afresh" in capsys.readouterr().out
    assert Path("out.png").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_picture_and_says_how_to_go_on(pictures):
    process = start_optimize("--num-steps", "1000000", "--save-every", "3")
    wait_for(pictures / "out.png.state/preview.png", process)
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert out == "the picture so far will be out.png.state/preview.png, every 3 steps\n"
    *lines, last = err.splitlines()
    assert [line for line in lines if not line.startswith("preparing for")] == []
    assert last.startswith("stopped after step ")
    assert "out.png.state/preview.png" in last
    assert "--resume" in last
    assert pixels("out.png.state/preview.png").shape == (24, 32, 3)
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("diverging", "moved"),
    [
        ("--optimizer adam --learning-rate 1e20", 1 / 255),  # at once
        ("--learning-rate 10", 0.1),  # after two steps that were saved
    ],
)
def test_a_diverging_run_keeps_its_best_picture(
    pictures, promotion, monkeypatch, capsys, diverging, moved
):
    monkeypatch.setattr("nst_jax.pixels.loop._MAX_RESTARTS", 0)
    options = (*diverging.split(), "--num-steps", "30", "--quiet", "--save-every", "1")

    assert optimize(*options) == 1

    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: The loss became ")
    assert "out.png.state/best.png" in printed.err
    # The beginning, or little more; what diverged is black and white.
    content = np.asarray(nst_jax.load_image("c.png", size=32))[0]
    assert np.abs(pixels("out.png.state/best.png") / 255 - content).mean() < moved
    assert [path.name for path in Path("out.png.state").iterdir()] == ["best.png"]
    assert not Path("out.png").exists()

    assert optimize("--quiet") == 0, "what diverged is not taken for an unfinished run"
    assert not Path("out.png.state").exists()


def test_a_run_that_ran_away_says_from_where_it_went_on(pictures, promotion, capsys):
    assert optimize("--learning-rate", "10", "--num-steps", "30", "--record", "r.json") == 0
    record = json.loads(Path("r.json").read_text(encoding="utf-8"))
    (step,) = record["info"]["restarts"]
    told = f"the loss ran away at step {step}: went on from the best picture"
    assert told in capsys.readouterr().out.splitlines()


def test_what_is_not_ours_stays_in_the_state_folder(pictures):
    Path("out.png.state").mkdir()
    Path("out.png.state/notes.txt").write_text("mine")

    assert optimize("--save-every", "1") == 0

    assert [path.name for path in Path("out.png.state").iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_run_that_was_allowed_to_overwrite_still_is_when_resumed(pictures):
    Path("out.png").write_text("old")
    options = ("--num-steps", "400")
    process = start_optimize(*options, "--save-every", "1", "--overwrite")
    wait_for(pictures / "out.png.state/state.safetensors", process)
    process.kill()
    process.communicate()
    assert Path("out.png").read_text() == "old"

    assert optimize(*options, "--resume") == 0

    assert pixels("out.png").shape == (24, 32, 3)


def test_help_tells_every_command_and_option(pictures, capsys):
    for words in ([], ["--help"]):
        assert main(words) == 0
        text = capsys.readouterr().out
        for command in ("demo", "optimize", "weights", "bench", "info", "--debug", "--version"):
            assert command in text
    assert main(["optimize", "--help"]) == 0
    text = capsys.readouterr().out
    options = (
        "preset encoder weights pooling size style-size num-steps init seed content-weight "
        "style-weight tv-weight style-blend content-layers content-layer-weights style-layers "
        "style-layer-weights optimizer learning-rate history precision remat record save-every "
        "resume overwrite scales scale-shares tv-loss noise-std quiet color color-when fine-style "
        "scale mask style-mask mask-mode mask-growth"
    )
    for option in options.split():
        assert f"--{option}" in text
    assert "(default: 512)" in text
    for words in ("weights", "weights fetch", "weights normalize", "demo", "bench", "info"):
        assert main([*words.split(), "--help"]) == 0
        assert f"usage: nst-jax {words}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nst-jax {nst_jax.__version__}\n"


def test_debug_shows_where_an_error_comes_from(pictures):
    with pytest.raises(FileNotFoundError):
        main(["optimize", "none.png", "s.png", "-o", "out.png", "--debug"])


def test_the_unexpected_is_one_line_too(monkeypatch, capsys):
    def fail() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(info, "describe_device", fail)

    assert main(["info"]) == 1

    assert capsys.readouterr().err == (
        "error: first line second line (RuntimeError; --debug shows the traceback)\n"
    )
    with pytest.raises(RuntimeError):
        main(["info", "--debug"])


def test_ctrl_c_anywhere_is_no_traceback(monkeypatch, capsys):
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "describe_device", interrupt)

    assert main(["info"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_lack_of_memory_is_told_with_ways_out(monkeypatch, capsys):
    def fail() -> str:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")

    monkeypatch.setattr(info, "describe_device", fail)

    assert main(["info"]) == 1
    assert "--remat" in capsys.readouterr().err


def test_warnings_are_ours_on_one_line_and_nobody_elses(monkeypatch, capsys):
    def warn() -> str:
        warnings.warn_explicit("library\nchatter", UserWarning, "elsewhere/library.py", 1)
        warnings.warn_explicit("our own\nwords", UserWarning, nst_jax.__file__, 1)
        return ""

    monkeypatch.setattr(info, "describe_device", warn)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert main(["info"]) == 0
        assert capsys.readouterr().err == "warning: our own words\n"
        assert shown == []

        assert main(["info", "--debug"]) == 0
        assert [str(warning.message) for warning in shown] == ["library\nchatter"]


def test_compiled_programs_are_kept_unless_the_user_says_where(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path))
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    try:
        keep_compiled_programs()
        assert {name: getattr(jax.config, name) for name in names} == before

        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        keep_compiled_programs()
        assert getattr(jax.config, names[0]) == str(tmp_path / "xla")
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.slow
def test_a_platform_that_is_not_there_is_told(pictures):
    told = subprocess.run(
        [sys.executable, "-m", "nst_jax", "info"],
        env=os.environ | {"JAX_PLATFORMS": "nonsense"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith("error: JAX_PLATFORMS: wanted platforms that this JAX can use")


def test_info_says_what_it_runs_on(pictures, capsys):
    assert main(["info"]) == 0

    text = capsys.readouterr().out
    assert text.startswith("running on CPU")
    assert "found, hash ok" in text
    assert str(pictures / "cache") in text
    assert f"nst_jax {nst_jax.__version__}" in text


@pytest.mark.slow
def test_the_demo_needs_nothing(pictures, capsys):
    Path("nst-jax-demo").mkdir()
    Path("nst-jax-demo/castle.png").write_text("of last time")

    assert main(["demo", "--size", "32", "--num-steps", "2"]) == 0

    text = capsys.readouterr().out
    for name in ("castle", "lemurs"):
        assert f"nst-jax-demo/{name}_one_pass.png: " in text
        assert f"nst-jax-demo/{name}.png: 32x21 pixels in" in text
        assert pixels(f"nst-jax-demo/{name}.png").shape == (21, 32, 3)
        sheet = pixels(f"nst-jax-demo/{name}_sheet.png")
        # Photograph, painting and both results in a row, with white between.
        assert sheet.shape[0] == 21
        assert np.array_equal(sheet[:, -32:], pixels(f"nst-jax-demo/{name}.png"))
        assert (sheet[:, -40:-32] == 255).all()
        assert np.array_equal(sheet[:, -72:-40], pixels(f"nst-jax-demo/{name}_one_pass.png"))
    assert " s in all" in text


@pytest.mark.slow
def test_bench_prints_a_table_and_writes_it(pictures, capsys):
    words = ["bench", "--sizes", "32", "--precisions", "float32", "--repeats", "2"]

    assert main([*words, "--record", "b.json"]) == 0

    header, row = capsys.readouterr().out.splitlines()[1:3]
    columns = ["size", "precision", "gradient", "step", "100", "300", "500", "compile", "memory"]
    assert header.split() == columns
    assert row.split()[:2] == ["32", "float32"]
    record = json.loads(Path("b.json").read_text())
    (measured,) = record["info"]["rows"]
    assert measured["gradient_ms"] > 0
    assert measured["step_ms"] > 0
    assert measured["compile_seconds"] == record["seconds"]["compile"]
    assert set(record) == {"command", "config", "versions", "device", "seconds", "steps", "info"}

    assert main([*words, "--record", "b.json"]) == 2
    assert "'b.json' exists" in capsys.readouterr().err


def test_weights_list_says_what_is_here(pictures, capsys):
    assert main(["weights", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert " yes " in rows["vgg16-lpips"]
    assert " no " in rows["vgg19-torchvision"]
    assert " 575 MB " in rows["vgg19-torchvision"]


def test_weights_verify_goes_through_all_and_fails_for_one(pictures, capsys):
    assert main(["weights", "verify"]) == 0
    assert "vgg16-lpips: ok" in capsys.readouterr().out

    assert main(["weights", "verify", "vgg19-keras", "vgg16-lpips"]) == 2

    printed = capsys.readouterr()
    assert "vgg16-lpips: ok" in printed.out
    assert printed.err.startswith("error: the weights vgg19-keras are not on this machine")


def test_weights_normalize_makes_weights_that_optimize_takes(pictures, capsys):
    Path("photographs").mkdir()
    for name in ("neuschwanstein_castle.jpg", "ring_tailed_lemur.jpg"):  # made ones activate little
        shutil.copy(asset_path(f"content/{name}"), "photographs")
    words = ["weights", "normalize", "vgg16-lpips", "--pictures", "photographs", "--to"]

    assert main([*words, "n.safetensors", "--size", "192"]) == 0

    assert main(["weights", "verify", "n.safetensors"]) == 0
    assert optimize("--weights", "n.safetensors", "--record", "r.json") == 0
    record = json.loads(Path("r.json").read_text())
    assert record["config"]["weights"] == "n.safetensors"
    assert record["info"]["weights"]["pictures"] == "2"
    assert record["info"]["weights"]["picture_size"] == "192"
    assert "measuring: 2 of 2 photographs" in capsys.readouterr().err
    assert main([*words, "n.safetensors", "--size", "192"]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "wanted"),
    [
        ("fetch", 2, "names: wanted at least one"),
        ("fetch vgg99", 2, "no set called 'vgg99'"),
        ("fetch vgg19-keras vgg16-keras --url http://127.0.0.1/x", 2, "wanted with a single set"),
        ("fetch vgg19-gatys", 2, "--allow-unverified"),
        ("fetch vgg16-keras --url SERVER/none.h5", 1, "cannot download"),
        ("fetch vgg16-keras --url SERVER/wrong.h5", 1, "has MD5"),
        (
            "fetch vgg16-keras --url SERVER/wrong.h5 --sha256 01234567",
            2,
            "or at least the first 16",
        ),
        ("fetch vgg16-keras --url SERVER/wrong.h5 --sha256 HASH", 1, "has SHA-256"),
        ("convert c.png --to w.txt", 2, "extension '.txt' is not known"),
        ("convert none.pth --to w.safetensors", 2, "none.pth"),
        ("convert c.png --to w.safetensors --as vgg99", 2, "no set called 'vgg99'"),
        ("normalize vgg16-lpips --pictures none --to w.safetensors", 2, "cannot list 'none'"),
    ],
)
def test_what_goes_wrong_with_weights_is_one_line(pictures, capsys, server, words, status, wanted):
    assert (
        main(["weights", *words.replace("SERVER", server).replace("HASH", 64 * "0").split()])
        == status
    )

    errors = [line for line in capsys.readouterr().err.splitlines() if ": 0 of" not in line]
    assert errors[-1].startswith("error: ")
    assert wanted in errors[-1]
    assert "Traceback" not in errors
    assert not Path("w.safetensors").exists()


# 30 steps at 8 x 10 pixels and 10 at 16 x 20: together as much work as 70 steps at the coarse size.
LEVELS = [Level(8, 10, 0.5, 30), Level(16, 20, 1.0, 40)]


def report(step: int) -> Report:
    return Report(step, 3.0, {"content": 1.0, "style": 2.0, "tv": 0.0})


def test_progress_without_a_terminal_is_a_few_lines(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with follow_steps(LEVELS) as on_step:
        for step in range(1, 41):
            now[0] += 2.0 if step <= 30 else 8.0
            on_step(report(step))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "preparing for 10x8, once for this size; the first step takes a while"
    assert "preparing for 20x16, once for this size" in lines
    # The finer steps are known to take four times as long.
    assert "step 30/40  loss 3 = content 1 + style 2  about 80 s left" in lines
    assert "step 40/40  loss 3 = content 1 + style 2" in lines
    assert len(lines) <= 23


def test_progress_on_a_terminal_is_a_bar(pictures, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich take anything for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    assert optimize() == 0

    text = capsys.readouterr().err
    assert "4/4" in text
    assert "loss" in text
    assert "left" in text
    assert "content" not in text, "lines of losses are for --verbose"
    assert optimize("--verbose", "--overwrite") == 0
    assert "step 4/4  loss" in capsys.readouterr().err


def test_the_package_has_its_public_names():
    names = (
        "load_image save_image load_encoder gram_matrix adain losses.gram_loss "
        "losses.content_loss papers.gatys_2016.stylize"
    )
    for name in names.split():
        assert callable(functools.reduce(getattr, name.split("."), nst_jax))
