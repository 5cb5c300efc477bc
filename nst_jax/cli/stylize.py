"""`nst-jax stylize`: paint photographs by a trained network, one pass each."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import BAD_INPUT, one_line
from nst_jax.cli.shared_options import (
    FLAG,
    MASK_HELP,
    STYLE_MASK_HELP,
    ColorOption,
    JsonOption,
    WhenOption,
    parse,
    print_json,
    words_given,
)
from nst_jax.cli.standard_streams import STREAM, output_file, take_standard_input
from nst_jax.cli.style_options import choose_style
from nst_jax.jobs import folder, strips
from nst_jax.jobs.folder import FolderJob, Report
from nst_jax.jobs.sampled_styles import RANDOM
from nst_jax.jobs.styles import ALL
from nst_jax.ops.convolution import Precision
from nst_jax.progress import describe_seconds, follow_parts
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.stylizers import (
    DECODING_MODEL,
    DEFAULT_MODEL,
    INSTALL,
    MAX_PIXELS,
    MEDIAN_FILTER,
    describe_published,
    list_models,
    model_path,
    read_styles,
)

_DESCRIPTION = """\
Paint photographs by a trained network: one pass each, in place of optimising pixels.

Examples:
  nst-jax stylize photo.jpg --style painting.jpg -o out.png
  nst-jax stylize photos/ --style paintings/ -o painted/ --size 1024
  nst-jax stylize photo.jpg --style a.jpg b.jpg --style-blend 2 1 -o out.png --alpha 0.7
  nst-jax stylize photo.jpg --style sky.jpg land.jpg --mask sky.png -o out.png --color keep
  nst-jax stylize photo.jpg --style painting.jpg -o out.png --transform decorator --alpha 0.7
  nst-jax stylize photo.jpg --model johnson2016-starry_night -o out.png
  nst-jax stylize photo.jpg --model dumoulin2017 --style all -o painted/
  nst-jax stylize photo.jpg --model dumoulin2017 --style wave udnie --mask sky.png -o out.png
  nst-jax stylize - --style painting.jpg -o - < photo.jpg > out.png"""

_UNIT = "pictures"
_TELL_EVERY = 10.0  # seconds between lines on a picture's progress
_STYLE_HELP = (
    "Paintings to paint after, as pictures or folders of them; for a model of certain styles (see "
    f"above) their names, or '{ALL}'. Several make a picture each, called NAME_STYLE. "
    f"'{RANDOM}' draws a style around the paintings named beside it, or the bundled ones, for "
    "ghiasi2017 models."
)
_TRANSFORM_HELP = (
    "How huang2017 brings in the painting. adain: by means and deviations of features, as it was "
    "trained. wct: by their covariance too, which brings more of its colours. decorator: by its "
    "patches, which brings its strokes and loses small things; try --alpha 0.7."
)
CommandTransform = Literal["adain", "wct", "decorator"]
"""Those of stylizers.Transform whose pictures differ from AdaIN's to the eye."""

_FILES = "FILE [FILE ...]"


