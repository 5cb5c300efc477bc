"""`nst-jax sheet`: one photograph in all named styles, or after paintings, numbered on a sheet."""

import shlex
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from nst_jax import files
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.shared_options import FLAG, JsonOption, parse, print_json, words_given
from nst_jax.cli.tables import print_table
from nst_jax.jobs.sheet import SIZE, Entry, Sheet, SheetJob, make_sheet, save_sheet
from nst_jax.progress import follow_parts
from nst_jax.stylizers import DEFAULT_MODEL

_DESCRIPTION = """\
Paint one photograph in all named styles, or after paintings, and show all on a numbered sheet.

Examples:
  nst-jax sheet photo.jpg -o sheet.jpg
  nst-jax sheet photo.jpg --style paintings/ -o sheet.jpg

The list that is printed says how to paint each of them at full size."""


@dataclass(frozen=True)
class SheetOptions:
    """Paint one photograph in many styles, on a sheet."""

    content: Annotated[Positional[Path], arg(metavar="PHOTO", help_behavior_hint="(required)")]
    """The photograph."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The sheet to write: .png, .jpg, .webp, .tif or .bmp."""
    style: Annotated[
        tuple[Path, ...],
        arg(metavar="FILE [FILE ...]", help_behavior_hint="(default: all named styles)"),
    ] = ()
    """Paintings, or folders of them."""
    model: Annotated[str, arg(metavar="NAME|FILE")] = DEFAULT_MODEL
    """The network for paintings, of any style."""
    alpha: Annotated[float | None, arg(metavar="A", help_behavior_hint="(default: 1)")] = None
    """How much of the paintings' style: from 0, the photograph, to 1."""
    size: Annotated[int, arg(metavar="PIXELS")] = SIZE
    """Longer side of each picture."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace a sheet that exists."""
    json: JsonOption = False
    quiet: Annotated[bool, FLAG] = False
    """Print nothing but errors."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax sheet` say and return the exit status."""
    options = parse(SheetOptions, arguments, command="sheet", description=_DESCRIPTION)
    if options.alpha is not None and not options.style:
        raise ValueError(
            "alpha: wanted with --style and paintings, since named styles have none, got it alone; "
            "leave out --alpha"
        )
    if "model" in words_given(arguments) and not options.style:
        raise ValueError(
            "model: wanted with --style and paintings, since each named style has its own, got it "
            "alone; leave out --model"
        )
    check_device()
    files.check_output(options.out, overwrite=options.overwrite)
    keep_compiled_programs()
    job = SheetJob(options.content, options.style, options.model, options.alpha, options.size)
    began = time.perf_counter()
    sheet = paint_sheet(job, quiet=options.quiet)
    save_sheet(options.out, sheet, overwrite=options.overwrite)
    seconds = time.perf_counter() - began
    commands = [_command(options, entry) for entry in sheet.entries]
    if options.json:
        results = [
            {"number": entry.number, "style": entry.name, "command": command}
            for entry, command in zip(sheet.entries, commands, strict=True)
        ]
        values = {"file": options.out, "results": results, "seconds": seconds}
        print_json("sheet", values)
    elif not options.quiet:
        rows = [
            (str(entry.number), entry.name, command)
            for entry, command in zip(sheet.entries, commands, strict=True)
        ]
        print_table(("number", "style", "command"), rows)
        print(f"{options.out}: {len(rows)} pictures in {seconds:.1f} s")
    return 0


def paint_sheet(job: SheetJob, *, quiet: bool) -> Sheet:
    """Return a sheet, with its progress on standard error.

    Args:
        job: What it shows.
        quiet: Show no progress.
    """
    follow: Any = nullcontext(None) if quiet else follow_parts("painting", unit="pictures")
    with follow as on_progress:
        return make_sheet(job, on_progress=on_progress)


def _command(options: SheetOptions, entry: Entry) -> str:
    """How to paint a sheet's picture at full size."""
    words = ("nst-jax", "stylize", str(options.content))
    out = ("-o", f"{options.content.stem}_{entry.number}.png")
    if entry.style is not None:
        return shlex.join((*words, *entry.style.words, *out))
    style = next((str(path) for path in _paintings(options) if path.stem == entry.name), "")
    model = () if options.model == DEFAULT_MODEL else ("--model", options.model)
    alpha = () if options.alpha is None else ("--alpha", f"{options.alpha:g}")
    return shlex.join((*words, "--style", style, *model, *alpha, *out))


def _paintings(options: SheetOptions) -> list[Path]:
    return [
        path
        for place in options.style
        for path in (files.list_images(place) if place.is_dir() else [place])
    ]
