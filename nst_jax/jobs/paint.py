"""One picture painted by optimising its pixels; paint_file makes a file of it.

Nothing is printed. A run reports by on_progress and on_note, ends early by a cancel flag that any
thread may set, and returns its picture with its record.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from nst_jax import files
from nst_jax.array_types import Image, ImageOfAnySize, Params
from nst_jax.encoders.parted import make_mesh
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files import scratch_arrays
from nst_jax.jobs import pictures
from nst_jax.jobs.masks import check_mask, check_style_masks, load_masks, load_style_masks
from nst_jax.losses.styles import guided_names
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import PRESETS, Config, Record, plan, stylize
from nst_jax.pixels.layouts import Layout
from nst_jax.pixels.levels import Level
from nst_jax.pixels.saved_state import Save, SavedRun
from nst_jax.pixels.tiles import zeros_in_memory
from nst_jax.regions.masks import Mask, Masks
from nst_jax.runs.interrupts import Cancel, cancelled_by
from nst_jax.runs.report import Report


@dataclass(frozen=True)
class PaintJob:
    """What is to be painted. Pictures are paths, Pillow's pictures or arrays; see jobs.pictures.

    Attributes:
        content: The photograph.
        styles: The paintings; several are blended, or each painted in its own mask.
        config: How; see papers.gatys_2016.Config.
        initial: The picture to begin with where config.init names a file; that file if None.
        masks: Where in the photograph each style goes; see jobs.masks.
        style_masks: Which part of each painting counts.
        fine_style: A painting whose fine texture the styles get before they are used.
        scale: How many of the lowest layers give that texture, from 1 to 5; see mixing_config.
        devices: Over how many devices the picture's rows are parted.
        tile: The longest side, in pixels, of tiles that are computed one at a time; None for all at
            once.
        scratch: With tile, a folder that keeps what the optimiser remembers; None keeps it in
            memory.
    """

    content: Any
    styles: Sequence[Any]
    config: Config = PRESETS["default"]
    initial: Any = None
    masks: Sequence[Any] = ()
    style_masks: Sequence[Any] = ()
    fine_style: Any = None
    scale: int | None = None
    devices: int = 1
    tile: int | None = None
    scratch: Any = None


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        stage: What is done now: "mixing" a fine texture into a painting, or "painting".
        levels: The sizes of the stage's steps.
        first_step: Steps done before, by a run that is resumed.
        report: The step that was made now; None at a stage's beginning.
    """

    stage: str
    levels: Sequence[Level]
    first_step: int
    report: Report | None = None


class Painted(NamedTuple):
    """What a run came to.

    Attributes:
        image: The picture, clipped to [0, 1]; as it stands where the run was stopped.
        record: Config, versions, seconds, steps, info; as gatys_2016.stylize has it.
        is_finished: Whether all steps are done.
    """

    image: Image
    record: Record
    is_finished: bool


class Pictures(NamedTuple):
    """A job's pictures, loaded and checked."""

    content: Image
    styles: list[Image]
    initial: Image | None
    masks: Masks | None
    style_masks: tuple[Mask | None, ...]
    fine_style: Image | None


