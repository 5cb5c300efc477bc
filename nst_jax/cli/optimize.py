"""`nst-jax optimize`: paint a photograph in a painting's style by optimising its pixels."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.array_types import Image
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.optimize_options import FileOptions, parse_options
from nst_jax.cli.shared_options import print_json
from nst_jax.cli.standard_streams import STREAM, output_file, take_standard_input
from nst_jax.jobs.outputs import place_in_folder
from nst_jax.jobs.paint import Painted
from nst_jax.jobs.paint_file import paint_file
from nst_jax.jobs.unfinished import Unfinished
from nst_jax.papers.gatys_2016 import Record
from nst_jax.progress import describe_losses, describe_seconds, follow_painting


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax optimize` say and return the exit status."""
    job, out, options, _, warning = parse_options(arguments)
    check_device()
    told_on = sys.stderr if options.json or out == STREAM else sys.stdout

    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True, file=told_on)

    if warning is not None:
        say(warning)
    if out == STREAM:
        _check_stream(options)
    content, *styles = take_standard_input([job.content, *job.styles], name="content and style")
    job = dataclasses.replace(job, content=content, styles=tuple(styles))
    keep_compiled_programs()
    with (
        output_file(out) as file,
        files.no_empty_folder(file),
        follow_painting(quiet=options.quiet, verbose=options.verbose) as on_progress,
    ):
        path = place_in_folder(file, job.content)
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
    if options.json:
        print_json("optimize", _to_json(path, painted))
    if painted is None:
        return 0
    if not painted.is_finished:
        kept = None if out == STREAM else Unfinished(path)
        return _tell_interrupted(painted.record, job.config.num_steps, kept)
    if restarts := painted.record["info"]["restarts"]:
        steps = ", ".join(map(str, restarts))
        say(f"the loss ran away at step {steps}: went on from the best picture")
    if not options.json:
        shown = "standard output" if out == STREAM else path
        say(describe_result(shown, painted.image, painted.record))
    return 0


def _check_stream(options: FileOptions) -> None:
    """Refuse what cannot go with standard output."""
    for name in ("json", "resume", "save_every"):
        if getattr(options, name):
            raise ValueError(
                f"{name}: wanted with a file as -o, got -o -, which keeps nothing beside the "
                f"picture; name a file, or leave out --{name.replace('_', '-')}"
            )


def describe_result(path: os.PathLike[str] | str, image: Image, record: Record) -> str:
    """Return two lines: what was written, in what time, and the picture's losses."""
    height, width = image.shape[1:3]
    last = dict(record["steps"][-1])
    total, _ = last.pop("total"), last.pop("step")
    seconds = record["seconds"]
    took = describe_seconds(sum(seconds.values()), seconds["compile"])
    return f"{os.fspath(path)}: {width}x{height} pixels in {took}\n{describe_losses(total, last)}"


def _to_json(path: Path, painted: Painted | None) -> dict[str, Any]:
    """What --json prints of a run; only that it is finished, where it was so before."""
    if painted is None:
        return {"file": path, "finished": True, "new": False}
    height, width = painted.image.shape[1:3]
    return {
        "file": path if painted.is_finished else None,
        "finished": painted.is_finished,
        "new": True,
        "preview": None if painted.is_finished else Unfinished(path).preview,
        "width": width,
        "height": height,
        "losses": painted.record["steps"][-1] if painted.record["steps"] else None,
        "seconds": painted.record["seconds"],
    }


def _tell_interrupted(record: Record, num_steps: int, unfinished: Unfinished | None) -> int:
    kept = "nothing is kept of what goes to standard output"
    if unfinished is not None:
        kept = f"the picture so far is {unfinished.preview}; the same command with --resume goes on"
    step = record["steps"][-1]["step"]
    print(f"stopped after step {step} of {num_steps}; {kept}", file=sys.stderr)
    return INTERRUPTED
