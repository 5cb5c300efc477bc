"""`nst-jax bench`: how fast this machine paints, as a table like Johnson's Table 1."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import jax
from tyro.conf import arg

from nst_jax import files
from nst_jax.cli.environment import check_device, describe_device
from nst_jax.cli.shared_options import FLAG, parse
from nst_jax.cli.tables import print_table
from nst_jax.encoders.vgg import Architecture
from nst_jax.jobs.speed import Row, measure_all
from nst_jax.ops.convolution import Precision
from nst_jax.progress import follow_parts
from nst_jax.runs.record import versions

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
    overwrite: Annotated[bool, FLAG] = False
    """Replace the record if it exists."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax bench` say and return the exit status."""
    description = f"{Bench.__doc__}\n\nTakes some five minutes on two cores."
    options = parse(Bench, arguments, command="bench", description=description)
    check_device()
    if options.record is not None:
        files.check_output(options.record, overwrite=options.overwrite, extensions=(".json",))
    print(describe_device(), flush=True)
    began = time.perf_counter()
    with follow_parts("measuring", unit="rows") as on_progress:
        rows = measure_all(
            options.sizes,
            options.precisions,
            encoder=options.encoder,
            repeats=options.repeats,
            on_progress=on_progress,
        )
    _print_rows(rows)
    if options.record is not None:
        compiling = sum(row.compile_seconds for row in rows)
        record = {
            "command": shlex.join(("nst-jax", "bench", *arguments)),
            "config": options,
            "versions": versions(),
            "device": jax.devices()[0].device_kind,
            "seconds": {"compile": compiling, "run": time.perf_counter() - began - compiling},
            "steps": [],
            "info": {"rows": [row._asdict() for row in rows]},
        }
        files.write_record(options.record, record, overwrite=options.overwrite)
    return 0


def _print_rows(rows: Sequence[Row]) -> None:
    minutes = tuple(str(steps) for steps in _STEPS)
    headers = ("size", "precision", "gradient", "step", *minutes, "compile", "memory")
    cells = [
        (
            str(row.size),
            row.precision,
            f"{row.gradient_ms:.0f} ms",
            f"{row.step_ms:.0f} ms",
            *(f"{steps * row.step_ms / 60_000:.1f}" for steps in _STEPS),
            f"{row.compile_seconds:.1f} s",
            "-" if row.gradient_mebibytes is None else f"{row.gradient_mebibytes:.0f} MiB",
        )
        for row in rows
    ]
    print_table(headers, cells, numbers=len(headers) - 2)
    print(
        f"size: of a square picture; gradient: loss and gradient once; step: a whole L-BFGS step;\n"
        f"{', '.join(minutes)}: minutes for so many steps; memory: the gradient's working memory"
    )
