"""What ends a run early: Ctrl-C and SIGTERM, which wait for the step in progress, and a flag."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@runtime_checkable
class Cancel(Protocol):
    """What stops a run from any thread, such as a threading.Event."""

    def is_set(self) -> bool:
        """Return whether the run is to stop."""
        ...


_AGAIN = 0.05  # seconds
_TERMINATED = threading.Event()

_CANCEL: ContextVar[Cancel | None] = ContextVar("cancel", default=None)


@contextmanager
def cancelled_by(cancel: Cancel | None) -> Iterator[None]:
    """Let a flag do what Ctrl-C does to the runs of this thread that begin inside the block."""
    token = _CANCEL.set(cancel)
    try:
        yield
    finally:
        _CANCEL.reset(token)


def is_cancelled() -> bool:
    """Return whether the flag of cancelled_by is set."""
    cancel = _CANCEL.get()
    return cancel is not None and cancel.is_set()


def _interrupt_main(number: signal.Signals) -> None:
    """Send the main thread a signal; where the system can, also one that wakes it up."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)


@contextmanager
def termination_interrupts() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM do what Ctrl-C does, and yield a function that returns whether it came.

    It came too where deferred_interrupt heard it within the block. Either signal comes again where
    Python has dropped what it raised, as it does in finalizers and while it collects garbage.
    Outside the main thread, where Python allows no such change, SIGTERM keeps its meaning.
    """
    _TERMINATED.clear()
    if threading.current_thread() is not threading.main_thread():
        yield _TERMINATED.is_set
        return

    def handler(number, frame):
        del number, frame
        _TERMINATED.set()
        raise KeyboardInterrupt

    repeated: list[threading.Timer] = []

    def repeat(dropped):
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            report(dropped)
            return
        number = signal.SIGTERM if _TERMINATED.is_set() else signal.SIGINT
        again = threading.Timer(_AGAIN, _interrupt_main, (number,))
        again.daemon = True
        again.start()
        repeated.append(again)

    before = signal.signal(signal.SIGTERM, handler)
    report, sys.unraisablehook = sys.unraisablehook, repeat
    try:
        yield _TERMINATED.is_set
    finally:
        for again in repeated:  # one that was heard after all must not end what follows
            again.cancel()
        sys.unraisablehook = report
        signal.signal(signal.SIGTERM, before)


@contextmanager
def deferred_interrupt(
    *, interrupted: Callable[[], bool] | None = None
) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C, SIGTERM or the flag of cancelled_by came.

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
        yield is_cancelled
        return
    # getsignal returns None for a handler that is not Python's, which cannot be put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
    seen = threading.Event()

    def handler(number, frame):
        if not seen.is_set():
            seen.set()
            if number == signal.SIGTERM:
                _TERMINATED.set()
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
        yield lambda: seen.is_set() or is_cancelled()
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