@runtime_checkable
class MixtureKeeper(Protocol):
    """Keeps paintings that were mixed, to the last bit: another machine would mix others."""

    def keep_mixed(
        self, styles: Sequence[ImageOfAnySize], records: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep paintings, and the records of their mixing."""
        ...

    def load_mixed(self) -> tuple[list[ImageOfAnySize], list[Any]] | None:
        """Return what keep_mixed was given, or None."""
        ...


OnProgress = Callable[[Progress], None]
OnNote = Callable[[str], None]
OnPreview = Callable[[np.ndarray, int], None]


class Hooks(NamedTuple):
    """What a run calls, and what it goes on from; as gatys_2016.stylize and paint have it."""

    on_progress: OnProgress | None = None
    on_preview: OnPreview | None = None
    save: Save | None = None
    save_every: int = 0
    resume: SavedRun | None = None


def mixing_config(config: Config, *, scale: int | None = None) -> gatys_2017.Config:
    """Return how a fine texture is mixed into paintings: with the run's own network and steps.

    Args:
        config: The run's configuration.
        scale: How many of the lowest layers give the texture, from 1 to 5.

    Raises:
        ValueError: scale is out of range.
    """
    mixing = gatys_2017.PRESETS["cpu"]
    if scale is not None:
        mixing = dataclasses.replace(mixing, style_layers=gatys_2017.low_layers(scale))
    return dataclasses.replace(
        mixing,
        encoder=config.encoder,
        weights=config.weights,
        pooling=config.pooling,
        num_steps=config.num_steps,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        history=config.history,
        precision=config.precision,
    )


def paint(
    job: PaintJob,
    *,
    on_progress: OnProgress | None = None,
    on_preview: OnPreview | None = None,
    save_every: int = 0,
    cancel: Cancel | None = None,
) -> Painted:
    """Return the photograph painted in the styles.

    Args:
        job: What to paint.
        on_progress: Called at the beginning of every stage and after every step.
        on_preview: Called every save_every steps with the picture as it stands and the step.
        save_every: Steps between previews; 0 for none.
        cancel: A flag that any thread may set, such as a threading.Event: the run ends after the
            step in progress. Ctrl-C does the same.

    Raises:
        ValueError: The pictures or config do not fit together.
        OSError: A file cannot be read.
        DivergedError: The loss ceased to be a sensible number.
        KeyboardInterrupt: The run was stopped before it had begun to paint.
    """
    loaded = load_pictures(job)
    keep = (lambda arrays, metadata: None) if on_preview is not None else None
    hooks = Hooks(on_progress, on_preview, keep, save_every)
    with cancelled_by(cancel):
        return paint_loaded(job, loaded, hooks)


def layout_of(job: PaintJob) -> Layout:
    """Return how a job's picture is laid out over devices and in memory.

    Raises:
        ValueError: There are not so many devices, or two options do not fit together.
    """
    if job.scratch is not None and job.tile is None:
        raise ValueError(
            "scratch: wanted with tile, which works on the host's arrays; add a tile or leave "
            "scratch out"
        )
    return Layout(
        mesh=None if job.devices == 1 else make_mesh(job.devices),
        tile=job.tile,
        new_array=zeros_in_memory if job.scratch is None else scratch_arrays(job.scratch),
    )


def load_pictures(job: PaintJob) -> Pictures:
    """Return a job's pictures, at the sizes that its config asks for.

    Raises:
        ValueError: They do not fit together or the config.
        OSError: A file cannot be read.
    """
    config = job.config
    layout_of(job)  # for its errors
    if not job.styles:
        raise ValueError("style: wanted at least one painting after the photograph, got none")
    given = (job.content, *job.styles, *job.masks, *job.style_masks, job.fine_style)
    files.refuse_missing(given)
    initial = job.initial
    if config.begins_with_file:
        if initial is None and not os.path.exists(config.init):
            raise ValueError(
                f"init: wanted content, noise, style or a picture's file, got {config.init!r}"
            )
        initial = pictures.load(config.init if initial is None else initial, name="init")
    content = pictures.load(job.content, size=config.size, name="content")
    style_size = config.style_size or config.size
    styles = [pictures.load(style, size=style_size, name="style") for style in job.styles]
    if job.masks and config.style_blend is not None:
        raise ValueError("mask: wanted without --style-blend, which mixes styles everywhere")
    if (job.masks or job.style_masks) and config.loss.guided is None:
        option = "mask" if job.masks else "style_mask"
        raise ValueError(
            f"{option}: wanted with --style-loss {' or '.join(guided_names())}, "
            f"got {config.style_loss}"
        )
    masks = load_masks(job.masks, len(styles))
    check_mask(job.masks, masks, np.asarray(content[0]))
    style_masks = load_style_masks(job.style_masks, len(styles))
    check_style_masks(job.style_masks, style_masks, [np.asarray(style[0]) for style in styles])
    fine = job.fine_style
    fine_style = None if fine is None else pictures.load(fine, size=style_size, name="fine_style")
    return Pictures(content, styles, initial, masks, style_masks, fine_style)


def paint_loaded(
    job: PaintJob, loaded: Pictures, hooks: Hooks, *, keeper: MixtureKeeper | None = None
) -> Painted:
    """Return what paint does, of pictures that are loaded.

    Args:
        job: What to paint.
        loaded: Its pictures.
        hooks: What the run calls.
        keeper: Where paintings with a fine texture are kept for a run that is resumed.

    Raises:
        ValueError, DivergedError, KeyboardInterrupt: As paint.
    """
    network = load_encoder(job.config.encoder, weights=job.config.weights)
    mixed: list[Record] = []
    if loaded.fine_style is not None:
        found = None if keeper is None or hooks.resume is None else keeper.load_mixed()
        if found is None:
            found = _mix_fine_style(job, loaded, network, hooks.on_progress)
            if keeper is not None:
                keeper.keep_mixed(*found)
        loaded, mixed = loaded._replace(styles=found[0]), found[1]
    first_step = hooks.resume[1]["step"] if hooks.resume else 0
    levels = plan(loaded.content, job.config, styles=loaded.styles)
    image, record = stylize(
        loaded.content,
        loaded.styles,
        job.config,
        *network,
        initial_image=loaded.initial,
        masks=loaded.masks,
        style_masks=loaded.style_masks,
        on_step=_follow(hooks.on_progress, "painting", levels, first_step),
        on_preview=hooks.on_preview,
        save=hooks.save,
        save_every=hooks.save_every,
        resume=hooks.resume,
        layout=layout_of(job),
    )
    if mixed:
        record["info"]["fine_style"] = mixed
    if guidance := record["info"].get("guidance"):
        guidance["masks"] = [_place_of(mask) for mask in job.masks]
        guidance["style_masks"] = [_place_of(mask) for mask in job.style_masks]
    return Painted(image, record, not record["info"]["interrupted"])


def _mix_fine_style(
    job: PaintJob,
    loaded: Pictures,
    network: tuple[VGG, Params],
    on_progress: OnProgress | None,
) -> tuple[list[ImageOfAnySize], list[Record]]:
    """The paintings with fine_style's texture, and how it came there."""
    assert loaded.fine_style is not None
    styles: list[ImageOfAnySize] = []
    records: list[Record] = []
    mixing = mixing_config(job.config, scale=job.scale)
    for style in loaded.styles:
        on_step = _follow(on_progress, "mixing", gatys_2017.plan(style, mixing), 0)
        mixed, record = gatys_2017.mix_scales(
            style, loaded.fine_style, mixing, *network, on_step=on_step
        )
        if record["info"]["interrupted"]:
            raise KeyboardInterrupt("stopped while the paintings were mixed; nothing new is kept")
        styles.append(mixed)
        records.append(record)
    return styles, records


def _place_of(picture: Any) -> str:
    """Where a picture comes from, for a record."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else "given"


def _follow(
    on_progress: OnProgress | None, stage: str, levels: Sequence[Level], first_step: int
) -> Callable[[Report], None] | None:
    if on_progress is None:
        return None
    on_progress(Progress(stage, levels, first_step))
    return lambda report: on_progress(Progress(stage, levels, first_step, report))
