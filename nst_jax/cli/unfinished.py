"""OUT.state/: what an unfinished run leaves beside its picture, and what becomes of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.files.saved_arrays import STATE_FILE
from nst_jax.pixels.saved_state import SavedRun

_PREVIEW = "preview.png"
_BEST = "best.png"
_MAY_OVERWRITE = "overwrite"


class Unfinished:
    """The folder OUT.state/ of one picture OUT."""

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(f"{out.name}.state")
        self.preview, self.best = self.folder / _PREVIEW, self.folder / _BEST

    def exists(self) -> bool:
        """Return whether there is a state that a run can go on from."""
        return (self.folder / STATE_FILE).exists()

    def load(self, *, resume: bool) -> SavedRun | None:
        """Return the state to go on from, or None where there is none.

        Raises:
            OSError: There is one and the user does not want it, or it cannot be read.
            ValueError: The state is damaged.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(
                f"cannot use '{self.folder}' for the state: it is a file; rename it"
            )
        if self.exists() and not resume:
            raise FileExistsError(
                f"'{self.folder}' holds an unfinished run; add --resume to go on with it, "
                "or delete the folder to start afresh"
            )
        return files.load_state(self.folder)

    def save(
        self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], *, overwrite: bool
    ) -> None:
        """Keep what stylize wants back as resume, and whether the run may replace OUT."""
        files.save_state(self.folder, arrays, {**metadata, _MAY_OVERWRITE: overwrite})

    def show(self, picture: Float[np.ndarray, "1 height width 3"]) -> None:
        """Write the picture as it is now to preview.png."""
        files.save_image(self.preview, jnp.asarray(picture))

    def keep_best(self, picture: Float[np.ndarray, "1 height width 3"]) -> None:
        """Write best.png, and remove the state: going on from it would fail again."""
        self.remove()
        self.folder.mkdir(exist_ok=True)
        files.save_image(self.best, jnp.asarray(picture))

    def remove(self) -> None:
        """Remove what is ours in the folder, and the folder if nothing else lies in it."""
        self.preview.unlink(missing_ok=True)
        self.best.unlink(missing_ok=True)
        files.remove_state(self.folder)


def may_overwrite(saved: SavedRun | None) -> bool:
    """Return whether a saved run was begun with --overwrite."""
    return saved is not None and bool(saved[1].get(_MAY_OVERWRITE))
