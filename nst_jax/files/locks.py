"""One process at a time in a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nst_jax.files.disk import FilePath, quoted

try:
    import fcntl
except ImportError:  # Windows, where a folder cannot be locked
    fcntl = None


@contextmanager
def locked(folder: FilePath, *, name: str) -> Iterator[None]:
    """Hold a folder, which must exist, so that no other process that asks can hold it meanwhile.

    The lock is the operating system's on the open folder. It leaves no file behind, and it ends
    with the process, however that ends. Where the system or the file system has no such lock, the
    block runs without one.

    Args:
        folder: What to hold.
        name: What the user calls it, for the error.

    Raises:
        ValueError: Another process holds it, or another thread of this one.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{name}: {quoted(folder)} is in use by another process; wait until it ends, or "
                "choose another folder"
            ) from error
        except OSError:  # some network file systems have no locks
            pass
        yield
    finally:
        os.close(descriptor)
