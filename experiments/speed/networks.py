"""How fast the networks of Johnson 2016 and Dumoulin 2017 paint and learn, here and in PyTorch.

    python -m experiments.speed.networks [--rows NAME ...] [--sizes 256 512 1024] [--repeats 7]

Johnson et al. 2016, table 1. A row is a network, which paints one picture at each size, or a
training step: the pictures, batch and losses of a preset, VGG-16 included, with Adam and the
moving average. Methods as in gatys.py: the same weights and threads on both sides, turns of one
work of each side, medians of the ratio within a turn, compilation apart, and as the denominator
PyTorch's float32 in its faster memory format. The networks have first weights, on which no time
depends. Each turn also has one L-BFGS step on Johnson's objective, preset `paper`, at the same
size with a history of 20 pairs that is full: 500 such steps are what table 1 calls optimisation,
and are computed from the one. Ratios to PyTorch are meant to be at most 1.0 for painting, 1.1 for
training, and 500 steps about a thousand times as long as painting. Results are merged into
results/network_benchmark/record.json, so that rows can be measured one by one. PyTorch 2.13 must
be installed; nst_jax itself does not need it. All rows take about half an hour on two CPU cores;
let nothing else run.
"""

import dataclasses
import statistics
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Column, Table

from experiments.common import command, provenance
from nst_jax import train
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import asset_path, load_image, read_record, write_record
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.ops.resizing import resize_longer_side
from nst_jax.papers import dumoulin_2017, johnson_2016
from nst_jax.runs.compile_time import compile_seconds

try:
    import torch

    from experiments.common.turns import Work, compare, interleave
    from experiments.johnson_2016 import pixel_objective
    from experiments.pytorch import gatys as torch_gatys
    from experiments.pytorch import side_by_side
    from experiments.pytorch import training as torch_training
    from experiments.pytorch.side_by_side import FORMATS, RIVALS
except ImportError as error:
    sys.exit(f"error: {error}; for this comparison run: pip install torch==2.13.0")

NUM_STYLES = 5
NETWORKS: Mapping[str, Any] = {
    "johnson_full_batch": JohnsonNetwork(width=32, normalization="batch", output="unit"),
    "johnson_full_instance": JohnsonNetwork(width=32, normalization="instance", output="vgg"),
    "johnson_half_instance": JohnsonNetwork(width=16, normalization="instance", output="vgg"),
    "dumoulin_full": DumoulinNetwork(num_styles=NUM_STYLES, width=32),
    "dumoulin_half": DumoulinNetwork(num_styles=NUM_STYLES, width=16),
}
# The presets' own pictures: 2 of 160 pixels, 4 of 256, 4 of 128.
TRAININGS: Mapping[str, Any] = {
    "train_johnson_cpu": johnson_2016.PRESETS["cpu"],
    "train_johnson_authors": johnson_2016.PRESETS["authors"],
    "train_dumoulin_cpu": dumoulin_2017.PRESETS["cpu"],
}
# For trying this script out.
SMOKE: Mapping[str, Any] = {
    "train_johnson_smoke": johnson_2016.PRESETS["smoke"],
    "train_dumoulin_smoke": dumoulin_2017.PRESETS["smoke"],
}
PRECISIONS = {"ours": "float32", "ours bfloat16": "bfloat16"}
LBFGS = "lbfgs step"
LBFGS_STEPS = 500
HISTORY = 20

PHOTOGRAPHS = [
    f"content/{name}.jpg"
    for name in ("neuschwanstein_castle", "kitten", "machu_picchu", "eiffel_tower")
]
PAINTINGS = [
    f"style/van_gogh_{name}.jpg"
    for name in ("church_at_auvers", "harvest", "langlois_bridge", "night_cafe", "pere_tanguy")
]


def painting_works(name: str, size: int) -> dict[str, Work]:
    """Every side's way to paint one picture; PyTorch's answers are NCHW."""
    network = NETWORKS[name]
    (images,) = side_by_side.load_squares(PHOTOGRAPHS[:1], size)
    conditions = ()
    if isinstance(network, DumoulinNetwork):
        conditions = (dumoulin_2017.one_hot(jnp.zeros(1, jnp.int32), NUM_STYLES),)
    # The first weights are the same at every size, and quicker to have on a small one.
    first = jnp.zeros((1, 64, 64, 3))
    variables = jax.jit(network.init)(jax.random.key(0), first, *conditions)
    ours = {
        side: _ours(
            dataclasses.replace(network, precision=precision), variables, images, conditions
        )
        for side, precision in PRECISIONS.items()
    }
    return {**ours, **{side: _theirs(side, network, variables, images) for side in RIVALS}}


