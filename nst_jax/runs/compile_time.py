"""How long JAX has been compiling."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from jax import monitoring


@contextmanager
def compile_seconds() -> Iterator[Callable[[], float]]:
    """Yield a function that tells how long JAX has been compiling since the block began.

    Tracing, lowering and XLA's compilation, in seconds; a program found in the persistent
    compilation cache counts with the time that it took to load. What other threads compile does
    not count.
    """
    spent, thread = [0.0], threading.get_ident()

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        # Of functions traced within others JAX reports the outermost alone: nothing counts twice.
        if event.startswith("/jax/core/compile/") and threading.get_ident() == thread:
            spent[0] += duration_secs

    monitoring.register_event_duration_secs_listener(listen)
    try:
        yield lambda: spent[0]
    finally:
        monitoring.unregister_event_duration_listener(listen)


@contextmanager
def stopwatch(
    *, before: Mapping[str, float] | None = None
) -> Iterator[Callable[[], dict[str, float]]]:
    """Yield a function that returns the seconds since the block began, as records have them.

    {"compile": ..., "run": ...}: those of compiling, and all others.

    Args:
        before: Seconds that are added, of the same run in earlier processes.
    """
    started, earlier = time.perf_counter(), before or {"compile": 0.0, "run": 0.0}
    with compile_seconds() as compiling:

        def seconds() -> dict[str, float]:
            compiled = compiling()
            run = time.perf_counter() - started - compiled
            return {"compile": earlier["compile"] + compiled, "run": earlier["run"] + run}

        yield seconds
