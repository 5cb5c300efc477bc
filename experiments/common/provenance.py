"""Where a record's numbers come from: the command, the commit, the versions and the device."""

import functools
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from nst_jax.runs.record import versions

_ROOT = Path(__file__).resolve().parents[2]


def describe_run() -> dict[str, Any]:
    """What a record says of where its numbers come from, when all were made at once."""
    return {"command": describe_command(), **describe_origin()}


def describe_origin() -> dict[str, Any]:
    """What one of a record's parts says, where a later run adds others and leaves it as it is."""
    return {
        "commit": current_commit(),
        "versions": versions(),
        "device": jax.devices()[0].device_kind,
    }


def describe_command() -> str:
    """The command with its options, and FOLDER for paths that mean nothing on another machine."""
    return f"{describe_module()} {shlex.join(map(describe_path, sys.argv[1:]))}".rstrip()


def describe_module() -> str:
    """The command without options: python -m experiments.gatys_2016."""
    file = Path(sys.argv[0]).resolve()
    if not file.is_relative_to(_ROOT):
        return file.name
    name = ".".join(file.relative_to(_ROOT).with_suffix("").parts)
    return f"python -m {name.removesuffix('.__main__')}"


def describe_path(path: str | Path) -> str:
    """A word of a command, or FOLDER for a path that means nothing on another machine."""
    return "FOLDER" if Path(path).is_absolute() else str(path)


@functools.cache
def current_commit() -> str | None:
    """The commit that is checked out, or None where there is no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
