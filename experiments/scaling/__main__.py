"""Memory, traffic and equality of one picture over many devices and tile by tile.

    python -m experiments.scaling [--parts devices tiles] [--out results/scaling]

`devices`: the value and gradient of the preset `default` over 1, 2, 4 and 8 simulated devices, at
several heights; memory a device as XLA plans it, bytes that a device sends, and the largest
difference of the gradient from one device's. `tiles`: one step of Adam with and without tiles in a
fresh process each; the peak of its memory and seconds. On two CPU cores: a quarter of an hour each.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

if "--on-devices" in sys.argv:  # before JAX starts
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from experiments.common import command
from experiments.common.provenance import describe_run
from experiments.scaling.traffic import find_exchanges, sent_by_a_device
from nst_jax.encoders.parted import ROWS, PartedVGG, make_mesh
from nst_jax.encoders.vgg import channels_of
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.encoders.windows import stride_of
from nst_jax.files import write_record
from nst_jax.losses.perceptual import Targets
from nst_jax.losses.styles import STYLE_LOSSES
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.pixels import parted
from nst_jax.pixels.layouts import Layout
from nst_jax.pixels.problem import make_weights, program_of
from nst_jax.pixels.stylize import stylize

CONFIG = PRESETS["default"]
MIB = 2**20
COMPUTED = 256  # pixels a side up to which the gradient is computed, not only compiled
SIZES = ((250, 256), (512, 512), (1024, 1024), (2048, 2048), (4096, 4096))
TILES = ((1024, None), (1024, 512), (2048, 512))


def _picture(height: int, width: int, seed: int) -> Any:
    return jnp.asarray(np.random.default_rng(seed).random((1, height, width, 3), np.float32))


def measure_devices(height: int, width: int) -> list[dict[str, Any]]:
    """One row for each number of devices."""
    encoder, params = load_encoder("vgg16")
    weights, program = make_weights(CONFIG), program_of(CONFIG, encoder)
    rows, first = [], None
    for devices in (1, 2, 4, 8):
        mesh = make_mesh(devices)
        over, whole = PartedVGG(encoder, mesh), parted.put_whole(params, mesh)
        image_rows = parted.Rows(height, over.padded(height, weights.layers))
        args = _shapes_of_targets(over, image_rows, width), whole, weights
        compiled = parted.compile_gradient(program, mesh, image_rows, width, *args)
        memory = compiled.memory_analysis()
        sent = sent_by_a_device([*find_exchanges(compiled.as_text())], devices)
        row: dict[str, Any] = {
            "height": height,
            "width": width,
            "devices": devices,
            "temporary_mib": memory.temp_size_in_bytes / MIB,
            "arguments_mib": memory.argument_size_in_bytes / MIB,
            "sent_bytes": sent,
        }
        if max(height, width) <= COMPUTED:
            targets = parted.compute_parted_targets(
                *(over, whole, _picture(height, width, 1), [_picture(64, 64, 2)]),
                weights=weights,
                style_blend=(1.0,),
                style_loss=STYLE_LOSSES["gram"],
            )
            optimizer = parted.make_parted_optimizer(program, mesh)
            given = targets, whole, weights, image_rows
            state, _ = optimizer.init(_picture(height, width, 0), *given)
            grads = optimizer.to_whole(state, *given).grads
            first = grads if first is None else first
            largest = float(np.abs(first).max())
            row["difference"] = float(np.abs(grads - first).max()) / largest
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _shapes_of_targets(over: PartedVGG, rows: parted.Rows, width: int) -> Targets:
    """What compute_parted_targets returns, without arrays: a large picture is only compiled."""

    def feature_map(layer: str) -> Any:
        stride = stride_of((layer,))
        shape = (1, rows.padded // stride, width // stride, channels_of(layer))
        spread = NamedSharding(over.mesh, PartitionSpec(None, ROWS))
        return jax.ShapeDtypeStruct(shape, np.float32, sharding=spread)

    def gram(layer: str) -> Any:
        side = channels_of(layer)
        whole = NamedSharding(over.mesh, PartitionSpec())
        return jax.ShapeDtypeStruct((1, side, side), np.float32, sharding=whole)

    return Targets(
        {layer: feature_map(layer) for layer, _ in CONFIG.content_layers},
        {layer: gram(layer) for layer, _ in CONFIG.style_layers},
    )


def measure_tiles(size: int, tile: int | None) -> dict[str, Any]:
    """One step of Adam on a square picture, in this process, whose peak memory is the answer."""
    encoder, params = load_encoder("vgg16")
    config = dataclasses.replace(
        CONFIG,
        size=None,
        style_size=256,
        num_steps=1,
        scales=((1.0, 1.0),),
        optimizer="adam",
        learning_rate=0.02,
    )
    began = time.perf_counter()
    stylize(
        *(_picture(size, size, 1), _picture(256, 256, 2), config, encoder, params),
        layout=Layout(tile=tile),
    )
    return {
        "size": size,
        "tile": tile,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "pictures_mib": size * size * 12 / MIB,
        "seconds": time.perf_counter() - began,
    }


def _in_fresh_process(*words: str) -> Any:
    told = subprocess.run(
        [sys.executable, "-m", "experiments.scaling", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    """Measure what is asked for and write a record of each part."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--parts", nargs="+", default=["devices", "tiles"])
    command.add_out_option(parser, "results/scaling")
    parser.add_argument("--on-devices", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--on-tiles", nargs=2, type=int, help=argparse.SUPPRESS)
    options = command.parse(parser)
    if options.on_devices:
        measure_devices(*options.on_devices)
        return
    if options.on_tiles:
        size, tile = options.on_tiles
        print(json.dumps(measure_tiles(size, tile or None)))
        return
    for part in options.parts:
        (options.out / part).mkdir(parents=True, exist_ok=True)
        rows: list[Any] = []
        for first, second in SIZES if part == "devices" else TILES:
            rows += _in_fresh_process(f"--on-{part}", str(first), str(second or 0))
            record = {**describe_run(), "preset": "default", "rows": rows}
            write_record(options.out / part / "record.json", record, overwrite=True)
            print(f"{part} {first} {second}: {rows[-1]}", flush=True)


if __name__ == "__main__":
    command.run(main)
