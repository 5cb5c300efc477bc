"""What is asked for of a painted clip, and what became of it."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import PIL.Image
from jaxtyping import Float

from nst_jax import files
from nst_jax.files.disk import FilePath
from nst_jax.files.videos import Clip, Selection
from nst_jax.flow import FlowPreset
from nst_jax.jobs.styles import StyleChoice
from nst_jax.ops.convolution import Precision
from nst_jax.papers import ruder_2016
from nst_jax.stylizers import DEFAULT_MODEL, MAX_PIXELS, Blend, Stylizer, Temporal

SIZE = 640
"""Pixels of the longer side of a painted clip where the user says nothing."""

Method = Literal["network", "optimize"]
"""Whether a network paints in one pass, or pixels are optimised."""

_SELECTION = Selection(size=SIZE)

Pixels = Float[np.ndarray, "_ _ 3"]
OnNote = Callable[[str], None]
OnFrame = Callable[[str, int, int | None], None]
"""What is done, frames done, and frames in all, if known."""


@dataclass(frozen=True)
class VideoJob:
    """What is to be painted, and how.

    Attributes:
        clip: A clip that FFmpeg reads, or a folder of pictures.
        out: A name that ends in .mp4, or a folder.
        choice: The style: one, or several that are blended, have masks, or follow one another.
        style_times: Seconds of the result at which each of the styles is painted; between two of
            them the styles are mixed in proportion. Without any there is one style.
        method: Whether a network paints, or pixels are optimised, which takes far longer.
        config: How pixels are optimised.
        model: A network's name or file, or one that is loaded.
        precision: Of a network that is loaded now; optimize has that of config.picture.
        selection: Which part of the clip, at which size and rate.
        temporal: What is done for consistency where a network paints.
        blend: How pictures are blended then.
        flow: DIS' settings.
        max_pixels: How many pixels run at once.
        overwrite: Whether a clip that exists may be replaced.
        resume: Whether to go on with a run that was stopped.
    """

    clip: FilePath
    out: FilePath
    choice: StyleChoice = field(default_factory=StyleChoice)
    style_times: tuple[float, ...] = ()
    method: Method = "network"
    config: ruder_2016.Config = ruder_2016.PRESETS["default"]
    model: FilePath | Stylizer = DEFAULT_MODEL
    precision: Precision = "float32"
    selection: Selection = _SELECTION
    temporal: Temporal = "blend"
    blend: Blend = field(default_factory=Blend)
    flow: FlowPreset = "medium"
    max_pixels: int = MAX_PIXELS
    overwrite: bool = False
    resume: bool = False


@dataclass
class VideoReport:
    """What became of a clip.

    Attributes:
        frames: How many were painted, those of an earlier run included.
        first: How many of them an earlier run had painted.
        size: Width and height.
        scenes: The frames, counted from 0, at which scenes begin, where statistics were pooled.
        is_finished: Whether the clip is written.
        is_new: Whether anything was painted: not where the clip was finished before.
    """

    frames: int = 0
    first: int = 0
    size: tuple[int, int] = (0, 0)
    scenes: tuple[int, ...] = ()
    is_finished: bool = True
    is_new: bool = True


def identify(job: VideoJob, clip: Clip) -> dict[str, Any]:
    """Return what must be the same for a run to be gone on with: settings, and what files hold.

    Args:
        job: What is painted.
        clip: Its clip.
    """
    fields = dataclasses.fields(job.choice)
    choice = {field.name: getattr(job.choice, field.name) for field in fields}
    return {
        "clip": [files.sha256_of(path) for path in _files_of(job.clip)],
        "frames": str(tuple(clip)),
        "selection": str(tuple(job.selection)),
        "style": {
            name: [*map(_describe, given)] if isinstance(given, tuple) else _describe(given)
            for name, given in choice.items()
        },
        "flow": job.flow,
    }


def _files_of(clip: FilePath) -> list[Path]:
    return files.list_images(clip) if files.is_folder(clip) else [Path(clip)]


def _describe(given: Any) -> str:
    """A word or a number as it is; of a picture a hash."""
    if isinstance(given, str | Path) and files.is_file(given):
        return files.sha256_of(given)
    if isinstance(given, np.ndarray | jax.Array | PIL.Image.Image):
        return hashlib.sha256(np.asarray(given).tobytes()).hexdigest()
    return str(given)
