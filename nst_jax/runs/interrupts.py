"""Ctrl-C and SIGTERM that wait for the step in progress."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_interrupt(
    interrupted: Callable[[], bool] | None = None,
) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C or SIGTERM came since the block began.

    SIGTERM is what `docker stop`, Slurm and a machine that shuts down send. The first of these
    signals does nothing else: an exception amid a step would lose the state, whose buffers were
    given away. The second one does what it did before the block. Outside the main thread, where
    Python allows no such change, the signals keep their meaning.

    Args:
        interrupted: What is asked instead, by one who takes care of the signals; they keep their
            meaning then.
    """
    if interrupted is not None:
        yield interrupted
        return
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # getsignal returns None for a handler that is not Python's, which cannot be put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
    seen = threading.Event()

    def handler(number, frame):
        if not seen.is_set():
            seen.set()
            return
        previous = before[number]
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in _SIGNALS:
        signal.signal(number, handler)
    try:
        yield seen.is_set
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
