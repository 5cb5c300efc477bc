"""The command nst-jax: parses, calls and prints; what it calls can all be called from Python.

Nothing here imports JAX: each command's module is loaded when the command is given.
"""

import difflib
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nst_jax
from nst_jax.cli.errors import BAD_INPUT, FAILURE, INTERRUPTED, TERMINATED, exit_status, one_line
from nst_jax.cli.wrong_doors import check_words
from nst_jax.runs.interrupts import termination_interrupts

COMMANDS = {
    "demo": "Paint bundled photographs after bundled paintings, by stylize and by optimize.",
    "stylize": "Paint photographs by a trained network: one pass each, seconds.",
    "optimize": "Paint a photograph by optimising its pixels: better, minutes.",
    "markovian": "Paint a photograph against a discriminator of the painting's patches.",
    "styles": "List the styles that have names, or show them on a sheet.",
    "sheet": "Paint a photograph in all named styles, or after a folder of paintings, on a sheet.",
    "video": "Paint a clip by a trained network, without flicker.",
    "app": "Open a web page to paint on.",
    "sweep": "Run a grid of settings of optimize, and report on it.",
    "train": "Train a network of your own.",
    "export": "Write a trained network as ONNX or StableHLO.",
    "weights": "List, fetch, convert, verify and normalize weights of encoders.",
    "bench": "Measure how fast this machine paints.",
    "completion": "Print a script by which a shell completes words.",
    "info": "Show versions, devices (am I on the GPU?), weights and folders.",
}
"""What there is, each in the module of its name, whose `run` takes the words that follow."""

_HELP = """\
usage: nst-jax COMMAND [OPTIONS]

Neural style transfer: a photograph painted in the style of a painting.

Start here:
  nst-jax demo                                                   paints bundled pictures
  nst-jax stylize photo.jpg --style painting.jpg -o out.png      one pass of a trained network
  nst-jax optimize photo.jpg painting.jpg -o out.png             optimises the pixels
  nst-jax sheet photo.jpg -o sheet.jpg                           all named styles, numbered
  nst-jax video clip.mp4 --style painting.jpg -o painted.mp4     every frame, without flicker
  nst-jax sweep photo.jpg painting.jpg -o folder --vary style_weight 5 50 500

Commands:
{commands}

nst-jax COMMAND --help shows a command's options.
--version prints the version. With --debug every command shows the traceback of an error."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command nst-jax and return its exit status.

    0 is success, 1 a failure, 2 bad input, 130 Ctrl-C, 143 SIGTERM. An error is one line on
    standard error.

    Args:
        args: The words after nst-jax; None takes the command line's.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `>&-`; what is printed has to go somewhere
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # any file name can be printed on any terminal
            stream.reconfigure(errors="backslashreplace")
    if not debug:  # JAX's remarks, such as the one on a GPU that it cannot use
        logging.getLogger("jax").setLevel(logging.ERROR)
    is_terminated = bool
    try:
        with termination_interrupts() as is_terminated, _own_warnings_only(debug):
            status = _dispatch(words)
            return TERMINATED if status == INTERRUPTED and is_terminated() else status
    except SystemExit as error:  # tyro's, after help or a parsing error
        return error.code if isinstance(error.code, int) else FAILURE
    except BrokenPipeError:  # the reader, such as head, had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt as error:
        print(str(error) or "stopped", file=sys.stderr)
        # Where text was executed, as dataclasses do, CPython notes the interruption as one that
        # nobody handles, and ends by SIGINT whatever is returned. Text that ends well undoes that.
        exec("")
        return TERMINATED if is_terminated() else INTERRUPTED
    except Exception as error:
        if debug:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return exit_status(error)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items()]
        print(_HELP.format(commands="\n".join(lines)))
        return 0
    if words[0] in ("--version", "-V"):
        print(f"nst-jax {nst_jax.__version__}")
        return 0
    if "" in words:
        before = ["nst-jax", *words][words.index("")]
        raise ValueError(
            f"got an empty word after {before}; name a file or a value, or look whether a variable "
            "of your shell is empty"
        )
    if words[0] in COMMANDS:
        check_words(words[0], words[1:])  # before JAX loads, which takes seconds
        return importlib.import_module(f"nst_jax.cli.{words[0]}").run(words[1:])
    near = difflib.get_close_matches(words[0], COMMANDS, n=1, cutoff=0.7)
    way_out = f"did you mean {near[0]}?" if near else "nst-jax --help says what each does"
    print(
        f"error: command: wanted one of {', '.join(COMMANDS)}, got {words[0]!r}; {way_out}",
        file=sys.stderr,
    )
    return BAD_INPUT


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
