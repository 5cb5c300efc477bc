"""Ctrl-C that waits for the step in progress."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed since the block began.

    The first one does nothing else: an exception amid a step would lose the state, whose buffers
    were given away. The second one does what Ctrl-C did before. Outside the main thread, where
    Python allows no such change, Ctrl-C keeps its meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)
    seen = threading.Event()

    def handler(number, frame):
        if seen.is_set() and callable(before):
            before(number, frame)
        seen.set()

    signal.signal(signal.SIGINT, handler)
    try:
        yield seen.is_set
    finally:
        signal.signal(signal.SIGINT, before)
