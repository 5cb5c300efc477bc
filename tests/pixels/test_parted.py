"""One picture over many devices, against one device; several are shown to a process of its own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from parted_pictures import ENCODER, params, picture, targets, weights, whole_gradient

from nst_jax.encoders.parted import PartedVGG, make_mesh
from nst_jax.losses import STYLE_LOSSES
from nst_jax.papers.gatys_2016 import Config, stylize
from nst_jax.pixels.layouts import Layout
from nst_jax.pixels.parted import Rows, compute_parted_targets, make_parted_optimizer, put_whole
from nst_jax.pixels.programs import Program

pytestmark = pytest.mark.usefixtures("lax_promotion")

ROOT = Path(__file__).parents[2]
CONFIG = Config(
    size=None,
    num_steps=4,
    scales=((0.5, 0.5), (1.0, 0.5)),
    content_layers=(("relu2_1", 1.0),),
    style_layers=(("relu1_1", 1.0), ("relu2_2", 1.0)),
    style_weight=5.0,
    tv_weight=3.0,
    optimizer="adam",
    learning_rate=0.02,
    history=3,
)


def start(devices: int, height: int, width: int) -> tuple[Any, Any, Any]:
    """A run's optimizer over so many devices, its arguments, and its state before a step."""
    mesh = make_mesh(devices)
    parted, gram = PartedVGG(ENCODER, mesh), STYLE_LOSSES["gram"]
    whole = put_whole(params(), mesh)
    kept = compute_parted_targets(
        *(parted, whole, picture(height, width, seed=1), [picture(21, 30, seed=2)]),
        weights=weights(),
        style_blend=(1.0,),
        style_loss=gram,
    )
    rows = Rows(height, parted.padded(height, weights().layers))
    args = kept, whole, weights(), rows
    optimizer = make_parted_optimizer(Program(ENCODER, gram, "mean", "lbfgs", 1.0, 3), mesh)
    state, metrics = optimizer.init(picture(height, width), *args)
    return optimizer, args, (state, metrics)


def difference(devices: int, height: int, width: int) -> float:
    """By how much the gradient differs from one device's, in parts of its largest entry."""
    (total, _), gradient = whole_gradient(picture(height, width), targets(height, width))
    optimizer, args, (state, metrics) = start(devices, height, width)
    shard = state.grads.addressable_shards[0].data.shape
    assert shard == (1, args[-1].padded // devices, width, 3)
    history = state.opt_state.steps.addressable_shards[0].data.shape
    assert history == (3, state.image.size // devices)
    assert float(metrics.total) == pytest.approx(float(total), rel=1e-5)
    found = optimizer.to_whole(state, *args)
    assert found.grads.shape == gradient.shape
    again = optimizer.from_whole(found, *args)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(state), strict=True):
        assert one.sharding.is_equivalent_to(other.sharding, one.ndim)
        assert one.shape == other.shape
    return float(np.abs(found.grads - gradient).max() / np.abs(gradient).max())


@pytest.mark.parametrize("height", [32, 33])
def test_one_device_of_a_mesh_has_the_gradient_of_the_whole(height):
    assert difference(1, height, 26) < 1e-5


def test_too_many_devices_and_what_cannot_be_parted_are_refused(photograph, painting):
    for devices in (0, 2):
        with pytest.raises(ValueError, match=rf"^devices: wanted 1 to 1, .*, got {devices}; JAX_"):
            make_mesh(devices)
    layout = Layout(mesh=make_mesh(1))
    for change, message in (
        ({"remat": True}, "remat: wanted without devices"),
        ({"optimizer": "lbfgs_zoom"}, "devices: wanted optimizer lbfgs or adam, got lbfgs_zoom"),
    ):
        config = dataclasses.replace(CONFIG, **change)
        with pytest.raises(ValueError, match=f"^{message}"):
            stylize(photograph, painting, config, ENCODER, params(), layout=layout)
    with pytest.raises(ValueError, match=r"^tile: wanted on one device, got 64 on 1"):
        Layout(mesh=make_mesh(1), tile=64)


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("lbfgs", marks=pytest.mark.slow)])
def test_a_saved_run_goes_on_in_another_layout(optimizer):
    config = dataclasses.replace(
        CONFIG,
        optimizer=optimizer,
        learning_rate=0.02 if optimizer == "adam" else 1.0,
        # Where nothing but rounding is left of a gradient, Adam's steps have any sign.
        init="noise",
        noise_std=0.2,
    )
    photograph = picture(45, 66, seed=1)  # to be lengthened for the devices
    given = photograph, picture(21, 30, seed=2), config, ENCODER, params()
    whole, record = stylize(*given)
    saved: list[Any] = []
    devices, tiles = Layout(mesh=make_mesh(1)), Layout(tile=16)
    parted, parted_record = stylize(
        *given,
        layout=devices,
        save=lambda *run: saved.append(run),
        save_every=3,
    )
    assert parted_record["info"]["devices"] == 1
    # In the mean, since a maximum that rounding moves changes the pixels of its own window.
    assert np.abs(parted - whole).mean() < 1e-4
    tiled, tiled_record = stylize(*given, layout=tiles, resume=saved[0])
    assert tiled_record["info"]["tile"] == 16
    assert np.abs(tiled - whole).mean() < 1e-4
    assert record["steps"][-1]["total"] < 0.9 * record["steps"][0]["total"]
    for found in (parted_record, tiled_record):
        assert found["steps"][-1]["total"] == pytest.approx(record["steps"][-1]["total"], rel=1e-3)


def tell_of_many_devices() -> None:
    """What the process prints that is shown eight devices."""
    found = {
        f"{devices} x {height}": difference(devices, height, 26)
        for devices in (2, 4, 8)
        for height in (64, 61)
    }
    # Style losses that need all features at once are XLA's to part.
    config = dataclasses.replace(
        CONFIG, style_loss="moments", scales=((1.0, 1.0),), num_steps=2, style_weight=0.1
    )
    given = picture(61, 26), picture(21, 30, seed=2), config, ENCODER, params()
    totals = [
        stylize(*given, layout=layout)[1]["steps"][-1]["total"]
        for layout in (Layout(), Layout(mesh=make_mesh(4)))
    ]
    print(json.dumps({"differences": found, "totals": totals}))


@pytest.mark.slow
def test_many_devices_have_the_gradient_of_one():
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), *(str(ROOT / "tests" / at) for at in ("", "pixels"))]
        ),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    told = subprocess.run(
        [sys.executable, "-c", "import test_parted; test_parted.tell_of_many_devices()"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(told.stdout.splitlines()[-1])
    assert len(found["differences"]) == 6
    assert max(found["differences"].values()) < 1e-5
    assert found["totals"][1] == pytest.approx(found["totals"][0], rel=1e-4)