@dataclass(frozen=True)
class Stylize:
    """Paint photographs by a trained network."""

    content: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="CONTENT [CONTENT ...]", help_behavior_hint="(required)"),
    ]
    """Photographs, or folders of them; - is standard input."""
    out: Annotated[str, arg(aliases=("-o",), metavar="OUT")]
    """The picture to write; for several pictures the folder, where they keep their names; - is
    standard output, which gets a PNG."""
    model: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE",
            help_behavior_hint=f"(default: {DEFAULT_MODEL}; with --transform {DECODING_MODEL})",
        ),
    ] = None
    """A model of those above, a .safetensors file made by nst-jax train, or owner/name of the
    Hugging Face Hub."""
    style: Annotated[
        tuple[str, ...], arg(metavar="STYLE [STYLE ...]", help_behavior_hint="", help=_STYLE_HELP)
    ] = ()
    style_blend: Annotated[tuple[float, ...], arg(metavar="W [W ...]", help_behavior_hint="")] = ()
    """Paint one picture in a mixture of the styles, with these weights, one for each of --style."""
    seed: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 0)")] = None
    """Which style is drawn, for --style random."""
    size: Annotated[
        int | None, arg(metavar="PIXELS", help_behavior_hint="(default: as they are)")
    ] = None
    """Longer side of the results."""
    transform: Annotated[
        CommandTransform | None,
        arg(
            metavar="{adain,wct,decorator}",
            help_behavior_hint="(default: adain)",
            help=_TRANSFORM_HELP,
        ),
    ] = None
    style_size: Annotated[
        int | None,
        arg(metavar="PIXELS", help_behavior_hint="(default: 512; 256 for ghiasi2017-magenta)"),
    ] = None
    """Longer side of the paintings: less makes a crisper picture, more a softer one."""
    alpha: Annotated[float, arg(metavar="A", help_behavior_hint="(default: 1)")] = 1.0
    """How much of the style: from 0, the photograph (ghiasi2017: painted after itself), to 1."""
    mask: Annotated[
        tuple[Path, ...], arg(metavar=_FILES, help_behavior_hint="", help=MASK_HELP)
    ] = ()
    style_mask: Annotated[
        tuple[str, ...], arg(metavar=_FILES, help_behavior_hint="", help=STYLE_MASK_HELP)
    ] = ()
    color: ColorOption = "style"
    color_when: WhenOption = "before"
    median_filter: Annotated[
        int | None,
        arg(metavar="{1,3,5}", help_behavior_hint=f"(default: {MEDIAN_FILTER} for johnson2016)"),
    ] = None
    """For models of one style: smooths the fine grid that they leave. 1 does not smooth."""
    precision: Precision = "float32"
    """bfloat16 is faster, and almost as exact."""
    batch_size: Annotated[int, arg(metavar="N")] = 4
    """Photographs of like size that run at once."""
    max_pixels: Annotated[int, arg(metavar="N")] = MAX_PIXELS
    """Pixels that run at once; larger photographs run in tiles. Less needs less memory."""
    exact_statistics: Annotated[bool, FLAG] = False
    """Measure what tiles of a large photograph are normalised by, in place of an estimate from
    small copies. The result is that of the whole photograph, and takes some ten times longer."""
    strips: Annotated[bool, FLAG] = False
    """Paint one TIFF file into another piece by piece, for pictures larger than memory, with exact
    statistics. A run that was stopped goes on by the same command. Needs tifffile."""
    skip_existing: Annotated[bool, FLAG] = False
    """Leave out results that exist: a folder that was stopped goes on."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace results that exist."""
    json: JsonOption = False
    quiet: Annotated[bool, FLAG] = False
    """Print nothing but errors."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax stylize` say and return the exit status."""
    asks_help = not {"-h", "--help"}.isdisjoint(arguments)
    models = f"\n\n{_describe_models()}" if asks_help else ""
    options = parse(Stylize, arguments, command="stylize", description=f"{_DESCRIPTION}{models}")
    check_device()
    keep_compiled_programs()
    began = time.perf_counter()
    follow = follow_parts("painting", unit=_UNIT)
    _check_streams(options)
    if options.strips:
        return _run_strips(options, words_given(arguments), began)
    with output_file(options.out) as out:
        with (
            compile_seconds() as compiling,
            nullcontext(None) if options.quiet else follow as on_progress,
        ):
            job = _job(options, out, words_given(arguments))
            report = folder.run(job, on_progress=on_progress)
            compiled, seconds = compiling(), time.perf_counter() - began
        if options.json:
            print_json("stylize", _to_json(report, seconds, compiled))
        elif not options.quiet:
            for line in _describe(options.out, report, seconds, compiled):
                print(line, file=sys.stderr if options.out == STREAM else sys.stdout)
    for failure in report.failures:
        print(f"error: {one_line(failure)}", file=sys.stderr)
    return BAD_INPUT if report.failures else 0


