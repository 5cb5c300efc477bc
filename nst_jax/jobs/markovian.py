"""One photograph painted against a discriminator of the painting's patches, in a run's folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nst_jax import train
from nst_jax.array_types import Image
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files.disk import FilePath
from nst_jax.jobs import pictures
from nst_jax.papers import li_wand_2016
from nst_jax.papers.li_wand_2016 import Config, Painted
from nst_jax.pixels.levels import Level
from nst_jax.runs.interrupts import Cancel, cancelled_by
from nst_jax.runs.report import Report
from nst_jax.train.checkpoints import saved_steps


@dataclass(frozen=True, kw_only=True)
class MarkovianJob:
    """What is to be painted. Pictures are paths, Pillow's pictures or arrays; see jobs.pictures.

    Attributes:
        content: The photograph.
        style: The painting.
        workdir: The run's folder, from which a run that was stopped goes on.
        config: How; see papers.li_wand_2016.Config.
        save_every: Steps between checkpoints; 0 saves at the end alone.
        report_every: Steps between distances, and between samples; 0 makes them at the end.
    """

    content: Any
    style: Any
    workdir: FilePath
    config: Config = li_wand_2016.PRESETS["cpu"]
    save_every: int = 25
    report_every: int = 25


class Begun(NamedTuple):
    """What is known of a run before its first step.

    Attributes:
        level: Its size and its last step.
        first_step: How many steps an earlier run has left in the workdir.
    """

    level: Level
    first_step: int


def paint(
    job: MarkovianJob,
    *,
    on_start: Callable[[Begun], None] | None = None,
    on_progress: Callable[[Report], None] | None = None,
    cancel: Cancel | None = None,
) -> Painted:
    """Return the photograph painted; go on with what the workdir holds.

    Nothing is printed. Ctrl-C and the cancel flag end the run after the step in progress with a
    checkpoint; the same job then goes on from there to the same picture, bit for bit.

    Args:
        job: What to paint.
        on_start: Called once, before the first step.
        on_progress: Called with every step's losses, in order, up to two steps late.
        cancel: A flag that any thread may set, such as a threading.Event.

    Raises:
        ValueError: The pictures or config do not fit together, or workdir holds another run.
        OSError: A file cannot be read or written.
        TrainingDivergedError: As li_wand_2016.stylize.
    """
    config = job.config
    reporting = train.Reporting(
        job.workdir,
        on_step=on_progress,
        save_every=job.save_every,
        report_every=job.report_every,
        log_every=1,
    )
    reporting.check()
    content: Image = pictures.load(job.content, size=config.size, name="content")
    style = pictures.load(job.style, size=config.style_size, name="style")
    encoder, encoder_params = load_encoder(config.encoder, weights=config.weights)
    height, width = content.shape[1:3]
    done = max(saved_steps(Path(job.workdir, "checkpoints")), default=0)
    if on_start is not None:
        on_start(Begun(Level(height, width, 1.0, config.num_steps), done))
    with cancelled_by(cancel):
        return li_wand_2016.stylize(
            content,
            style,
            config,
            encoder,
            encoder_params,
            reporting=reporting,
        )