def _ours(network: Any, variables: Any, images: Any, conditions: tuple[Any, ...]) -> Work:
    paint = jax.jit(network.apply)
    return lambda: jax.block_until_ready(paint(variables, images, *conditions))


def _theirs(side: str, network: Any, variables: Any, images: Any) -> Work:
    memory_format = FORMATS.get(side, torch.channels_last)
    painter = torch_training.make_painter(network, variables, memory_format=memory_format)
    pixels = torch.tensor(jax.device_get(images)).permute(0, 3, 1, 2)
    pixels = pixels.contiguous(memory_format=memory_format)
    style_weights = torch.eye(NUM_STYLES)[:1]

    def work() -> Any:
        with torch.inference_mode(), side_by_side.autocast(side):
            return painter.paint(pixels, style_weights)

    return side_by_side.until_done(work)


def lbfgs_work(size: int) -> Work:
    """A step of what Johnson's networks replace."""
    config = johnson_2016.PRESETS["paper"]
    encoder, params = load_encoder(config.encoder)
    content, style = side_by_side.load_squares([PHOTOGRAPHS[0], PAINTINGS[0]], size)
    config = dataclasses.replace(config, style_size=size)
    grams = johnson_2016.compute_style_grams(config, style, encoder, params)
    targets = pixel_objective.compute_targets(config, content, grams, encoder, params)
    objective = pixel_objective.make_objective(config, encoder)
    evaluate = jax.jit(jax.value_and_grad(objective, has_aux=True))
    return side_by_side.make_lbfgs_step(evaluate, content, targets, params, history=HISTORY)


def time_painting(name: str, size: int, lbfgs: Work, *, repeats: int) -> dict[str, Any]:
    """Measure one network at one size."""
    with compile_seconds() as compiling:
        works = painting_works(name, size)
        for side in PRECISIONS:
            works[side]()
        compiled = compiling()
    seconds = interleave({**works, LBFGS: lbfgs}, repeats=repeats)
    steps = seconds.pop(LBFGS)
    pairs = zip(steps, seconds["ours"], strict=True)
    return {
        "compile_seconds": compiled,
        **_sides(seconds),
        "lbfgs": {
            "seconds_a_step": statistics.median(steps),
            "steps": LBFGS_STEPS,
            "times_as_long_as_painting": statistics.median(
                LBFGS_STEPS * step / paint for step, paint in pairs
            ),
        },
    }


def _sides(seconds: Mapping[str, list[float]]) -> dict[str, Any]:
    best = side_by_side.find_best(seconds)
    return {"best": best, "sides": compare(seconds, best)}


class _Training(NamedTuple):
    """What both sides train, on what, and by which losses."""

    config: Any
    network: Any
    variables: Any
    batch: Any
    styles: list[Any]
    encoder: VGG
    encoder_params: Any


def training_works(name: str, *, num_styles: int = NUM_STYLES) -> dict[str, Work]:
    """Every side's training step, always on the same batch; answers are losses."""
    config = {**TRAININGS, **SMOKE}[name]
    squares = side_by_side.load_squares(PHOTOGRAPHS[: config.batch_size], config.size)
    batch = jnp.concatenate(squares)
    if isinstance(config, johnson_2016.Config):
        network, num_styles, conditions = johnson_2016.make_network(config), 1, ()
    else:
        network = DumoulinNetwork(num_styles=num_styles, width=config.width)
        conditions = (jnp.zeros((1, num_styles)),)
    training = _Training(
        config,
        network,
        dict(jax.jit(network.init)(jax.random.key(0), batch[:1], *conditions)),
        batch,
        [_load_painting(name, config.style_size) for name in PAINTINGS[:num_styles]],
        *load_encoder(config.encoder),
    )
    ours = {side: _our_step(training, precision) for side, precision in PRECISIONS.items()}
    return {**ours, **{side: _their_step(training, side) for side in RIVALS}}


def _load_painting(name: str, size: int) -> Any:
    # As the papers' modules resize what they are given, which PyTorch's side has not.
    return resize_longer_side(load_image(asset_path(name)), size)


