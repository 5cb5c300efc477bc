"""The command nst-jax: parses, calls and prints; what it calls can all be called from Python."""

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tyro

import nst_jax
from nst_jax.cli import bench, demo, info, optimize, stylize, sweep, train, weights
from nst_jax.cli.environment import silence_libraries
from nst_jax.cli.errors import FAILURE, INTERRUPTED, exit_status, one_line

_HELP = """\
Neural style transfer: a photograph painted in the style of a painting.

Start here:
  nst-jax demo                                       paints bundled pictures
  nst-jax optimize photo.jpg painting.jpg -o out.png
  nst-jax stylize photos/ -o painted/                by a trained network, in one pass
  nst-jax sweep photo.jpg painting.jpg -o folder --vary style_weight 5 50 500
  nst-jax train --help                               how to train a network of your own
  nst-jax optimize --help                            tells every option

--version prints the version. With --debug, every command shows the traceback of an error."""

_COMMANDS = {
    "demo": (demo.Demo, demo.run),
    "stylize": (stylize.Stylize, stylize.run),
    "optimize": (optimize.Optimize, optimize.run),
    "sweep": (sweep.SweepArguments, sweep.run),
    "train": (train.Train, train.run),
    "weights": (weights.Weights, weights.run),
    "bench": (bench.Bench, bench.run),
    "info": (info.Info, info.run),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command nst-jax and return its exit status.

    0 is success, 1 a failure, 2 bad input, 130 Ctrl-C. Errors are one line on standard error.

    Args:
        args: The words after nst-jax; None takes the command line's.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # any file name can be printed on any terminal
            stream.reconfigure(errors="backslashreplace")
    if not debug:
        silence_libraries()
    try:
        with _own_warnings_only(debug):
            return _dispatch(words)
    except SystemExit as error:  # tyro's, after help or a parsing error
        return error.code if isinstance(error.code, int) else FAILURE
    except BrokenPipeError:  # the reader, such as head, had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt as error:
        print(str(error) or "stopped", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return exit_status(error)


def _dispatch(words: list[str]) -> int:
    if words and words[0] in ("--version", "-V"):
        print(f"nst-jax {nst_jax.__version__}")
        return 0
    if words and words[0] in _COMMANDS:
        _, run = _COMMANDS[words[0]]
        return run(words[1:])
    # No command: help, or a suggestion for one that is misspelt; either way tyro exits.
    tyro.extras.subcommand_cli_from_dict(
        {name: options for name, (options, _) in _COMMANDS.items()},
        prog="nst-jax",
        description=_HELP,
        args=words[:1] or ["--help"],
    )
    return 0


@contextmanager
def _own_warnings_only(debug: bool) -> Iterator[None]:
    """Print this package's warnings on one line and, but for debugging, drop those of libraries.

    Each is printed once: a picture may be read many times over.
    """
    before, printed = warnings.showwarning, set()

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if Path(filename).is_relative_to(Path(nst_jax.__file__).parent):
            told = f"warning: {' '.join(str(message).split())}"
            if told not in printed:
                print(told, file=sys.stderr)
            printed.add(told)
        elif debug:
            before(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
