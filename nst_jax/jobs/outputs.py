"""Which picture becomes which file, checked before any work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.files.disk import (
    ABANDONED,
    check_name,
    existing,
    ignores_case,
    quoted,
    remove_temporaries,
)
from nst_jax.jobs import pictures


@dataclass
class Task:
    """A photograph, and for each rendering the file that it goes to.

    Attributes:
        content: The photograph: a path, Pillow's picture or an array.
        outputs: As many as renderings; None where nothing is to be written.
    """

    content: Any
    outputs: list[Path | None]


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        tasks: The photographs that have something to be written.
        skipped: How many files are there already.
        failures: Why some cannot be written, one for each.
    """

    tasks: list[Task]
    skipped: int = 0
    failures: list[Exception] = field(default_factory=list)


def is_folder(out: str | os.PathLike[str]) -> bool:
    """Return whether OUT is a folder: it is one now, or ends as one in a slash."""
    ends = (os.sep, os.altsep or os.sep, "/")
    return files.is_folder(out) or os.fspath(out).endswith(ends)


def place_in_folder(out: str | os.PathLike[str], content: Any) -> Path:
    """Return the file that a picture goes to: OUT, or its own name in the folder OUT, made now.

    Args:
        out: A file or a folder.
        content: The photograph.

    Raises:
        OSError: The folder cannot be made.
    """
    if not is_folder(out):
        return Path(out)
    _make_folder(Path(out), 1)
    return Path(out) / _name(content, 1, "")


def plan_outputs(
    contents: Sequence[Any],
    out: str | os.PathLike[str],
    suffixes: Sequence[str],
    *,
    overwrite: bool,
    skip_existing: bool,
) -> Plan:
    """Return what is to be written, after checking that it can be; a folder OUT is made.

    Args:
        contents: Photographs, or folders of them.
        out: The file for one picture; the folder for several, or where it is or ends as one.
        suffixes: What names get for each rendering.
        overwrite: Whether files that exist may be replaced.
        skip_existing: Whether what exists is left out.

    Raises:
        ValueError: Two pictures would get one name, or a photograph would be replaced.
        FileExistsError: A result exists, and is neither to be replaced nor left out.
        OSError: A folder holds no pictures, or OUT cannot be written to.
    """
    if overwrite and skip_existing:
        raise ValueError("skip_existing: wanted without --overwrite, which replaces what is there")
    found = [picture for content in contents for picture in _pictures_at(content)]
    if not found:
        raise ValueError("content: wanted at least one photograph or folder, got none")
    folder = Path(out)
    single = (
        len(contents) == len(suffixes) == 1 and not _is_folder(contents[0]) and not is_folder(out)
    )
    if single:
        tasks = [Task(found[0], [folder])]
    else:
        tasks = [
            Task(picture, [folder / _name(picture, number, suffix) for suffix in suffixes])
            for number, picture in enumerate(found, start=1)
        ]
    _check_distinct(tasks)
    remove_temporaries(folder.parent if single else folder, idle=ABANDONED)
    if not single:
        _make_folder(folder, len(found) * len(suffixes))
        _check_case(tasks, folder)
    plan = Plan(tasks)
    for task in tasks:
        for place, output in enumerate(task.outputs):
            if not _may_write(plan, output, overwrite, skip_existing, single=single):
                task.outputs[place] = None
    plan.tasks = [task for task in tasks if any(task.outputs)]
    return plan


def _may_write(
    plan: Plan, output: Path | None, overwrite: bool, skip_existing: bool, *, single: bool
) -> bool:
    """Whether a file is to be written; counts why not."""
    assert output is not None
    try:
        check_name(output)
    except OSError as error:
        if single:
            raise
        plan.failures.append(error)
        return False
    files.check_output(output, overwrite=True)
    if output.exists() and skip_existing:
        plan.skipped += 1
        return False
    if output.exists() and not overwrite:
        hint = "" if single else ", or leave out what is there (--skip-existing)"
        raise FileExistsError(f"{existing(output)}{hint}")
    return True


def _is_folder(content: Any) -> bool:
    return isinstance(content, str | os.PathLike) and files.is_folder(content)


def _pictures_at(content: Any) -> list[Any]:
    return list(files.list_images(content)) if _is_folder(content) else [content]


def _name(content: Any, number: int, suffix: str) -> str:
    extension = Path(content).suffix if isinstance(content, str | os.PathLike) else ""
    known = extension.lower() in files.IMAGE_EXTENSIONS
    return f"{pictures.stem_of(content, number)}{suffix}{extension if known else '.png'}"


def _check_distinct(tasks: Sequence[Task]) -> None:
    named = [task.content for task in tasks if isinstance(task.content, str | os.PathLike)]
    photographs = {files.real_path(content) for content in named}
    origins: dict[Path, Any] = {}
    for task in tasks:
        for output in filter(None, task.outputs):
            if files.real_path(output) in photographs:
                raise ValueError(
                    f"out: {str(output)!r} is one of the photographs; choose another place"
                )
            if output in origins:
                raise _one_name(origins[output], task.content, output)
            origins[output] = task.content


def _check_case(tasks: Sequence[Task], folder: Path) -> None:
    """Refuse names that differ in case alone, where the system takes them for one."""
    origins: dict[str, Any] = {}
    for task in tasks:
        for output in filter(None, task.outputs):
            name = output.name.casefold()
            if name in origins and ignores_case(folder):
                raise _one_name(origins[name], task.content, output)
            origins[name] = task.content


def _one_name(first: Any, second: Any, output: Path) -> ValueError:
    one, other = (str(pictures.name_of(each, "'a picture'")) for each in (first, second))
    return ValueError(
        f"content: {one} and {other} would both become {quoted(output)}; rename one, or run them "
        "apart"
    )


def _make_folder(folder: Path, count: int) -> None:
    if not folder.is_dir() and folder.suffix.lower() in files.IMAGE_EXTENSIONS:
        raise ValueError(f"out: wanted a folder for {count} pictures, got {str(folder)!r}")
    files.make_folder(folder)
