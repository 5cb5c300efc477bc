"""Which of the pictures that the figures want a folder has, and where the others can be had.

    python -m experiments.data --data FOLDER

inputs.csv lists the papers' inputs, held_out.csv the photographs and paintings on which trained
networks are measured: each one's path in the folder, whose it is, its licence and tier, where it
can be had, the hash of the file there and that of the file from which results/ was made. That one
is scaled down to a longer side of 1024 pixels at most (held out, 704) and saved again, so it is not
the same file; the picture is. Of held-out pictures the file at the source has no hash here, and the
source is often a collection in which the file's name tells the picture. The lines of both, with
lines for photographs and paintings of your own, which trainings need, are also the manifest.csv
that the folder must have (common/data_folder.py): measured are so many of the held-out pictures as
a figure asks for, evenly spread over those that the manifest lists.
"""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.common import command
from experiments.common.data_folder import add_data_option, require_data
from nst_jax import files

INPUTS, HELD_OUT = (Path(__file__).with_name(name) for name in ("inputs.csv", "held_out.csv"))
MISSING = "missing"


def read_table(path: Path) -> list[dict[str, str]]:
    """The lines of INPUTS or HELD_OUT."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def check(data: Path, inputs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """By file whether it is there, and which of the files known it is."""
    return {line["file"]: _check_one(data / line["file"], line) for line in inputs}


def _check_one(path: Path, line: Mapping[str, str]) -> str:
    if not path.is_file():
        return MISSING
    found = files.sha256_of(path)
    known = {line["sha256"]: "as in results", line["source_sha256"]: "as at its source"}
    return known.get(found, "another file")


def main() -> None:
    """Print what is there; exit status 1 where something is missing."""
    parser = command.make_parser(__doc__)
    add_data_option(parser)
    data, inputs = require_data(parser, parser.parse_args()), read_table(INPUTS)
    found = check(data, inputs)
    table = Table("file", "state", "whose", "licence")
    for line in inputs:
        table.add_row(line["file"], found[line["file"]], line["author_title"], line["licence"])
    Console().print(table)
    held_out = read_table(HELD_OUT)
    states = check(data, held_out)
    for state, number in Counter(states.values()).items():
        print(f"{number} of {len(states)} held-out pictures: {state}")
    missing = [line for line in inputs if found[line["file"]] == MISSING]
    none = set(states.values()) == {MISSING}
    if none:
        print(f"held-out pictures: {HELD_OUT} says where they can be had")
    missing += [line for line in held_out if states[line["file"]] == MISSING and not none]
    for line in missing:
        print(f"{line['file']}: to be had from {line['source']}")
    if missing or none:
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
