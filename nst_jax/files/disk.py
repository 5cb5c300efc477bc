"""How files are opened, replaced, found and complained about; what is in them is told elsewhere."""

import difflib
import errno
import importlib.resources
import io
import os
import secrets
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

FilePath = str | os.PathLike[str]

_TEMPORARY = ".nst_jax-{}.tmp"  # short and apart from the target's name, which may be at the limit


@contextmanager
def replacing(path: FilePath, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary file in the same folder, which takes the place of path at the block's end.

    The block writes the temporary file. If it raises, the temporary file goes and path stays as it
    was. Killed at any time, path holds the old content or the new, never a part.

    Args:
        path: The file to be written.
        overwrite: Whether a file that is there may be replaced. If not, the name is claimed at the
            end in one step, so that of two processes with one name the second fails.

    Raises:
        FileExistsError: There is a file by then, and overwrite is false.
        OSError: The folder is missing, path is a folder, or the disk refuses.
    """
    temporary = claim_temporary(path)
    try:
        yield temporary
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        target = os.path.realpath(path)  # through a link, as writing in place would
        if overwrite:
            os.replace(temporary, target)
        else:
            _take_free_name(temporary, target)
    except FileExistsError as error:
        raise existing(path) from error
    except OSError as error:
        if error.errno is None:  # worded already
            raise
        raise unwritable(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _take_free_name(temporary: Path, target: str) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # of a file system without links: an empty file claims the name first
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(temporary, target)


def write_bytes(path: FilePath, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file, whole or not at all.

    Args:
        path: Where to.
        content: What it holds.
        overwrite: As for replacing.

    Raises:
        OSError: As replacing.
    """
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def write_archive(
    path: FilePath, parts: Mapping[str, bytes | str], *, overwrite: bool = True
) -> None:
    """Write a zip archive, whole or not at all.

    Args:
        path: Where to.
        parts: The files in it, by their names.
        overwrite: As for replacing.

    Raises:
        OSError: As replacing.
    """
    with (
        replacing(path, overwrite=overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, content in parts.items():
            archive.writestr(name, content)


def existing(path: FilePath) -> FileExistsError:
    """Return the error of a name that is taken."""
    return FileExistsError(
        f"{quoted(path)} exists; choose another name, or say overwrite (--overwrite)"
    )


def check_name(path: FilePath) -> None:
    """Raise an OSError where the system has no room for so long a name."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise reworded(error, f"cannot write {quoted(path)}", "choose a shorter one") from error


def ignores_case(folder: FilePath) -> bool:
    """Return whether names in a folder that differ in case alone are one file there."""
    probe = claim_temporary(Path(folder) / "name")
    try:
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink(missing_ok=True)


def claim_temporary(path: FilePath) -> Path:
    """Make and return an empty file beside path, or raise why nothing can be written there."""
    refuse_folder(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        temporary.open("xb").close()  # not tempfile's, whose mode leaves out the umask
    except OSError as error:
        raise unwritable(error, path) from error
    return temporary


def refuse_folder(path: FilePath) -> None:
    """Raise if path, a file to be written, is a folder."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {quoted(path)}: it is a folder; name a file in it")


ABANDONED = 3600.0
"""Seconds after which nobody writes a temporary file any more: none takes longer than a few."""


def remove_temporaries(folder: FilePath, *, idle: float = 0.0) -> None:
    """Remove what killed processes left in a folder: files, and folders of a clip's pictures.

    Args:
        folder: The folder. Without idle this process alone writes to it.
        idle: Seconds for which a file has not changed, so that no process can be writing it.
    """
    for leftover in Path(folder).glob(_TEMPORARY.format("*")):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime < idle:
                continue
            if leftover.is_dir():  # of a clip that is a folder of pictures
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()


def open_to_read(path: FilePath) -> io.BufferedReader:
    """Return the open file, or raise one line that says why it cannot be read."""
    name = quoted(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return open(path, "rb")
    except OSError as error:
        way_out = suggestion(path) or "check the path and its permissions"
        raise reworded(error, f"cannot read {name}", way_out) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"cannot read {name}: it is a folder; name a file in it")
    raise OSError(f"cannot read {name}: it is a pipe or a device; save it to a file first")


def suggestion(path: FilePath) -> str | None:
    """Return a question that names what may be meant by a path that is not there, if anything."""
    if os.path.lexists(path):
        return None
    near = _near(Path(path))
    return None if near is None else f"did you mean {quoted(near)}?"


def _near(path: Path) -> Path | None:
    """A path that is there, whose folders and name are these or much like them."""
    if os.path.lexists(path):
        return path
    folder = None if path.parent == path else _near(path.parent)
    try:
        there = [] if folder is None else os.listdir(folder)
    except OSError:
        return None
    names = [path.name] if path.name in there else []
    names += difflib.get_close_matches(path.name, there, n=1, cutoff=0.75)
    return None if folder is None or not names else folder / names[0]


def asset_path(name: str) -> Path:
    """Return the path of a file that ships in the package's assets folder.

    Args:
        name: Relative to that folder, with forward slashes: "content/kitten.jpg".

    Raises:
        ValueError: The name leads out of the folder.
        FileNotFoundError: There is no such asset.
    """
    parts = name.split("/")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"asset name must be like 'content/kitten.jpg', got {name!r}")
    path = Path(str(importlib.resources.files("nst_jax").joinpath("assets", *parts)))
    if not path.is_file():
        raise FileNotFoundError(f"no file {quoted(path)} in the package; reinstall nst-jax")
    return path


def cache_dir() -> Path:
    """Return the folder for what is fetched or converted once and can be made again.

    It is the environment variable NST_JAX_CACHE, else nst_jax in the platform's cache folder. The
    folder need not exist.

    Raises:
        ValueError: There is neither the variable nor a home folder.
    """
    chosen = os.environ.get("NST_JAX_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "nst_jax"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/nst_jax"
        xdg = os.environ.get("XDG_CACHE_HOME", "")  # its specification has relative paths ignored
        return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "nst_jax"
    except RuntimeError as error:
        raise ValueError(
            f"no folder for the cache ({reason(error)}); set NST_JAX_CACHE to one"
        ) from error


def unwritable(error: OSError, path: FilePath) -> OSError:
    """Return the error of a failed writing in our words."""
    way_out = "its folder must exist, be writable and have room; make it or choose another"
    return reworded(error, f"cannot write {quoted(path)}", way_out)


def reworded(error: OSError, what: str, way_out: str) -> OSError:
    """Return an error of the same class whose one line is complete in itself."""
    return type(error)(f"{what}: {reason(error)}; {way_out}")


def reason(error: BaseException) -> str:
    """Return why on one line, without the path that the system's own errors repeat."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def quoted(path: FilePath) -> str:
    """Return the path in quotes, fit to print on one line whatever the file is called.

    Raises:
        ValueError: It is no path; see as_path.
    """
    return repr(as_path(path).as_posix())


def as_path(path: FilePath, *, name: str = "path") -> Path:
    """Return a path that a caller gives.

    Args:
        path: Text, or a path object.
        name: What the error calls it.

    Raises:
        ValueError: It is something else, such as a file that is open.
    """
    if isinstance(path, str | os.PathLike):
        return Path(path)
    in_memory = isinstance(path, bytes | bytearray) or hasattr(path, "read")
    way_out = "PIL.Image.open opens a picture that is in memory" if in_memory else "give its name"
    raise ValueError(f"{name}: wanted a path, got {type(path).__name__}; {way_out}")