def _run_strips(options: Stylize, given: frozenset[str], began: float) -> int:
    """Paint one picture that is larger than memory."""
    for name in ("size", "transform", "median_filter", "skip_existing", "json"):
        if name in given:
            raise ValueError(f"{name}: wanted without strips; leave --{name.replace('_', '-')} out")
    if len(options.content) != 1 or STREAM in (options.out, str(options.content[0])):
        raise ValueError("strips: wanted one TIFF file as CONTENT and one as -o")
    job = strips.StripsJob(
        options.content[0],
        options.out,
        dataclasses.replace(choose_style(options, given), names=options.style),
        model=options.model,
        precision=options.precision,
        max_pixels=options.max_pixels,
        overwrite=options.overwrite,
    )
    last = 0.0

    def tell(stage: str, done: int, of: int) -> None:
        nonlocal last
        if not options.quiet and (done == of or time.monotonic() - last > _TELL_EVERY):
            last = time.monotonic()
            print(f"{stage} {done}/{of}", flush=True)

    try:
        with compile_seconds() as compiling:
            painted = strips.run(job, on_progress=tell)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("stopped; the same command goes on") from error
    if not options.quiet:
        seconds = describe_seconds(time.perf_counter() - began, compiling())
        print(f"{options.out}: {painted.width}x{painted.height} pixels in {seconds}")
    return 0


def _check_streams(options: Stylize) -> None:
    """Refuse what cannot go through standard output, before anything is painted."""
    if options.out != STREAM:
        return
    if options.json:
        raise ValueError("json: wanted with a file as -o, got -o -, which takes standard output")
    together = options.style_blend or options.mask or RANDOM in options.style
    places = [*options.content, *options.style]
    if (
        len(options.content) > 1
        or (len(options.style) > 1 and not together)
        or options.style == (ALL,)
        or any(Path(place).is_dir() for place in places)
    ):
        raise ValueError(
            "out: wanted a folder for several pictures, got -, which takes one; name a folder"
        )


def _job(options: Stylize, out: str, given: frozenset[str]) -> FolderJob:
    pictures = [*options.content, *options.style]
    taken = take_standard_input(pictures, name="content and style")
    choice = choose_style(options, given)
    return FolderJob(
        contents=taken[: len(options.content)],
        choice=dataclasses.replace(choice, names=tuple(taken[len(options.content) :])),
        out=out,
        model=options.model,
        precision=options.precision,
        median_filter=options.median_filter,
        transform=options.transform,
        size=options.size,
        batch_size=options.batch_size,
        max_pixels=options.max_pixels,
        exact_statistics=options.exact_statistics,
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
    )


def _describe_models() -> str:
    """The models that come along and their styles, for the help text."""
    styles = {name: read_styles(model_path(name)) for name in list_models()}
    lines = [f"  {name}: {', '.join(found) or 'any painting'}" for name, found in styles.items()]
    return "\n".join(
        [
            "Models and their styles:",
            *lines,
            "",
            f"Magenta's models, as published (once: {INSTALL}):",
            *(f"  {name}: {text}" for name, text in describe_published().items()),
        ]
    )


def _describe(out: str, report: Report, seconds: float, compiling: float) -> list[str]:
    """What was written, in what time, and what was there before."""
    lines = []
    if report.sizes:
        sizes = sorted(report.sizes, key=lambda size: size[0] * size[1])
        ends = (sizes[0], sizes[-1])
        texts = list(dict.fromkeys(f"{width}x{height}" for width, height in ends))
        count = report.sizes.total()
        what = ("" if count == 1 else f"{count} {_UNIT} of ") + " to ".join(texts)
        lines.append(f"{Path(out)}: {what} pixels in {describe_seconds(seconds, compiling)}")
    if report.skipped:
        lines.append(f"{report.skipped} {_UNIT} were there already")
    if report.hub is not None:
        source = f"{report.hub['repository']}@{report.hub['revision']}"
        lines.append(f"model from {source}, {report.hub['file']}: SHA-256 {report.hub['sha256']}")
    return lines


def _to_json(report: Report, seconds: float, compiling: float) -> dict[str, Any]:
    """What --json prints of a run."""
    results = [
        {
            "content": result.content if isinstance(result.content, Path) else STREAM,
            "style": result.style,
            "file": result.file,
            "width": result.width,
            "height": result.height,
        }
        for result in report.results
    ]
    return {
        "results": results,
        "skipped": report.skipped,
        "failures": [one_line(failure) for failure in report.failures],
        "hub": report.hub,
        "seconds": {"compile": compiling, "run": seconds - compiling},
    }
