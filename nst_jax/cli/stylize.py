"""`nst-jax stylize`: paint photographs by a trained network, one pass each."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, arg

from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import BAD_INPUT, one_line
from nst_jax.cli.progress import follow_parts
from nst_jax.cli.stylize_plan import ALL, Job, Rendering, choose_renderings, plan_jobs
from nst_jax.cli.stylize_work import Report, paint_all
from nst_jax.convolution import Precision
from nst_jax.files.pictures import MAX_SIDE, MIN_SIDE
from nst_jax.optimize import compile_seconds
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    LEAST_PIXELS,
    MAX_PIXELS,
    Stylizer,
    list_models,
    load_stylizer,
    model_path,
    read_styles,
)

_EXAMPLES = """\
Examples:
  nst-jax stylize photo.jpg -o out.png
  nst-jax stylize photos/ more.jpg -o painted/ --model mine.safetensors --size 1024
  nst-jax stylize photo.jpg -o painted/ --model many.safetensors --style first second
  nst-jax stylize photo.jpg -o out.png --model many.safetensors --style first second \
--style-blend 2 1"""

_UNIT = "pictures"
_FLAG = arg(help_behavior_hint="")
_STYLE_HELP = (
    f"For a model of several styles: their names, or '{ALL}'. Each is painted, as NAME_STYLE."
)


@dataclass(frozen=True)
class Stylize:
    """Paint photographs by a trained network: one pass each, in place of optimising pixels."""

    content: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="CONTENT [CONTENT ...]", help_behavior_hint="(required)"),
    ]
    """Photographs, or folders of them."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The picture to write; for several pictures the folder, where they keep their names."""
    model: Annotated[str, arg(metavar="NAME|FILE")] = DEFAULT_MODEL
    """A model that comes along (see above), or a .safetensors file made by nst-jax train."""
    style: Annotated[
        tuple[str, ...], arg(metavar="NAME [NAME ...]", help_behavior_hint="", help=_STYLE_HELP)
    ] = ()
    style_blend: Annotated[tuple[float, ...], arg(metavar="W [W ...]", help_behavior_hint="")] = ()
    """Paint one picture in a mixture of the styles, with these weights, one for each of --style."""
    size: Annotated[
        int | None, arg(metavar="PIXELS", help_behavior_hint="(default: as they are)")
    ] = None
    """Longer side of the results."""
    precision: Precision = "float32"
    """bfloat16 is faster, and almost as exact."""
    batch_size: Annotated[int, arg(metavar="N")] = 4
    """Photographs of like size that run at once."""
    max_pixels: Annotated[int, arg(metavar="N")] = MAX_PIXELS
    """Pixels that run at once; larger photographs run in tiles. Less needs less memory."""
    overwrite: Annotated[bool, _FLAG] = False
    """Replace results that exist."""
    quiet: Annotated[bool, _FLAG] = False
    """Print nothing but errors."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax stylize` say and return the exit status."""
    asks_help = not {"-h", "--help"}.isdisjoint(arguments)
    models = f"\n\n{_describe_models()}" if asks_help else ""
    options = tyro.cli(
        Stylize,
        prog="nst-jax stylize",
        description=f"{Stylize.__doc__}\n\n{_EXAMPLES}{models}",
        args=arguments,
        config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
    )
    check_device()
    _check(options)
    began = time.perf_counter()
    stylizer = load_stylizer(options.model, precision=options.precision)
    renderings = choose_renderings(stylizer, options.style, options.style_blend)
    jobs = plan_jobs(options.content, options.out, renderings, overwrite=options.overwrite)
    keep_compiled_programs()
    with compile_seconds() as compiling:
        report = _paint(options, stylizer, renderings, jobs)
        seconds = time.perf_counter() - began
        if report.sizes and not options.quiet:
            print(_describe(options.out, report, seconds, compiling()))
    for failure in report.failures:
        print(f"error: {one_line(failure)}", file=sys.stderr)
    return BAD_INPUT if report.failures else 0


def _paint(
    options: Stylize, stylizer: Stylizer, renderings: Sequence[Rendering], jobs: Sequence[Job]
) -> Report:
    """Do the work with its progress shown."""
    report = Report()
    follow = nullcontext(_show_nothing) if options.quiet else follow_parts("painting", unit=_UNIT)
    with follow as on_part:
        try:
            paint_all(
                stylizer,
                jobs,
                renderings,
                report,
                size=options.size,
                batch_size=options.batch_size,
                max_pixels=options.max_pixels,
                on_part=on_part,
            )
        except KeyboardInterrupt as error:
            written = report.sizes.total()
            raise KeyboardInterrupt(f"stopped; {written} {_UNIT} are written") from error
    return report


def _show_nothing(done: int, of: int | None) -> None:
    del done, of


def _check(options: Stylize) -> None:
    if options.size is not None and not MIN_SIDE <= options.size <= MAX_SIDE:
        raise ValueError(f"size: wanted {MIN_SIDE} to {MAX_SIDE} pixels, got {options.size}")
    if options.batch_size < 1:
        raise ValueError(f"batch_size: wanted at least 1, got {options.batch_size}")
    if options.max_pixels < LEAST_PIXELS:
        raise ValueError(f"max_pixels: wanted at least {LEAST_PIXELS}, got {options.max_pixels}")


def _describe_models() -> str:
    """The models that come along and their styles, for the help text."""
    lines = [f"  {name}: {', '.join(read_styles(model_path(name)))}" for name in list_models()]
    return "\n".join(["Models and their styles:", *lines])


def _describe(out: Path, report: Report, seconds: float, compiling: float) -> str:
    """One line: what was written, in what time."""
    sizes = sorted(report.sizes, key=lambda size: size[0] * size[1])
    texts = list(dict.fromkeys(f"{width}x{height}" for width, height in (sizes[0], sizes[-1])))
    count = report.sizes.total()
    what = ("" if count == 1 else f"{count} {_UNIT} of ") + " to ".join(texts)
    return (
        f"{out}: {what} pixels in {seconds:.1f} s ({seconds - compiling:.1f} s running, "
        f"{compiling:.1f} s compiling)"
    )
