"""Pictures through pipes: `-` stands for standard input, and for standard output."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nst_jax import files

STREAM = "-"
"""Stands for standard input among pictures, and for standard output as -o."""

_MAX_BYTES = 1 << 29


def take_standard_input(pictures: Sequence[Any], *, name: str) -> list[Any]:
    """Return pictures, with what standard input holds in the place of `-`.

    Args:
        pictures: Paths as they were typed.
        name: What errors call them.

    Raises:
        ValueError: Standard input is named twice, is a terminal, or holds no picture.
    """
    named = [os.fspath(picture) == STREAM for picture in pictures]
    if sum(named) > 1:
        raise ValueError(f"{name}: wanted - once, since it can be read once; name files")
    if not any(named):
        return list(pictures)
    read = _read(name)
    return [read if is_stream else path for is_stream, path in zip(named, pictures, strict=True)]


def is_standard_output(out: str) -> bool:
    """Return whether OUT is `-`, so that nothing else may be printed on standard output.

    Args:
        out: As it was typed.

    Raises:
        ValueError: It is, and standard output is a terminal.
    """
    if out != STREAM:
        return False
    if sys.stdout.isatty():
        raise ValueError(
            "out: wanted a file, or - where standard output goes to a file or another program, got "
            "- on a terminal; add > out.png"
        )
    return True


@contextmanager
def output_file(out: str) -> Iterator[str]:
    """Yield the file to write: OUT; or for `-` a temporary PNG, which then goes to standard output.

    Where the block ends without a file, nothing is printed.

    Args:
        out: As it was typed.

    Raises:
        ValueError: As is_standard_output.
    """
    if not is_standard_output(out):
        yield out
        return
    with files.temporary_folder() as folder:
        path = folder / "out.png"
        yield str(path)
        if path.exists():
            sys.stdout.flush()
            sys.stdout.buffer.write(path.read_bytes())
            sys.stdout.buffer.flush()


def _read(name: str) -> Any:
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError(
            f"{name}: wanted a picture on standard input for -, got a terminal; pipe one in, as by "
            "< photo.jpg"
        )
    content = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(
            f"{name}: wanted at most {_MAX_BYTES} bytes on standard input, got more; name a file"
        )
    return files.decode_picture(content, name="standard input")
