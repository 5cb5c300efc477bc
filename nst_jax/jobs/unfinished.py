"""OUT.state/: what an unfinished run leaves beside its picture, and what becomes of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.array_types import ImageOfAnySize
from nst_jax.files.disk import check_name, quoted
from nst_jax.files.saved_arrays import STATE_FILE
from nst_jax.pixels.saved_state import SavedRun

_PREVIEW = "preview.png"
_BEST = "best.png"
_FINISHED = "finished.png"
_MIXED = "mixed.safetensors"
_RECORDS = "records"


class Unfinished:
    """The folder OUT.state/ of one picture OUT.

    Attributes:
        folder: The folder.
        preview: The picture as it was at the last save.
        best: The best picture of a run that diverged.
        finished: The picture of a run whose OUT somebody else has made meanwhile.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.folder = out.with_name(f"{out.name}.state")
        self.preview, self.best = self.folder / _PREVIEW, self.folder / _BEST
        self.finished = self.folder / _FINISHED

    def exists(self) -> bool:
        """Return whether there is a state that a run can go on from."""
        return (self.folder / STATE_FILE).exists()

    def check(self, out: Path, *, resume: bool) -> None:
        """Refuse a folder that cannot be used, or that holds a run that is not asked for.

        Args:
            out: The picture, which errors name.
            resume: Whether the user wants to go on.

        Raises:
            OSError: There is a state and the user does not want it; a file is in its place; or the
                name is too long for the system.
        """
        check_name(out)
        try:
            check_name(self.folder)
        except OSError as error:
            raise OSError(
                f"cannot write {quoted(out)}: its name is too long, since {len('.state')} letters "
                "more name its unfinished state; choose a shorter one"
            ) from error
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(
                f"cannot use '{self.folder}' for the state: it is a file; rename it"
            )
        if self.exists() and not resume:
            raise FileExistsError(
                f"'{self.folder}' holds an unfinished run; add --resume to go on with it, "
                "or delete the folder to start afresh"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from painting OUT meanwhile: two would mix their states.

        The folder is made, and goes at the block's end if nothing lies in it.

        Raises:
            ValueError: Another process is painting OUT.
            OSError: The folder cannot be made.
        """
        files.make_folder(self.folder)
        try:
            with ExitStack() as stack:
                try:
                    stack.enter_context(files.locked(self.folder, name="out"))
                except ValueError as error:
                    raise ValueError(
                        f"out: {quoted(self._out)} is being painted by another process; wait until "
                        "it ends, or choose another name"
                    ) from error
                yield
        finally:
            files.remove_if_empty(self.folder)

    def load(self) -> SavedRun | None:
        """Return the state to go on from, or None where there is none.

        Raises:
            OSError: It cannot be read.
            ValueError: The state is damaged.
        """
        return files.load_state(self.folder)

    def save(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Keep what stylize wants back as resume."""
        files.save_state(self.folder, arrays, metadata)

    def show(self, picture: Float[np.ndarray, "1 height width 3"]) -> None:
        """Write the picture as it is now to preview.png."""
        files.save_image(self.preview, jnp.asarray(picture))

    def keep_best(self, picture: Float[np.ndarray, "1 height width 3"]) -> None:
        """Write best.png, and remove the state: going on from it would fail again."""
        self.remove()
        files.make_folder(self.folder)
        files.save_image(self.best, jnp.asarray(picture))

    def keep_finished(self, picture: ImageOfAnySize) -> None:
        """Write finished.png, and remove the rest."""
        self.remove()
        files.make_folder(self.folder)
        files.save_image(self.finished, picture)

    def keep_mixed(
        self, styles: Sequence[ImageOfAnySize], records: Sequence[Mapping[str, Any]]
    ) -> None:
        """Keep paintings that were mixed, to the last bit: another machine would mix others."""
        files.make_folder(self.folder)
        arrays = {str(number): np.asarray(style) for number, style in enumerate(styles)}
        text = {_RECORDS: json.dumps(list(records))}
        files.save_arrays(self.folder / _MIXED, arrays, text)

    def load_mixed(self) -> tuple[list[ImageOfAnySize], list[Any]] | None:
        """Return what keep_mixed was given, or None."""
        if not (self.folder / _MIXED).exists():
            return None
        arrays, text = files.load_arrays(self.folder / _MIXED)
        styles: list[ImageOfAnySize] = [jnp.asarray(arrays[str(i)]) for i in range(len(arrays))]
        return styles, json.loads(text[_RECORDS])

    def remove(self) -> None:
        """Remove what is ours in the folder, and the folder if nothing else lies in it."""
        for path in (self.preview, self.best, self.finished, self.folder / _MIXED):
            files.remove_file(path)
        files.remove_state(self.folder)
