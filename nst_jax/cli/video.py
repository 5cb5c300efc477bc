"""`nst-jax video`: paint a clip without flicker, by a trained network or by optimising pixels."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.shared_options import (
    FLAG,
    MASK_HELP,
    ColorOption,
    JsonOption,
    parse,
    print_json,
    words_given,
)
from nst_jax.cli.style_options import choose_style
from nst_jax.files.videos import FOLDER_RATE, Selection
from nst_jax.flow import FlowPreset
from nst_jax.jobs import video
from nst_jax.jobs.video_job import SIZE, Method, VideoJob
from nst_jax.ops.convolution import Precision
from nst_jax.papers import ruder_2016
from nst_jax.progress import follow_frames
from nst_jax.stylizers import DEFAULT_MODEL, MAX_PIXELS, Temporal

_DESCRIPTION = """\
Paint a clip frame by frame, without flicker. The sound is copied. A trained network takes moments a
frame; --method optimize works on the pixels of each frame for minutes, and paints more boldly.

Examples:
  nst-jax video clip.mp4 --style painting.jpg -o painted.mp4
  nst-jax video clip.mp4 --model johnson2016-starry_night -o painted.mp4 --size 1024
  nst-jax video clip.mov --style painting.jpg -o painted.mp4 --start 2 --end 5.5
  nst-jax video frames/ --fps 24 --style painting.jpg -o painted/
  nst-jax video clip.mp4 --style a.jpg b.jpg --style-times 0 4.5 -o painted.mp4
  nst-jax video clip.mp4 --style painting.jpg -o painted.mp4 --method optimize --size 320

It needs two packages more: pip install av opencv-python-headless"""

_PRESETS = "(default: the preset's)"
_PRESET_HELP = (
    f"Where what you leave out comes from: {', '.join(ruder_2016.PRESETS)}. Those after the paper "
    "want VGG-19."
)
_TEMPORAL_HELP = (
    "What is done against flicker. blend: each picture takes up the last one along the motion. "
    "statistics: all frames of a scene are normalised alike. all: both. off: nothing."
)


_NUM_STEPS_HELP = (
    "Steps of a scene's first frame and of every other one; one number is for both. Of several "
    "passes there is one number, each pass's."
)


@dataclass(frozen=True)
class PixelOptions:
    """For --method optimize (Ruder et al. 2016)."""

    preset: Annotated[str, arg(metavar="NAME", help=_PRESET_HELP)] = "default"
    num_steps: Annotated[
        tuple[int, ...], arg(metavar="N [M]", help=_NUM_STEPS_HELP, help_behavior_hint=_PRESETS)
    ] = ()
    content_weight: Annotated[float | None, arg(metavar="W", help_behavior_hint=_PRESETS)] = None
    """More keeps more of the clip."""
    style_weight: Annotated[float | None, arg(metavar="W", help_behavior_hint=_PRESETS)] = None
    """More paints more boldly."""
    temporal_weight: Annotated[float | None, arg(metavar="W", help_behavior_hint=_PRESETS)] = None
    """More keeps a frame closer to those before it."""
    distances: Annotated[
        tuple[int, ...], arg(metavar="N [N ...]", help_behavior_hint=_PRESETS)
    ] = ()
    """The frames before that a frame is kept close to: 1 2 4 finds again what was covered."""
    passes: Annotated[int | None, arg(metavar="N", help_behavior_hint=_PRESETS)] = None
    """Go through the clip so often, forwards and backwards in turn."""


@dataclass(frozen=True)
class Video:
    """Paint a clip by a trained network, or by optimising pixels."""

    clip: Annotated[Positional[Path], arg(metavar="CLIP|FOLDER", help_behavior_hint="(required)")]
    """A clip of any format, or a folder of pictures, in the order of their names."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The clip to write, which ends in .mp4; or a folder, for pictures."""
    method: Method = "network"
    """Whether a network paints, or pixels are optimised, which takes minutes a frame."""
    model: Annotated[str, arg(metavar="NAME|FILE")] = DEFAULT_MODEL
    """A model that comes along (nst-jax stylize --help lists them), or a .safetensors file."""
    style: Annotated[tuple[str, ...], arg(metavar="STYLE [STYLE ...]", help_behavior_hint="")] = ()
    """The painting; for a model of certain styles a style's name. Several want --style-times,
    --style-blend or --mask; --method optimize blends them."""
    style_times: Annotated[
        tuple[float, ...], arg(metavar="SECONDS [...]", help_behavior_hint="")
    ] = ()
    """When in the result each of several styles is painted; in between they are mixed."""
    style_blend: Annotated[tuple[float, ...], arg(metavar="W [W ...]", help_behavior_hint="")] = ()
    """Paint in a mixture of several styles, with these weights."""
    size: Annotated[int, arg(metavar="PIXELS")] = SIZE
    """Longer side of the result."""
    style_size: Annotated[
        int | None, arg(metavar="PIXELS", help_behavior_hint="(default: the model's own)")
    ] = None
    """Longer side of the painting: less makes a crisper picture, more a softer one."""
    alpha: Annotated[float, arg(metavar="A", help_behavior_hint="(default: 1)")] = 1.0
    """How much of the style: from 0, the clip, to 1."""
    mask: Annotated[
        tuple[Path, ...],
        arg(metavar="FILE [FILE ...]", help_behavior_hint="", help=MASK_HELP),
    ] = ()
    color: ColorOption = "style"
    start: Annotated[float, arg(metavar="SECONDS")] = 0.0
    """Where in the clip to begin."""
    end: Annotated[
        float | None, arg(metavar="SECONDS", help_behavior_hint="(default: its end)")
    ] = None
    """Where in the clip to end."""
    fps: Annotated[
        float | None,
        arg(metavar="N", help_behavior_hint=f"(default: as it is; {FOLDER_RATE} for a folder)"),
    ] = None
    """Frames a second."""
    temporal: Annotated[Temporal, arg(help=_TEMPORAL_HELP)] = "blend"
    flow: FlowPreset = "medium"
    """How motion is found: from the fastest to the most exact."""
    precision: Precision = "float32"
    """bfloat16 is faster, and almost as exact."""
    max_pixels: Annotated[int, arg(metavar="N")] = MAX_PIXELS
    """Pixels that run at once; larger frames run in tiles. Less needs less memory."""
    pixels: OmitArgPrefixes[PixelOptions] = PixelOptions()
    resume: Annotated[bool, FLAG] = False
    """Go on with a run that was stopped, whose frames are in OUT.state; a finished clip stays."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace a result that exists."""
    json: JsonOption = False
    quiet: Annotated[bool, FLAG] = False
    """Print nothing but errors."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax video` say and return the exit status."""
    options = parse(Video, arguments, command="video", description=_DESCRIPTION)
    check_device()
    keep_compiled_programs()
    began = time.perf_counter()

    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True, file=sys.stderr if options.json else sys.stdout)

    with nullcontext(None) if options.quiet else follow_frames() as on_frame:
        job = _job(options, words_given(arguments))
        report = video.run(job, on_frame=on_frame, on_note=say)
    if options.json:
        values = {"file": options.out, **dataclasses.asdict(report)}
        print_json("video", {**values, "seconds": time.perf_counter() - began})
    elif report.is_new:
        seconds, count = time.perf_counter() - began, report.frames - report.first
        width, height = report.size
        before = f", {report.first} of them before" if report.first else ""
        say(
            f"{options.out}: {report.frames} frames of {width}x{height} pixels{before}; "
            f"{count} in {seconds:.0f} s"
        )
    return 0


