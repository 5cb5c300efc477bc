"""Which of the papers' inputs a folder has, and where the others can be had.

    python experiments/check_data.py --data FOLDER

inputs.csv lists them: each one's path in the folder, whose it is, its licence and tier, where it
can be had, the hash of the file there and that of the file from which results/ was made. That one
is scaled down to a longer side of 1024 pixels at most and saved again, so it is not the same file;
the picture is. With lines for photographs and paintings of your own, which trainings need,
inputs.csv is also the manifest.csv that the folder must have (data_folder.py).
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import network_figures
from data_folder import add_data_option, require_data
from rich.console import Console
from rich.table import Table

from nst_jax import files

INPUTS = Path(__file__).with_name("inputs.csv")
MISSING = "missing"


def read_inputs() -> list[dict[str, str]]:
    """The lines of inputs.csv."""
    with INPUTS.open(newline="", encoding="utf-8") as stream:
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
    parser = argparse.ArgumentParser(description="Which of the papers' inputs a folder has.")
    add_data_option(parser)
    data, inputs = require_data(parser, parser.parse_args()), read_inputs()
    found = check(data, inputs)
    table = Table("file", "state", "whose", "licence")
    for line in inputs:
        table.add_row(line["file"], found[line["file"]], line["author_title"], line["licence"])
    Console().print(table)
    missing = [line for line in inputs if found[line["file"]] == MISSING]
    for line in missing:
        print(f"{line['file']}: to be had from {line['source']}")
    if missing:
        sys.exit(1)


if __name__ == "__main__":
    network_figures.run(main)
