"""`nst-jax optimize`: paint a photograph in a painting's style by optimising its pixels."""

import os
import shlex
import sys
from collections.abc import Sequence

from nst_jax import files
from nst_jax.array_types import Image
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.optimize_options import parse_options
from nst_jax.jobs.outputs import place_in_folder
from nst_jax.jobs.paint_file import paint_file
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.papers.gatys_2016 import Record
from nst_jax.progress import describe_losses, describe_seconds, follow_painting


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax optimize` say and return the exit status."""
    job, out, options, _, warning = parse_options(arguments)
    check_device()

    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True)

    if warning is not None:
        say(warning)
    keep_compiled_programs()
    with (
        files.no_empty_folder(out),
        follow_painting(quiet=options.quiet) as on_progress,
    ):
        path = place_in_folder(out, job.content)
        painted = paint_file(
            job,
            path,
            record=options.record,
            command=shlex.join(("nst-jax", "optimize", *arguments)),
            save_every=options.save_every,
            resume=options.resume,
            overwrite=options.overwrite,
            on_progress=on_progress,
            on_note=say,
        )
    if painted is None:
        return 0
    if not painted.is_finished:
        return _tell_interrupted(painted.record, job.config.num_steps, Unfinished(path))
    if restarts := painted.record["info"]["restarts"]:
        steps = ", ".join(map(str, restarts))
        say(f"the loss ran away at step {steps}: went on from the best picture")
    say(describe_result(path, painted.image, painted.record))
    return 0


def describe_result(path: os.PathLike[str], image: Image, record: Record) -> str:
    """Return two lines: what was written, in what time, and the picture's losses."""
    height, width = image.shape[1:3]
    last = dict(record["steps"][-1])
    total, _ = last.pop("total"), last.pop("step")
    seconds = record["seconds"]
    took = describe_seconds(sum(seconds.values()), seconds["compile"])
    return f"{os.fspath(path)}: {width}x{height} pixels in {took}\n{describe_losses(total, last)}"


def _tell_interrupted(record: Record, num_steps: int, unfinished: Unfinished) -> int:
    print(
        f"stopped after step {record['steps'][-1]['step']} of {num_steps}; the picture so "
        f"far is {unfinished.preview}; the same command with --resume goes on",
        file=sys.stderr,
    )
    return INTERRUPTED
