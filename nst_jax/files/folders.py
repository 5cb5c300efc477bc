"""Finding the picture files in folders, in an order that no file system decides."""

import os
from collections.abc import Iterable, Iterator
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


def _visible(folder: FilePath) -> list[Path]:
    """Return what lies in a folder and is not hidden, sorted by name."""
    try:
        return sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
    except OSError as error:
        way_out = suggestion(folder) or "name a folder"
        raise reworded(error, f"cannot list {quoted(folder)}", way_out) from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in READ_EXTENSIONS and path.is_file()


def _pictures_below(folder: FilePath, entered: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
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
