"""`nst-jax stylize`: paint photographs by a trained network, one pass each."""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg

from nst_jax.cli.color_option import ColorOption, WhenOption
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import BAD_INPUT, one_line
from nst_jax.cli.masks import MASK_HELP, STYLE_MASK_HELP
from nst_jax.cli.stylize_plan import Job, plan_jobs
from nst_jax.cli.stylize_styles import (
    ALL,
    STYLE_SIZE,
    Rendering,
    StyleChoice,
    choose_renderings,
)
from nst_jax.cli.stylize_work import Report, paint_all
from nst_jax.files.pictures import MAX_SIDE, MIN_SIDE
from nst_jax.ops.convolution import Precision
from nst_jax.progress import describe_seconds, follow_parts
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    MAX_PIXELS,
    MEDIAN_FILTER,
    Stylizer,
    list_models,
    load_stylizer,
    model_path,
    read_styles,
)

_EXAMPLES = """\
Examples:
  nst-jax stylize photo.jpg --style painting.jpg -o out.png
  nst-jax stylize photos/ --style paintings/ -o painted/ --size 1024
  nst-jax stylize photo.jpg --style a.jpg b.jpg --style-blend 2 1 -o out.png --alpha 0.7
  nst-jax stylize photo.jpg --style sky.jpg land.jpg --mask sky.png -o out.png --color keep
  nst-jax stylize photo.jpg --model johnson2016-starry_night -o out.png
  nst-jax stylize photo.jpg --model dumoulin2017 --style all -o painted/
  nst-jax stylize photo.jpg --model dumoulin2017 --style wave udnie --mask sky.png -o out.png"""

_UNIT = "pictures"
_FLAG = arg(help_behavior_hint="")
_STYLE_HELP = (
    "Paintings to paint after, as pictures or folders of them; for a model of certain styles (see "
    f"above) their names, or '{ALL}'. Of several, each is painted, as NAME_STYLE."
)


def _any_style(metavar: str, hint: str = "", **options: Any) -> Any:
    return arg(metavar=metavar, help_behavior_hint=hint, **options)


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
        tuple[str, ...], arg(metavar="STYLE [STYLE ...]", help_behavior_hint="", help=_STYLE_HELP)
    ] = ()
    style_blend: Annotated[tuple[float, ...], arg(metavar="W [W ...]", help_behavior_hint="")] = ()
    """Paint one picture in a mixture of the styles, with these weights, one for each of --style."""
    size: Annotated[
        int | None, arg(metavar="PIXELS", help_behavior_hint="(default: as they are)")
    ] = None
    """Longer side of the results."""
    style_size: Annotated[int | None, _any_style("PIXELS", f"(default: {STYLE_SIZE})")] = None
    """Longer side of the paintings: less makes a crisper picture, more a softer one."""
    alpha: Annotated[float | None, _any_style("A", "(default: 1)")] = None
    """How much of the style: from 0, the photograph, to 1."""
    mask: Annotated[tuple[Path, ...], _any_style("FILE [FILE ...]", help=MASK_HELP)] = ()
    style_mask: Annotated[tuple[str, ...], _any_style("FILE [FILE ...]", help=STYLE_MASK_HELP)] = ()
    color: ColorOption = None
    color_when: WhenOption = None
    median_filter: Annotated[
        int | None, arg(metavar="{1,3,5}", help_behavior_hint=f"(default: {MEDIAN_FILTER})")
    ] = None
    """Of models of one style: smooths the fine grid that they leave. 1 leaves it."""
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
    stylizer = load_stylizer(
        options.model, precision=options.precision, median_filter=options.median_filter
    )
    if options.max_pixels < stylizer.least_pixels:
        least = stylizer.least_pixels
        raise ValueError(f"max_pixels: wanted at least {least}, got {options.max_pixels}")
    keep_compiled_programs()
    with compile_seconds() as compiling:
        renderings = choose_renderings(stylizer, _style_choice(options))
        jobs = plan_jobs(options.content, options.out, renderings, overwrite=options.overwrite)
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


def _style_choice(options: Stylize) -> StyleChoice:
    return StyleChoice(
        names=options.style,
        blend=options.style_blend,
        size=options.style_size,
        alpha=options.alpha,
        masks=options.mask,
        style_masks=options.style_mask,
        color=options.color,
        color_when=options.color_when,
    )


def _show_nothing(done: int, of: int | None) -> None:
    del done, of


def _check(options: Stylize) -> None:
    if options.size is not None and not MIN_SIDE <= options.size <= MAX_SIDE:
        raise ValueError(f"size: wanted {MIN_SIDE} to {MAX_SIDE} pixels, got {options.size}")
    if options.batch_size < 1:
        raise ValueError(f"batch_size: wanted at least 1, got {options.batch_size}")
    if options.style_size is not None and not MIN_SIDE <= options.style_size <= MAX_SIDE:
        raise ValueError(
            f"style_size: wanted {MIN_SIDE} to {MAX_SIDE} pixels, got {options.style_size}"
        )


def _describe_models() -> str:
    """The models that come along and their styles, for the help text."""
    styles = {name: read_styles(model_path(name)) for name in list_models()}
    lines = [f"  {name}: {', '.join(found) or 'any painting'}" for name, found in styles.items()]
    return "\n".join(["Models and their styles:", *lines])


def _describe(out: Path, report: Report, seconds: float, compiling: float) -> str:
    """One line: what was written, in what time."""
    sizes = sorted(report.sizes, key=lambda size: size[0] * size[1])
    texts = list(dict.fromkeys(f"{width}x{height}" for width, height in (sizes[0], sizes[-1])))
    count = report.sizes.total()
    what = ("" if count == 1 else f"{count} {_UNIT} of ") + " to ".join(texts)
    return f"{out}: {what} pixels in {describe_seconds(seconds, compiling)}"
