"""Timing several works in turn: what all comparisons of time share."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Work = Callable[[], Any]
"""Does one thing and waits until it is done."""


def interleave(works: Mapping[str, Work], *, repeats: int) -> dict[str, list[float]]:
    """Seconds that each side took in each turn, after one turn that does not count."""
    seconds: dict[str, list[float]] = {side: [] for side in works}
    for turn in range(1 + repeats):
        for side, work in works.items():
            began = time.perf_counter()
            work()
            if turn > 0:  # the first compiles, or fills a history
                seconds[side].append(time.perf_counter() - began)
    return seconds


def compare(seconds: Mapping[str, list[float]], base: str) -> dict[str, dict[str, float]]:
    """Each side's median, and the median over turns of its ratio to the base's."""
    return {
        side: {
            "seconds": statistics.median(values),
            "ratio": statistics.median(
                mine / other for mine, other in zip(values, seconds[base], strict=True)
            ),
        }
        for side, values in seconds.items()
    }