def _our_step(training: _Training, precision: Any) -> Work:
    config = dataclasses.replace(training.config, precision=precision)
    encoder, params, styles = training.encoder, training.encoder_params, training.styles
    if isinstance(config, johnson_2016.Config):
        loss_fn = johnson_2016.make_loss_fn(config, encoder)
        grams = johnson_2016.compute_style_grams(config, styles[0], encoder, params)
    else:
        loss_fn = dumoulin_2017.make_loss_fn(config, training.network, encoder)
        grams = dumoulin_2017.compute_style_grams(config, styles, encoder, params)
    # At a constant rate, as on the other side: a schedule takes no time.
    tx = train.make_transformation(learning_rate=config.learning_rate, num_steps=config.num_steps)
    trainer = train.make_trainer(loss_fn, tx, average_decay=config.average_decay)
    state = trainer.init(jax.random.key(0), training.variables["params"], {})

    def step() -> Any:
        nonlocal state
        state, metrics = trainer.step(state, training.batch, grams, params)
        return jax.block_until_ready(metrics.total)

    return step


def _their_step(training: _Training, side: str) -> Work:
    config, memory_format = training.config, FORMATS.get(side, torch.channels_last)
    vgg = torch_gatys.TorchVGG(
        training.encoder_params["params"],
        training.encoder.preprocessing,
        pooling=config.pooling,
        memory_format=memory_format,
    )
    step = torch_training.make_step(
        torch_training.make_painter(
            training.network, training.variables, memory_format=memory_format
        ),
        config,
        vgg,
        training.batch,
        torch_training.compute_grams(config, vgg, training.styles),
        autocast=partial(side_by_side.autocast, side),
    )
    return side_by_side.until_done(step)


def time_training(name: str, *, repeats: int) -> dict[str, Any]:
    """Measure the training step of one preset."""
    with compile_seconds() as compiling:
        works = training_works(name)
        for side in PRECISIONS:
            works[side]()
        compiled = compiling()
    config = {**TRAININGS, **SMOKE}[name]
    return {
        "batch_size": config.batch_size,
        "size": config.size,
        "compile_seconds": compiled,
        **_sides(interleave(works, repeats=repeats)),
    }


def print_table(rows: Mapping[str, Any]) -> None:
    """Print what was measured; ratios are to PyTorch float32 at its best."""
    sides = (*PRECISIONS, *RIVALS)
    name = Column("row", no_wrap=True)
    table = Table(name, *sides, f"{LBFGS_STEPS} L-BFGS steps", title="seconds (ratio)")
    for name, row in rows.items():
        cells = (row["sides"][side] for side in sides)
        optimisation = row.get("lbfgs")
        table.add_row(
            name,
            *(f"{cell['seconds']:.4f} ({cell['ratio']:.2f})" for cell in cells),
            f"{optimisation['times_as_long_as_painting']:.0f} times" if optimisation else "-",
        )
    # Numbers broken in two cannot be read.
    Console(width=max(132, Console().width)).print(table)


def main() -> None:
    """Measure the rows that were asked for, print all that are known and write the record."""
    parser = command.make_parser(__doc__)
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=(*NETWORKS, *TRAININGS, *SMOKE),
        default=[*NETWORKS, *TRAININGS],
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=7)
    command.add_out_option(parser, "results/network_benchmark")
    options = command.parse(parser)
    record = _open_record(options.out / "record.json")

    def note(name: str, measured: dict[str, Any], *which: str) -> None:
        words = [provenance.describe_module(), *which, "--repeats", str(options.repeats)]
        if options.out != parser.get_default("out"):
            words += ["--out", provenance.describe_path(options.out)]
        told = {
            "command": " ".join(words),
            "commit": provenance.current_commit(),
        }
        record["rows"][name] = {**told, **measured}
        write_record(options.out / "record.json", record)
        print(f"{name} measured", flush=True)

    for size in options.sizes:
        networks = [name for name in NETWORKS if name in options.rows]
        if networks:
            lbfgs = lbfgs_work(size)
            lbfgs()  # compiles, and fills the history
            for name in networks:
                measured = time_painting(name, size, lbfgs, repeats=options.repeats)
                note(f"{name} at {size}", measured, "--rows", name, "--sizes", str(size))
    for name in (*TRAININGS, *SMOKE):
        if name in options.rows:
            note(name, time_training(name, repeats=options.repeats), "--rows", name)
    print_table(record["rows"])
    print(f"wrote {options.out / 'record.json'}")


def _open_record(path: Path) -> dict[str, Any]:
    """The record to be added to; rows from elsewhere would not compare."""
    told = side_by_side.describe_run()
    here = {name: told[name] for name in ("machine", "versions", "device")}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return {**here, "rows": {}}
    record = read_record(path)
    if {name: record.get(name) for name in here} != here:
        sys.exit(f"error: {path} is of another machine or other versions; name another --out")
    return record


if __name__ == "__main__":
    main()
