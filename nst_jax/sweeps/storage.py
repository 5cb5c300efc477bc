"""A sweep's folder: where each run lies, and whether it is done.

    FOLDER/sweep.json                     what was asked for last
    FOLDER/inputs/                        the pictures that went in, at the size of the runs
    FOLDER/runs/NAME/picture.png          of a run that diverged, its best
    FOLDER/runs/NAME/record.json          written last: it makes the run a done one
    FOLDER/sheet.jpg, runs.csv, settings.csv, report.html, curves/    made anew each time

A run's NAME ends in a hash of its configuration and of the files that went in. So a changed
setting or picture is another run, and what is there is never overwritten.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.array_types import ImageOfAnySize
from nst_jax.files.disk import reason, remove_temporaries
from nst_jax.papers.gatys_2016 import Config, Record
from nst_jax.runs.record import describe_config
from nst_jax.sweeps.grid import Run

SWEEP_FILE = "sweep.json"
_NAME_LENGTH, _HASH_LENGTH = 60, 10

Inputs = Mapping[str, Any]
"""Hashes of what goes into a run besides its configuration."""


@contextmanager
def claimed(folder: Path, asked: Mapping[str, Any]) -> Iterator[None]:
    """Hold the folder, new or a sweep's, alone, with what is asked for written down in it.

    Args:
        folder: The sweep's.
        asked: For sweep.json; written first, since by it the folder is known after a kill.

    Raises:
        ValueError: Another process holds it.
        OSError: It is a file, holds something else, or cannot be made.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SWEEP_FILE).exists():
        raise FileExistsError(
            f"'{folder}' holds other files; name a new folder, an empty one or that of a sweep"
        )
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(folder, name="folder"))
            files.write_record(folder / SWEEP_FILE, asked)
            for part in ("runs", "inputs", "curves"):
                (folder / part).mkdir(exist_ok=True)
            for place in (folder, folder / "inputs", folder / "curves"):
                remove_temporaries(place)  # what a killed sweep may have left
        except OSError as error:
            raise type(error)(f"cannot make the folder '{folder}': {reason(error)}") from error
        yield


def input_paths(folder: Path, styles: int) -> list[Path]:
    """Return where the photograph and so many paintings lie, at the size of the runs."""
    names = ["content", *(f"style_{number}" for number in range(1, styles + 1))]
    return [folder / "inputs" / f"{name}.png" for name in names]


def as_json(config: Config) -> dict[str, Any]:
    """Return the configuration as it comes back from a file."""
    return json.loads(json.dumps(describe_config(config)))


def folder_name(run: Run, inputs: Inputs) -> str:
    """Return the name of the run's folder: words for people, and the hash that decides."""
    identity = {"config": as_json(run.config), "inputs": inputs}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    words = [*(word for pair in run.labels for word in pair), "seed", str(run.config.seed)]
    name = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words)).strip("-.")[:_NAME_LENGTH]
    return f"{name}-{digest[:_HASH_LENGTH]}"


def hash_of(name: str) -> str:
    """Return the hash at the end of a run's folder name."""
    return name.rpartition("-")[2]


def find_folders(folder: Path) -> dict[str, Path]:
    """Return the folders of the runs that a sweep's folder holds, by their names' hashes.

    The words before the hash do not count: a run that another sweep made here is the same run.
    """
    return {hash_of(path.name): path for path in (folder / "runs").glob("*-*")}


def load_done(folder: Path, run: Run, inputs: Inputs) -> Record | None:
    """Return the record of a run that is done, or None.

    Raises:
        ValueError: The record is damaged or another run's.
        OSError: It cannot be read.
    """
    path = folder / "record.json"
    if not path.exists() or not (folder / "picture.png").exists():
        return None
    record = files.read_record(path)
    info = record.get("info", {})
    if record.get("config") != as_json(run.config) or info.get("inputs") != inputs:
        raise ValueError(f"'{path}' is not the record of this run; delete its folder to run again")
    return record


def store(folder: Path, picture: ImageOfAnySize, record: Record) -> None:
    """Write the picture and then the record.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(exist_ok=True)
    remove_temporaries(folder)  # what a killed sweep may have left
    files.save_image(folder / "picture.png", picture)
    files.write_record(folder / "record.json", record)


def hash_inputs(
    content: Path, styles: Sequence[Path], initial: Path | None, weights: Mapping[str, str]
) -> Inputs:
    """Return the hashes by which a run knows its pictures and its network.

    Args:
        content: The photograph's file.
        styles: The paintings' files.
        initial: The picture's file that runs begin with; None where they begin with another.
        weights: What describe_weights says.

    Raises:
        OSError: A file cannot be read.
    """
    return {
        "content": files.sha256_of(content),
        "styles": [files.sha256_of(style) for style in styles],
        "initial": None if initial is None else files.sha256_of(initial),
        "encoder": weights["arrays_sha256"],
    }
