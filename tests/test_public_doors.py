"""Every public function refuses what is no picture by itself, in one line that says what to pass.

They are called as users call them, without the type checks of the import hook.
"""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import nst_jax
from nst_jax import files, losses, metrics, sweeps
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.ops import color, resizing
from nst_jax.papers import gatys_2016
from nst_jax.regions import masks

pytestmark = pytest.mark.usefixtures("unchecked")

# As users without a type checker have them.
LIBRARY: Any = nst_jax
FILES: Any = files
LOSSES: Any = losses
METRICS: Any = metrics
SWEEPS: Any = sweeps
COLOR: Any = color
RESIZING: Any = resizing
GATYS_2016: Any = gatys_2016
MASKS: Any = masks

GOOD = np.linspace(0, 1, 32 * 32 * 3, dtype=np.float32).reshape(1, 32, 32, 3)
NO_ARRAYS = {
    "path": Path("photo.png"),
    "file in memory": io.BytesIO(b"PNG"),
    "bytes": b"PNG",
    "Pillow": PIL.Image.new("RGB", (32, 32)),
    "list": GOOD.tolist(),
    "none": None,
}
WRONG_FORMS = {
    "no batch": GOOD[0],
    "grey": GOOD[0, ..., 0],
    "empty": GOOD[:0],
    "integers": np.uint8(255 * GOOD),
}
WRONG_CHANNELS = {
    "alpha": np.concatenate([GOOD, GOOD[..., :1]], -1),
    "channels first": GOOD.transpose(0, 3, 1, 2),
}
WRONG_VALUES = {"up to 255": 255 * GOOD, "negative": GOOD - 1, "NaN": GOOD * np.nan}
ARRAYS = {**NO_ARRAYS, **WRONG_FORMS}
PICTURES = {**ARRAYS, **WRONG_CHANNELS}
ENCODER = VGG("vgg16", TORCHVISION)
STYLIZER: Any = None
MODEL = "huang2017"


def stylizer() -> Any:
    global STYLIZER
    STYLIZER = STYLIZER or LIBRARY.load_stylizer(MODEL)
    return STYLIZER


PURE: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "encoder.apply": (partial(ENCODER.apply, {}, layers=("relu1_1",)), PICTURES),
    "gram_matrix": (LIBRARY.gram_matrix, ARRAYS),
    "channel_moments": (LIBRARY.channel_moments, ARRAYS),
    "adain": (lambda x: LIBRARY.adain(GOOD, x), PICTURES),
    "content_loss": (lambda x: LOSSES.content_loss(GOOD, x), PICTURES),
    "gram_loss": (lambda x: LOSSES.gram_loss(np.eye(3)[None], x), NO_ARRAYS),
    "total_variation_loss": (LOSSES.total_variation_loss, PICTURES),
    "resize": (partial(RESIZING.resize, height=8, width=8), ARRAYS),
    "resize_longer_side": (lambda x: RESIZING.resize_longer_side(x, 8), PICTURES),
    "color.finish": (partial(COLOR.finish, content=GOOD, color="pca", when="after"), PICTURES),
    "match_histograms": (lambda x: COLOR.match_histograms(GOOD, x), PICTURES),
    "save_image": (partial(LIBRARY.save_image, "out.png"), PICTURES | {"255": 255 * GOOD}),
    "load_image": (LIBRARY.load_image, {k: v for k, v in ARRAYS.items() if k != "path"}),
    "load_image size": (lambda x: LIBRARY.load_image("photo.png", size=x), WRONG_FORMS),
    "complete_mask": (MASKS.complete_mask, {"path": Path("m.png"), "text": "m.png", "none": None}),
}
CHECKED: dict[str, Callable[[Any], Any]] = {
    "stylize photo": lambda x: LIBRARY.stylize(x, GOOD, model=stylizer(), style_size=32),
    "stylize painting": lambda x: LIBRARY.stylize(GOOD, x, model=stylizer(), style_size=32),
    "optimize photo": lambda x: LIBRARY.optimize(x, GOOD, preset="smoke", size=32),
    "optimize painting": lambda x: LIBRARY.optimize(GOOD, x, preset="smoke", size=32),
    "gatys_2016 content": lambda x: GATYS_2016.stylize(
        x, GOOD, GATYS_2016.PRESETS["smoke"], ENCODER, {}
    ),
    "gatys_2016 style": lambda x: GATYS_2016.stylize(
        GOOD, [x], GATYS_2016.PRESETS["smoke"], ENCODER, {}
    ),
    "stylizer content": lambda x: stylizer()(x, GOOD),
    "stylizer style": lambda x: stylizer()(GOOD, x),
    "stylizer.encode_style": lambda x: stylizer().encode_style(x),
    "ssim first": lambda x: METRICS.ssim(x, GOOD),
    "ssim second": lambda x: METRICS.ssim(GOOD, x),
    "style_distance": lambda x: METRICS.style_distance(GOOD, x, ENCODER, {}),
}


