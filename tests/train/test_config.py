"""What a training's configuration and its pictures may be: one line says what is wrong."""

import dataclasses
from typing import Any, cast

import numpy as np
import pytest

from nst_jax import train
from nst_jax.papers import dumoulin_2017, huang_2017, johnson_2016

pytestmark = pytest.mark.usefixtures("unchecked")

SMOKE = johnson_2016.PRESETS["smoke"]
PICTURE = np.zeros((1, 48, 48, 3), np.float32)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("precision", "bf16", "precision: wanted float32, bfloat16, got bf16"),
        ("pooling", "avg", "pooling: wanted max, average, got avg"),
        ("tv_loss", "sum", "tv_loss: wanted mean, half_sum, got sum"),
        ("optimizer", "sgd", "optimizer: wanted adam, muon, got sgd"),
        ("schedule", "cos", "schedule: wanted constant, cosine, inverse_time, halving, got cos"),
        ("normalization", "layer", "normalization: wanted "),
        ("batch_size", 2.5, "batch_size: wanted a whole number, got 2.5"),
        ("num_steps", True, "num_steps: wanted a whole number, got True"),
        ("learning_rate", "fast", "learning_rate: wanted a number, got fast"),
        ("style_layers", (("relu9_9", 1.0),), "layers: no layer called 'relu9_9' in vgg16"),
        ("shorter_side", 256, "shorter_side: wanted "),
        ("average_decay", float("nan"), "average_decay: wanted a share from 0 to below 1, got nan"),
        ("average_decay", 1.0, "average_decay: wanted a share from 0 to below 1, got 1.0"),
        ("decay", -1.0, "decay: wanted a finite number, 0 or more, got -1.0"),
        ("num_steps", 2**30, "num_steps: wanted at most 1073741823, got 1073741824"),
        ("halve_every", 2**31, "halve_every: wanted at most 1073741823, got 2147483648"),
        ("halve_every", 0, "halve_every: wanted 1 or more, got 0"),
    ],
)
def test_every_field_is_checked_against_its_type(field, value, complaint):
    with pytest.raises(ValueError, match="^" + complaint.replace("(", r"\(")) as caught:
        dataclasses.replace(SMOKE, **{field: value})
    assert "\n" not in str(caught.value)


def test_size_takes_along_what_pictures_are_cut_from():
    config = johnson_2016.PRESETS["cpu"]
    assert config.vary({"size": 240}).shorter_side == (288, 576)  # of 160, 192 and 384
    assert config.vary({"size": 240, "shorter_side": (240, 300)}).shorter_side == (240, 300)
    assert johnson_2016.PRESETS["paper"].vary({"size": 240}).shorter_side is None
    with pytest.raises(ValueError, match=r"^style_los: wanted one of .*style_loss.*, got another"):
        config.vary({"style_los": "gram"})


@pytest.mark.parametrize(
    ("held_out", "complaint"),
    [
        (np.zeros((1, 48, 48, 3), np.uint8), r"held_out: wanted .* got uint8; divide by"),
        (np.zeros((48, 48, 3), np.float32), r"held_out: wanted .* add a leading axis"),
        (np.zeros((1, 3, 48, 48), np.float32), r"held_out: wanted .* put the channels last"),
        (np.full((1, 48, 48, 3), np.nan, np.float32), r"held_out: wanted .* got NaN"),
        (np.full((1, 48, 48, 3), 255.0, np.float32), r"held_out: wanted .* divide by 255"),
    ],
)
def test_pictures_are_checked_before_anything_is_done(tmp_path, held_out, complaint):
    reporting, none = train.Reporting(tmp_path / "run"), cast(Any, None)
    views = {"samples": PICTURE, "reporting": reporting}
    with pytest.raises(ValueError, match=complaint):
        johnson_2016.fit(cast(Any, PICTURE), none, SMOKE, none, none, held_out=held_out, **views)
    views["samples"] = train.Pair(PICTURE, PICTURE)
    with pytest.raises(ValueError, match=complaint.replace("held_out", "held_out.style")):
        huang_2017.fit(
            none,
            huang_2017.PRESETS["smoke"],
            none,
            none,
            held_out=train.Pair(PICTURE, held_out),
            **views,
        )
    assert not (tmp_path / "run").exists()


def test_paintings_are_checked_too():
    with pytest.raises(ValueError, match=r"^style: wanted one picture"):
        dumoulin_2017.compute_style_grams(
            dumoulin_2017.PRESETS["smoke"],
            [cast(Any, np.zeros((48, 48, 3), np.float32))],
            cast(Any, None),
            None,
        )