def _job(options: Video, given: frozenset[str]) -> VideoJob:
    selection = Selection(
        size=options.size,
        start=_fraction("start", options.start),
        end=None if options.end is None else _fraction("end", options.end),
        fps=None if options.fps is None else _fraction("fps", options.fps),
    )
    _refuse_other_method(options.method, given)
    return VideoJob(
        clip=options.clip,
        out=options.out,
        choice=choose_style(options, given),
        style_times=options.style_times,
        method=options.method,
        config=_config(options),
        model=options.model,
        precision=options.precision,
        selection=selection,
        temporal=options.temporal,
        flow=options.flow,
        max_pixels=options.max_pixels,
        overwrite=options.overwrite,
        resume=options.resume,
    )


def _refuse_other_method(method: Method, given: frozenset[str]) -> None:
    """Refuse what only the other method has."""
    own = {field.name for field in dataclasses.fields(PixelOptions)}
    others = own if method == "network" else {"model", "temporal", "max_pixels"}
    for name in sorted(others & given):
        wanted = "optimize" if method == "network" else "network"
        raise ValueError(
            f"{name}: wanted with --method {wanted}, got it with {method}; leave out "
            f"--{name.replace('_', '-')}"
        )


def _config(options: Video) -> ruder_2016.Config:
    """How pixels are optimised."""
    pixels = options.pixels
    if pixels.preset not in ruder_2016.PRESETS:
        choices = ", ".join(ruder_2016.PRESETS)
        raise ValueError(f"preset: wanted {choices}, got {pixels.preset!r}")
    config = ruder_2016.PRESETS[pixels.preset]
    changes: dict[str, Any] = {
        name: getattr(pixels, name) for name in ("temporal_weight", "distances", "passes")
    }
    picture: dict[str, Any] = {
        "content_weight": pixels.content_weight,
        "style_weight": pixels.style_weight,
        "style_blend": options.style_blend or None,
        "style_size": options.style_size,
        "precision": options.precision,
    }
    steps = list(pixels.num_steps)
    if len(steps) > 2:
        got = " ".join(map(str, steps))
        raise ValueError(f"num_steps: wanted one number or two, got {got}")
    if steps:
        picture["num_steps"] = steps[0]
        changes["num_steps"] = changes["pass_steps"] = steps[-1]
    known = {name: value for name, value in picture.items() if value is not None}
    changes = {name: value for name, value in changes.items() if value not in (None, ())}
    return dataclasses.replace(
        config, picture=dataclasses.replace(config.picture, **known), **changes
    )


def _fraction(name: str, value: float) -> Fraction:
    """A number as it was typed: 29.97 is 2997/100."""
    try:
        return Fraction(str(value))
    except ValueError as error:
        raise ValueError(f"{name}: wanted a finite number, got {value}") from error
