"""Folders, and the picture files in them in an order that no file system decides."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nst_jax.files.disk import FilePath, quoted, reworded, suggestion
from nst_jax.files.pictures import READ_EXTENSIONS


def list_images(folder: FilePath) -> list[Path]:
    """Return the picture files that lie directly in a folder, sorted by name, hidden ones left out.

    Raises:
        OSError: The folder is missing, is a file, cannot be read, or holds no picture.
    """
    found = [path for path in _visible(folder) if _is_picture(path)]
    if not found:
        raise _no_pictures(folder)
    return found


def find_images(places: FilePath | Iterable[FilePath]) -> tuple[Path, ...]:
    """Return the picture files in folders and in all folders below them, each once, sorted by path.

    Hidden files and folders are left out, links are followed.

    Args:
        places: One or several, each a folder or a file; a file counts whatever its name.

    Raises:
        OSError: A place is missing, cannot be read, or holds no picture.
    """
    alone = isinstance(places, str | os.PathLike)
    found: set[Path] = set()
    for place in [places] if alone else places:
        below = [Path(place)] if os.path.isfile(place) else list(_pictures_below(place, set()))
        if not below:
            raise _no_pictures(place)
        found.update(below)
    return tuple(sorted(found))


def real_path(path: FilePath) -> Path:
    """Return the place that a path leads to, through all links, whether or not it is there."""
    return Path(os.path.realpath(path))


def is_folder(path: FilePath) -> bool:
    """Return whether a folder is there: not where no path can be so, as of too long a name."""
    return os.path.isdir(path)


def is_file(path: FilePath) -> bool:
    """Return whether a file is there, as is_folder does."""
    return os.path.isfile(path)


def refuse_missing(needed: Iterable[object], *, also: Iterable[object] = ()) -> None:
    """Name all files at once of which several are missing; whoever reads one names it alone.

    Args:
        needed: What is read in any case. Only paths count, and text that looks like a file's name.
        also: What counts only where something that is needed is missing.

    Raises:
        FileNotFoundError: Several are not there.
    """
    missing = [path for path in needed if _is_missing(path)]
    if missing:
        missing = [*filter(_is_missing, also), *missing]
    if len(missing) > 1:
        names = [quoted(str(path)) for path in missing]
        near = [suggestion(str(path)) for path in missing]
        way_out = " ".join(filter(None, near)) or "check the paths"
        raise FileNotFoundError(
            f"cannot read {', '.join(names[:-1])} and {names[-1]}: no such files; {way_out}"
        )


def _is_missing(path: object) -> bool:
    if isinstance(path, str):
        return bool(Path(path).suffix) and not os.path.lexists(path)
    return isinstance(path, os.PathLike) and not os.path.lexists(path)


def make_folder(folder: FilePath, *, mode: int = 0o777) -> None:
    """Make a folder if it is missing.

    Args:
        folder: Its path; the folder above must be there.
        mode: Who may enter it, less what the umask takes away.

    Raises:
        OSError: It cannot be made, or a file is in its place.
    """
    try:
        Path(folder).mkdir(mode, exist_ok=True)
    except OSError as error:
        way_out = "the folder above it must exist and be writable, and no file be in its place"
        raise reworded(error, f"cannot make the folder {quoted(folder)}", way_out) from error


def remove_folder(folder: FilePath) -> None:
    """Remove a folder with all that is in it, as far as the system lets us."""
    shutil.rmtree(folder, ignore_errors=True)


def remove_file(path: FilePath) -> None:
    """Remove a file, if it is there.

    Raises:
        OSError: It cannot be removed.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        way_out = "its folder must be writable"
        raise reworded(error, f"cannot remove {quoted(path)}", way_out) from error


@contextmanager
def temporary_folder(*, prefix: str = "nst_jax-") -> Iterator[Path]:
    """Give a folder that this user alone can read, and remove it at the block's end.

    Args:
        prefix: What its name begins with.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


def remove_if_empty(folder: FilePath) -> None:
    """Remove a folder that holds nothing; leave one that does, a file, and what is not there."""
    with suppress(OSError):
        os.rmdir(folder)


@contextmanager
def no_empty_folder(folder: FilePath | None) -> Iterator[None]:
    """Remove a folder at the block's end if it was made inside and nothing was put there.

    Args:
        folder: The folder, or a file, of which nothing is removed; None where nothing is written.
    """
    was_there = folder is None or os.path.isdir(folder)
    try:
        yield
    finally:
        if folder is not None and not was_there:
            remove_if_empty(folder)


def _visible(folder: FilePath) -> list[Path]:
    """Return what lies in a folder and is not hidden, sorted by name."""
    try:
        return sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
    except OSError as error:
        way_out = suggestion(folder) or "name a folder"
        raise reworded(error, f"cannot list {quoted(folder)}", way_out) from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in READ_EXTENSIONS and path.is_file()


def _pictures_below(folder: FilePath, entered: set[Path]) -> Iterator[Path]:
    real = real_path(folder)
    if real in entered:  # a link may lead back to where it came from
        return
    entered.add(real)
    for path in _visible(folder):
        if path.is_dir():
            yield from _pictures_below(path, entered)
        elif _is_picture(path):
            yield path


def _no_pictures(folder: FilePath) -> FileNotFoundError:
    return FileNotFoundError(
        f"no pictures in {quoted(folder)}; put files there that end in {', '.join(READ_EXTENSIONS)}"
    )
