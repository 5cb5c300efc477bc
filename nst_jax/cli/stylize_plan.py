"""Which picture becomes which file in `nst-jax stylize`, checked before any work."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nst_jax import files
from nst_jax.cli.stylize_styles import Rendering


class Job(NamedTuple):
    """A picture's file, and for each rendering the file that it goes to."""

    content: Path
    outputs: tuple[Path, ...]


def plan_jobs(
    contents: Sequence[Path], out: Path, renderings: Sequence[Rendering], *, overwrite: bool
) -> list[Job]:
    """Return what is to be done, after checking that it can be written; a folder OUT is made.

    Raises:
        ValueError: Two pictures would get one name, or a photograph would be replaced.
        FileExistsError: A result exists and overwrite is false.
        OSError: A folder holds no pictures, or OUT cannot be written to.
    """
    found = [path for content in contents for path in _pictures_at(content)]
    if not found:
        raise ValueError("content: wanted at least one photograph or folder, got none")
    single = len(contents) == len(renderings) == 1 and not contents[0].is_dir()
    if single:
        jobs = [Job(found[0], (out,))]
    else:
        jobs = [
            Job(path, tuple(out / _name(path, rendering) for rendering in renderings))
            for path in found
        ]
    _check_distinct(jobs)
    if not single:
        _make_folder(out, len(jobs) * len(renderings))
    for job in jobs:
        for output in job.outputs:
            files.check_output(output, overwrite=overwrite)
    return jobs


def _pictures_at(content: Path) -> list[Path]:
    return files.list_images(content) if content.is_dir() else [content]


def _name(content: Path, rendering: Rendering) -> str:
    known = content.suffix.lower() in files.IMAGE_EXTENSIONS
    return f"{content.stem}{rendering.suffix}{content.suffix if known else '.png'}"


def _check_distinct(jobs: Sequence[Job]) -> None:
    photographs = {os.path.realpath(job.content) for job in jobs}
    origins: dict[Path, Path] = {}
    for job in jobs:
        for output in job.outputs:
            if os.path.realpath(output) in photographs:
                raise ValueError(
                    f"out: {str(output)!r} is one of the photographs; choose another place"
                )
            if output in origins:
                raise ValueError(
                    f"content: {str(origins[output])!r} and {str(job.content)!r} would both become "
                    f"{str(output)!r}; rename one, or run them apart"
                )
            origins[output] = job.content


def _make_folder(folder: Path, count: int) -> None:
    if not folder.is_dir() and folder.suffix.lower() in files.IMAGE_EXTENSIONS:
        raise ValueError(f"out: wanted a folder for {count} pictures, got {str(folder)!r}")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"cannot make the folder {str(folder)!r}: {error.strerror}; the folder above it must "
            "exist and be writable, and no file be in its place"
        ) from error
