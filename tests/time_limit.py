"""A limit on the processor time of every test that is not marked slow; `make test` sets it.

The limit is NST_JAX_TEST_LIMIT in seconds of a reference processor, 0 or unset for none. The
test's own body counts, with what it compiles, on all threads of this process. A slower processor
stretches the limit by as much as it is slower, and a machine with more to do than it has
processors up to twofold: processes that push each other out of the caches take so much longer.
"""

import functools
import os
import time
from collections.abc import Generator

import pytest

# What _loop takes on one core of an AMD EPYC 9004.
_REFERENCE_SECONDS = 0.0125
_EXEMPT = ("slow", "oracle", "gpu")


def _loop() -> float:
    start = time.process_time()
    sum(i * i for i in range(300_000))
    return time.process_time() - start


@functools.cache
def slowness() -> float:
    """Return how many times slower this processor is than the reference, 1 at least."""
    return max(1.0, min(_loop() for _ in range(5)) / _REFERENCE_SECONDS)


def busyness() -> float:
    """Return the work that waits for each processor, from 1 to 2."""
    return min(2.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail an unmarked test that passes and takes longer than the limit."""
    start = time.process_time()
    result = yield
    seconds = time.process_time() - start
    limit = float(os.environ.get("NST_JAX_TEST_LIMIT", "0"))
    exempt = any(map(item.get_closest_marker, _EXEMPT))
    if 0 < limit < seconds and not exempt and seconds > limit * slowness() * busyness():
        pytest.fail(
            f"{seconds:.1f} s of processor time, where {limit:g} s are the limit (times "
            f"{slowness():.1f} on this processor, times {busyness():.1f} as busy as it is): make "
            "the test smaller, let it share what is compiled, or mark it slow",
            pytrace=False,
        )
    return result
