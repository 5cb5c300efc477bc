"""A limit on the processor time of every test that is not marked slow; `make test` sets it.

The limit is NST_JAX_TEST_LIMIT in seconds of a reference processor, 0 or unset for none. The
test's own body counts, with what it compiles, on all threads of this process: a busy machine
changes that little, a slower one stretches the limit by as much as it is slower.
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail an unmarked test that passes and takes longer than the limit."""
    start = time.process_time()
    result = yield
    seconds = time.process_time() - start
    limit = float(os.environ.get("NST_JAX_TEST_LIMIT", "0"))
    if 0 < limit * slowness() < seconds and not any(map(item.get_closest_marker, _EXEMPT)):
        pytest.fail(
            f"{seconds:.1f} s of processor time, where {limit:g} s are the limit "
            f"(times {slowness():.1f} on this processor): make the test smaller, let it share "
            "what is compiled, or mark it slow",
            pytrace=False,
        )
    return result
