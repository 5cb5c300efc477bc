"""The command line of an experiment: its parser, where results go, and how a fault ends it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from experiments.common import provenance
from nst_jax import train
from nst_jax.cli.environment import keep_compiled_programs

TRIALS = Path("trials")
# Whoever names one of these wants another result than the published one.
_OF_A_TRIAL = ("size", "sizes", "num_steps", "count", "train_steps", "train_size")


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser for the module that runs, whose help shows the description as it is written."""
    return argparse.ArgumentParser(
        prog=provenance.describe_module(),
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_out_option(parser: argparse.ArgumentParser, published: str) -> None:
    """Add --out, by default the folder of published results; see parse."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(published),
        help=f"folder of results (default: {published}; for a trial {_trial(Path(published))})",
    )


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; a trial does not replace published results unless --out says so.

    A trial is a run whose size, number of steps or number of pictures is not the default.
    """
    options = parser.parse_args()
    published = parser.get_default("out")
    known = [name for name in _OF_A_TRIAL if hasattr(options, name)]
    trial = any(getattr(options, name) != parser.get_default(name) for name in known)
    # Not ==: whoever writes --out with the default's words asks for that folder.
    if trial and options.out is published:
        options.out = _trial(published)
        print(f"a trial: results go to {options.out}; --out {published} replaces published ones")
    return options


def _trial(published: Path) -> Path:
    return TRIALS.joinpath(*published.parts[1:])


def run(main: Callable[[], None]) -> None:
    """Call main, and end with one line where its input is at fault."""
    keep_compiled_programs()
    try:
        main()
    except (ValueError, OSError, train.TrainingDivergedError) as error:
        sys.exit(f"error: {error}")
