"""Arrays on a disk, in files without a name, for what is too large for memory."""

import os
import tempfile
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from nst_jax.files.disk import FilePath, quoted


def scratch_arrays(folder: FilePath) -> Callable[[tuple[int, ...]], Float[np.ndarray, "..."]]:
    """Return a function that makes arrays of float32 zeros in files of a folder.

    A file has no name. Its room is free again when its array is dropped or the process ends. The
    system keeps in memory what it has room for.

    Args:
        folder: One that exists, on a disk with room.

    Raises:
        ValueError: There is no such folder.
    """
    if not os.path.isdir(folder):
        raise ValueError(f"scratch: wanted a folder that exists, got {quoted(folder)}")

    def make(shape: tuple[int, ...]) -> np.ndarray:
        """An array of zeros; OSError where the disk has no room for it."""
        size = 4 * int(np.prod(shape))
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):
                # A file with holes would end the process where the disk is full, without an error.
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, np.float32, "r+", shape=shape)

    return make
