"""A training that ends on time: it plans how many steps it has from how long steps take."""

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

# Steps that are left out of the measurement: the first one is compiled, and losses, by which the
# host notices that a step is done, are read two steps late.
_UNMEASURED_STEPS = 3
_MEASURED_SHARE = 0.1  # of the limit
_USED_SHARE = 0.97  # of the time that is left then: steps may come to take a little longer
_LONGEST_RESERVE = 5.0  # seconds, for the last checkpoint and the network's file


class TimeLimit(NamedTuple):
    """How long a training may take.

    Attributes:
        seconds: From began on, with what earlier processes of the same run have used.
        began: The value of time.perf_counter() from which on time counts; None is when the steps
            begin.
        on_plan: Called with the number of the last step, once that is planned.
    """

    seconds: float
    began: float | None = None
    on_plan: Callable[[int], None] | None = None


class Planner:
    """Measures steps, plans the last one, and says when time is up."""

    def __init__(self, limit: TimeLimit, *, seconds_before: float):
        """Begin to count.

        Args:
            limit: How long the training may take.
            seconds_before: What earlier processes have used of it.
        """
        began = perf_counter() if limit.began is None else limit.began
        self._seconds = limit.seconds
        self._deadline = began + limit.seconds - seconds_before
        self._steps = 0
        self._mark = began
        self._is_planned = False

    def note(self) -> None:
        """Count a step."""
        self._steps += 1
        if self._steps == _UNMEASURED_STEPS:
            self._mark = perf_counter()

    def is_due(self) -> bool:
        """Return whether it is time to plan: steps were measured for long enough."""
        can_plan = self._steps > _UNMEASURED_STEPS and not self._is_planned
        return can_plan and perf_counter() - self._mark >= _MEASURED_SHARE * self._seconds

    def is_over(self) -> bool:
        """Return whether what is left of the time is wanted for ending."""
        return perf_counter() >= self._deadline - self._reserve()

    def plan(self, look: Callable[[], None], *, look_every: int) -> int:
        """Return how many further steps there is time for, at least 1.

        Args:
            look: Does what is done at the end, besides saving: measures and paints. It is called
                twice, since the first call compiles.
            look_every: After how many steps the run looks; 0 for never before the end.
        """
        self._is_planned = True
        now = perf_counter()
        per_step = (now - self._mark) / (self._steps - _UNMEASURED_STEPS)
        look()
        compiled = perf_counter()
        look()
        now = perf_counter()
        looking = now - compiled
        if look_every:
            per_step += looking / look_every
        left = _USED_SHARE * (self._deadline - self._reserve() - 2 * looking - now)
        return max(1, int(left / per_step)) if per_step > 0 else 1

    def _reserve(self) -> float:
        return min(_LONGEST_RESERVE, 0.1 * self._seconds)