def assert_refused(call: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises((ValueError, OSError)) as raised:
        call(given)
    line = str(raised.value)
    assert "\n" not in line
    assert len(line) < 400
    where = raised.traceback[-1].path
    assert "nst_jax" in Path(where).parts, f"{where}: {line}"


@pytest.mark.parametrize("name", PURE)
def test_pure_functions_refuse_other_forms(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, wrong = PURE[name]
    for given in wrong.values():
        assert_refused(call, given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CHECKED)
def test_doors_refuse_other_forms_and_values(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, given in {**PICTURES, **WRONG_VALUES}.items():
        takes = kind == "Pillow" and name.split()[0] in ("stylize", "optimize")
        if not takes:
            assert_refused(CHECKED[name], given)


def test_pictures_on_the_host_are_refused_one_by_one():
    for given in (*NO_ARRAYS.values(), GOOD, GOOD[0, ..., :1], 255 * GOOD[0], GOOD[0] * np.nan):
        assert_refused(lambda x: stylizer().paint([x], GOOD), given)
    assert_refused(lambda x: stylizer().paint(x, GOOD), [])
    assert_refused(lambda x: stylizer().paint_each(x, []), [GOOD[0]])
    assert_refused(lambda x: stylizer().apply({}, x), GOOD[0])
    for alpha in ("0.5", None, float("nan"), 2, [0.5]):
        assert_refused(lambda x: stylizer()(GOOD, GOOD, alpha=x), alpha)
    for blend in ("ab", [1, "x"], [1, 2, 3], [-1, 2]):
        assert_refused(lambda x: stylizer()(GOOD, [GOOD, GOOD], blend=x), blend)


def test_one_mask_without_a_list_is_told_so():
    for one in (Path("mask.png"), "mask.png", PIL.Image.new("L", (32, 32)), GOOD, None):
        for call in (LIBRARY.stylize, LIBRARY.optimize):
            for name in ("masks", "style_masks"):
                with pytest.raises(ValueError, match=rf"^{name}: wanted a sequence of pictures"):
                    call(GOOD, [GOOD, GOOD], **{name: one})
    with pytest.raises(ValueError, match=r"for one style give \[mask\]"):
        GATYS_2016.stylize(
            GOOD, GOOD, GATYS_2016.PRESETS["smoke"], ENCODER, {}, style_masks=GOOD[..., 0]
        )


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: LIBRARY.load_encoder("vgg16", pooling="avg"), "pooling: wanted max or average"),
        (lambda: LIBRARY.load_encoder("vgg16", precision="bf16"), "precision: wanted float32 or"),
        (lambda: LIBRARY.load_encoder("vgg16", weights=3), "weights: wanted a path, got int"),
        (lambda: LIBRARY.load_stylizer(MODEL, precision="half"), "precision: wanted float32 or"),
        (lambda: LIBRARY.load_stylizer(None), "model: wanted a path, got NoneType"),
        (lambda: SWEEPS.make_grid("default", {"seed": (1,)}), "base: wanted a papers.gatys_2016"),
        (lambda: FILES.load_rgba(GOOD, max_pixels=9), "path: wanted a path, got ndarray"),
        (
            lambda: GATYS_2016.stylize(GOOD, GOOD, "default", ENCODER, {}),
            "config: wanted a Config, got str",
        ),
    ],
)
def test_other_arguments_are_named_too(call, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        call()


def test_a_painting_of_one_colour_is_refused_but_not_blended():
    """Its features have no deviation: what AdaIN makes of a photograph is the same everywhere."""
    red = np.zeros((1, 64, 64, 3), np.float32)
    red[..., 0] = 1
    with pytest.raises(
        ValueError, match=r"^style: wanted a painting with some texture, got one of"
    ):
        stylizer()(GOOD, red)
    assert stylizer().prepare(red, alpha=0) is not None
    assert stylizer().prepare([red, GOOD]) is not None
    half = np.zeros((2, 64, 64), np.float32)
    half[0, :, :32] = half[1, :, 32:] = 1
    with pytest.raises(ValueError, match="of a single colour"):
        stylizer().prepare([GOOD, red], masks=half)
    grain = red + np.random.default_rng(0).normal(0, 1 / 255, red.shape).astype(np.float32)
    assert stylizer().prepare(grain.clip(0, 1)) is not None
