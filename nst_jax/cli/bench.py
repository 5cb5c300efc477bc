"""`nst-jax bench`: how fast this machine paints, as a table like Johnson's Table 1."""

import dataclasses
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import jax
import tyro
from tyro.conf import arg

from nst_jax import files
from nst_jax.array_types import Image, Params
from nst_jax.cli.environment import check_device, describe_device, versions
from nst_jax.cli.tables import print_table
from nst_jax.encoders.vgg import VGG, Architecture
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.losses import perceptual
from nst_jax.ops.convolution import Precision
from nst_jax.ops.resizing import resize
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import make_transformation
from nst_jax.progress import follow_parts
from nst_jax.runs.compile_time import compile_seconds

_STEPS = (100, 300, 500)  # Johnson et al. 2016, table 1


@dataclass(frozen=True)
class Bench:
    """Measure how fast this machine paints: a table like Table 1 of Johnson et al. 2016."""

    sizes: Annotated[tuple[int, ...], arg(metavar="PIXELS [PIXELS ...]")] = (256, 512, 1024)
    """Sides of the square pictures."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    """Precisions of the convolutions."""
    repeats: Annotated[int, arg(metavar="N")] = 5
    """Each time is the median of so many, after one that does not count."""
    encoder: Architecture = "vgg16"
    """The network that judges."""
    record: Annotated[Path | None, arg(metavar="FILE.json", help_behavior_hint="")] = None
    """Also write the numbers."""
    overwrite: Annotated[bool, arg(help_behavior_hint="")] = False
    """Replace the record if it exists."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax bench` say and return the exit status."""
    options = tyro.cli(
        Bench,
        prog="nst-jax bench",
        description=f"{Bench.__doc__}\n\nTakes some five minutes on two cores.",
        args=arguments,
        config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
    )
    check_device()
    _check(options)
    encoder, encoder_params = load_encoder(options.encoder)
    content = files.load_image(files.asset_path("content/neuschwanstein_castle.jpg"))
    style = files.load_image(files.asset_path("style/van_gogh_church_at_auvers.jpg"))
    print(describe_device(), flush=True)
    began, rows = time.perf_counter(), []
    cells = [(size, precision) for size in options.sizes for precision in options.precisions]
    with follow_parts("measuring", unit="rows") as on_part:
        for size, precision in cells:
            on_part(len(rows), len(cells))
            measured = measure(
                resize(content, height=size, width=size),
                resize(style, height=size, width=size),
                dataclasses.replace(encoder, precision=precision),
                encoder_params,
                repeats=options.repeats,
            )
            rows.append({"size": size, "precision": precision, **measured})
        on_part(len(rows), len(cells))
    _print_rows(rows)
    if options.record is not None:
        compiling = sum(row["compile_seconds"] for row in rows)
        record = {
            "command": shlex.join(("nst-jax", "bench", *arguments)),
            "config": options,
            "versions": versions(),
            "device": jax.devices()[0].device_kind,
            "seconds": {"compile": compiling, "run": time.perf_counter() - began - compiling},
            "steps": [],
            "info": {"rows": rows},
        }
        files.write_record(options.record, record)
    return 0


def measure(
    content: Image, style: Image, encoder: VGG, encoder_params: Params, *, repeats: int
) -> dict[str, Any]:
    """Return the milliseconds of a value-and-gradient and of an L-BFGS step, and what else it took.

    Args:
        content: The picture that is moved and whose features are kept.
        style: The painting.
        encoder: The network that judges.
        encoder_params: Its parameters.
        repeats: Times that each is measured; the median counts.
    """
    config = PRESETS["default"]
    weights = perceptual.Weights(dict(config.content_layers), dict(config.style_layers))
    targets = perceptual.compute_targets(
        encoder, encoder_params, content, [style], weights=weights, style_blend=[1.0]
    )
    objective = partial(perceptual.objective, encoder, weights=weights)
    with compile_seconds() as compiling:
        program = (
            jax.jit(jax.value_and_grad(objective, has_aux=True))
            .lower(content, targets, encoder_params)
            .compile()
        )
        tx = make_transformation("lbfgs", learning_rate=1.0, history=config.history)
        optimizer = make_optimizer(program, tx)
        state, _ = optimizer.init(content, targets, encoder_params)

        def step() -> Any:
            nonlocal state
            state, metrics = optimizer.step(state, targets, encoder_params)
            return metrics

        gradient_ms = _median_ms(lambda: program(content, targets, encoder_params), repeats)
        step_ms = _median_ms(step, repeats)
        seconds_compiling = compiling()
    return {
        "gradient_ms": gradient_ms,
        "step_ms": step_ms,
        "compile_seconds": seconds_compiling,
        "gradient_mebibytes": _mebibytes(program),
    }


def _check(options: Bench) -> None:
    if not options.sizes or min(options.sizes) < 16:
        raise ValueError(f"sizes: wanted 16 pixels or more, got {options.sizes}")
    if not options.precisions or options.repeats < 1:
        raise ValueError("precisions, repeats: wanted at least one")
    if options.record is not None:
        files.check_output(options.record, overwrite=options.overwrite, extensions=(".json",))


def _median_ms(work: Callable[[], Any], repeats: int) -> float:
    jax.block_until_ready(work())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _mebibytes(program: Any) -> float | None:
    """What the compiled value-and-gradient needs besides its arguments, where the backend tells."""
    analysis = program.memory_analysis()
    return None if analysis is None else analysis.temp_size_in_bytes / 2**20


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    minutes = tuple(str(steps) for steps in _STEPS)
    headers = ("size", "precision", "gradient", "step", *minutes, "compile", "memory")
    print_table(
        headers,
        [
            (
                str(row["size"]),
                row["precision"],
                f"{row['gradient_ms']:.0f} ms",
                f"{row['step_ms']:.0f} ms",
                *(f"{steps * row['step_ms'] / 60_000:.1f}" for steps in _STEPS),
                f"{row['compile_seconds']:.1f} s",
                "-"
                if row["gradient_mebibytes"] is None
                else f"{row['gradient_mebibytes']:.0f} MiB",
            )
            for row in rows
        ],
        numbers=len(headers) - 2,
    )
    print(
        f"size: of a square picture; gradient: loss and gradient once; step: a whole L-BFGS step;\n"
        f"{', '.join(minutes)}: minutes for so many steps; memory: the gradient's working memory"
    )
