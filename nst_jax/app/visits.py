"""A folder for each visitor, which goes when the visit ends, and addresses of what lies in it."""

import secrets
import threading
import time
from collections.abc import Callable, Set
from pathlib import Path

from nst_jax import files

_TOKEN_BYTES = 16
_MOST_FILES = 64  # that a visitor can still fetch; older ones go


class Visit:
    """A visitor's folder.

    Attributes:
        folder: Where the visitor's files lie; nobody else's do.
        token: What addresses of its files begin with; nobody can guess it.
        uploads: Files that the visitor sent, which lie elsewhere; equal files of several visitors
            are one.
    """

    def __init__(self, root: Path):
        self.token = secrets.token_hex(_TOKEN_BYTES)
        self.folder = root / self.token
        files.make_folder(self.folder, mode=0o700)
        self.uploads: set[Path] = set()
        self._files: dict[str, Path] = {}

    def claim(self, name: str) -> Path:
        """Return a new file's path in the folder, which its address then leads to.

        Args:
            name: What a browser saves it as: letters, digits, one dot.
        """
        path = self.folder / f"{secrets.token_hex(4)}-{name}"
        self._files[path.name] = path
        while len(self._files) > _MOST_FILES:
            files.remove_file(self._files.pop(next(iter(self._files))))
        return path

    def find(self, name: str) -> Path | None:
        """Return the file of a name that claim gave; None for all other names."""
        path = self._files.get(name)
        return path if path is not None and files.is_file(path) else None

    def remove(self, *, kept: Set[Path] = frozenset()) -> None:
        """Remove the folder and what was uploaded.

        Args:
            kept: What others have sent too.
        """
        files.remove_folder(self.folder)
        for path in self.uploads - kept:
            files.remove_file(path)


class Visits:
    """All visitors, by a key that their browsers send."""

    def __init__(
        self,
        root: Path,
        *,
        most: int,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._root, self._most, self._idle, self._clock = root, most, idle_seconds, clock
        self._lock = threading.Lock()
        self._visits: dict[str, tuple[Visit, float]] = {}

    def visit(self, key: str) -> Visit:
        """Return the visit of a key, begun now if it is new; idle ones end.

        Args:
            key: Any text; it becomes part of no path.
        """
        with self._lock:
            now = self._clock()
            found = self._visits.pop(key, None)
            visit = found[0] if found is not None else Visit(self._root)
            self._visits[key] = (visit, now)  # the last one is the one that was here last
            ended = [k for k, (_, last) in self._visits.items() if now - last > self._idle]
            ended += list(self._visits)[: max(0, len(self._visits) - self._most)]
            gone = [self._visits.pop(each)[0] for each in dict.fromkeys(ended)]
            kept = self._held()
        for each in gone:
            each.remove(kept=kept)
        return visit

    def end(self, key: str) -> None:
        """End a visit; nothing happens where there is none."""
        with self._lock:
            found = self._visits.pop(key, None)
            kept = self._held()
        if found is not None:
            found[0].remove(kept=kept)

    def _held(self) -> set[Path]:
        """What visitors who are here have sent."""
        return {path for visit, _ in self._visits.values() for path in visit.uploads}

    def find_file(self, token: str, name: str) -> Path | None:
        """Return a visitor's file by its address; None where there is none.

        Args:
            token: The visit's.
            name: The file's, as claim gave it.
        """
        with self._lock:
            visits = [visit for visit, _ in self._visits.values()]
        visit = next(
            (
                each
                for each in visits
                if secrets.compare_digest(each.token.encode(), token.encode("utf-8", "replace"))
            ),
            None,
        )
        return None if visit is None else visit.find(name)
