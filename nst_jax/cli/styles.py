"""`nst-jax styles`: the styles that have names, as a list or on a sheet."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from nst_jax import files
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.shared_options import (
    FLAG,
    JsonOption,
    parse,
    print_json,
    words_given,
)
from nst_jax.cli.sheet import paint_sheet
from nst_jax.cli.tables import print_table
from nst_jax.jobs.named_styles import NamedStyle, list_named_styles
from nst_jax.jobs.sheet import SIZE, SheetJob, save_sheet
from nst_jax.stylizers import INSTALL, describe_published

_DESCRIPTION = f"""\
List the styles that have names: those of the networks that ship. All others come from paintings.

Examples:
  nst-jax styles
  nst-jax styles -o styles.jpg
  nst-jax stylize photo.jpg --model dumoulin2017 --style wave -o out.png

Magenta's networks bring more (once: {INSTALL}):
{{published}}"""

_EXAMPLE = "content/neuschwanstein_castle.jpg"


@dataclass(frozen=True)
class StylesOptions:
    """List the styles that have names."""

    out: Annotated[Path | None, arg(aliases=("-o",), metavar="OUT", help_behavior_hint="")] = None
    """Also write a sheet of them all, painted on a bundled photograph."""
    size: Annotated[int, arg(metavar="PIXELS")] = SIZE
    """Longer side of each picture of the sheet."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace a sheet that exists."""
    json: JsonOption = False


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax styles` say and return the exit status."""
    published = "\n".join(f"  {name}: {text}" for name, text in describe_published().items())
    description = _DESCRIPTION.format(published=published)
    options = parse(StylesOptions, arguments, command="styles", description=description)
    began, styles = time.perf_counter(), list_named_styles()
    for name in sorted({"size", "overwrite"} & words_given(arguments)):
        if options.out is None:
            raise ValueError(f"{name}: wanted with -o and the sheet to write, got it alone")
    if options.out is not None:
        check_device()
        files.check_output(options.out, overwrite=options.overwrite)
        keep_compiled_programs()
        job = SheetJob(files.asset_path(_EXAMPLE), size=options.size)
        save_sheet(options.out, paint_sheet(job, quiet=False), overwrite=options.overwrite)
    if options.json:
        results = [
            {
                "number": number,
                "style": style.name,
                "model": style.model,
                "command": _command(style),
            }
            for number, style in enumerate(styles, start=1)
        ]
        seconds = time.perf_counter() - began
        print_json("styles", {"file": options.out, "results": results, "seconds": seconds})
        return 0
    rows = [
        (str(number), style.name, style.model, _command(style))
        for number, style in enumerate(styles, start=1)
    ]
    print_table(("number", "style", "model", "command"), rows)
    if options.out is not None:
        print(f"{options.out}: all of them, by their numbers")
    return 0


def _command(style: NamedStyle) -> str:
    return shlex.join(("nst-jax", "stylize", "photo.jpg", *style.words, "-o", "out.png"))
