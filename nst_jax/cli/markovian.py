"""`nst-jax markovian`: a photograph painted against a discriminator of the painting's patches."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nst_jax import files
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.shared_options import FLAG, parse
from nst_jax.jobs.markovian import Begun, MarkovianJob, paint
from nst_jax.papers.li_wand_2016 import PRESETS, Config
from nst_jax.progress import follow_steps
from nst_jax.runs.report import Report

_DESCRIPTION = """\
Paint a photograph whose patches pass for the painting's (MDAN of Li and Wand 2016).

A discriminator learns to tell the picture's patches from the painting's, while the picture learns
to deceive it. nst-jax optimize has losses that stay as they are, and suits most pictures better.

Example:
  nst-jax markovian photo.jpg painting.jpg -o out.png --workdir run/

The same command on the same --workdir goes on where it was stopped or killed.
RUN/metrics.jsonl has, for each step, how often the discriminator was right."""

_PRESETS = arg(metavar="NAME", help=f"Where the other settings come from: {', '.join(PRESETS)}.")
_PRESET_DECIDES = "(default: the preset's)"


@dataclass(frozen=True)
class MarkovianOptions:
    """Paint a photograph against a discriminator."""

    content: Annotated[Positional[Path], arg(metavar="PHOTO", help_behavior_hint="(required)")]
    """The photograph."""
    painting: Annotated[Positional[Path], arg(metavar="PAINTING", help_behavior_hint="(required)")]
    """The painting."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The picture to write: .png, .jpg, .webp, .tif or .bmp."""
    workdir: Annotated[Path, arg(metavar="RUN")]
    """The run's folder: checkpoints, logs, samples."""
    preset: Annotated[str, _PRESETS] = "cpu"
    size: Annotated[int | None, arg(metavar="PIXELS", help_behavior_hint=_PRESET_DECIDES)] = None
    """Longer side of the picture."""
    style_size: Annotated[int | None, arg(metavar="PIXELS", help_behavior_hint=_PRESET_DECIDES)] = (
        None
    )
    """Longer side of the painting. Smaller means finer strokes."""
    num_steps: Annotated[int | None, arg(metavar="N", help_behavior_hint=_PRESET_DECIDES)] = None
    """Turns of the discriminator and of the picture."""
    content_weight: Annotated[
        float | None, arg(metavar="W", help_behavior_hint=_PRESET_DECIDES)
    ] = None
    """More keeps more of the photograph."""
    adversarial_weight: Annotated[
        float | None, arg(metavar="W", help_behavior_hint=_PRESET_DECIDES)
    ] = None
    """More paints more boldly."""
    tv_weight: Annotated[float | None, arg(metavar="W", help_behavior_hint=_PRESET_DECIDES)] = None
    """More makes a smoother picture (total variation)."""
    learning_rate: Annotated[float | None, arg(metavar="R", help_behavior_hint=_PRESET_DECIDES)] = (
        None
    )
    """Of the picture, whose range is 1."""
    discriminator_learning_rate: Annotated[
        float | None, arg(metavar="R", help_behavior_hint=_PRESET_DECIDES)
    ] = None
    """Of the discriminator. Less where it wins: where its accuracy stays above 0.95."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of the discriminator's first parameters, and of what is shown of the painting."""
    save_every: Annotated[int, arg(metavar="N")] = 25
    """Save a checkpoint every N steps; 0 saves at the end and on Ctrl-C only."""
    report_every: Annotated[int, arg(metavar="N")] = 25
    """Measure distances and write a sample every N steps; 0 does at the end only."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace a picture that exists."""
    quiet: Annotated[bool, FLAG] = False
    """Print nothing but errors."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax markovian` say and return the exit status."""
    options = parse(MarkovianOptions, arguments, command="markovian", description=_DESCRIPTION)
    config = _make_config(options)
    check_device()
    files.check_output(options.out, overwrite=options.overwrite)
    keep_compiled_programs()
    job = MarkovianJob(
        content=options.content,
        style=options.painting,
        workdir=options.workdir,
        config=config,
        save_every=options.save_every,
        report_every=options.report_every,
    )
    began = time.perf_counter()
    with _Progress(quiet=options.quiet) as progress:
        painted = paint(job, on_start=progress.begin, on_progress=progress.show)
    if painted.step < config.num_steps:
        told = f"stopped after step {painted.step} of {config.num_steps}; the same command goes on"
        print(told, file=sys.stderr)
        return INTERRUPTED
    origin = shlex.join(("nst-jax", "markovian", *arguments))
    files.save_image(options.out, painted.image, overwrite=options.overwrite, origin=origin)
    if not options.quiet:
        distances = ", ".join(f"{name} {value:.4g}" for name, value in painted.held_out.items())
        seconds = time.perf_counter() - began
        print(f"{options.out}: {painted.step} steps in {seconds:.0f} s; distances: {distances}")
    return 0


def _make_config(options: MarkovianOptions) -> Config:
    if options.preset not in PRESETS:
        raise ValueError(f"preset: wanted {', '.join(PRESETS)}, got {options.preset!r}")
    names = {field.name for field in dataclasses.fields(Config)}
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name in names and getattr(options, field.name) is not None
    }
    return dataclasses.replace(PRESETS[options.preset], **given)


class _Progress:
    """What is shown of a run from its first step on."""

    def __init__(self, *, quiet: bool):
        self._quiet, self._stack = quiet, ExitStack()
        self._on_step: Callable[[Report], None] | None = None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def begin(self, begun: Begun) -> None:
        follow = follow_steps([begun.level], first_step=begun.first_step, quiet=self._quiet)
        self._on_step = self._stack.enter_context(follow)

    def show(self, report: Report) -> None:
        if self._on_step is not None:
            self._on_step(report)
