"""Losses that are read late, so that the device never waits for the host."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

STEPS_AHEAD = 2
"""How many steps the host may run ahead of the losses that it has read."""

_Entry = TypeVar("_Entry")


class Lagged(Generic[_Entry]):
    """A queue of what steps left on the device, from which the host reads the older steps.

    JAX returns before a step is computed. Reading its loss at once would make the host wait, and
    then the device, which has nothing to do until the host has given it the next step.
    """

    def __init__(self) -> None:
        """Begin with nothing to read."""
        self._entries: deque[_Entry] = deque()

    def __bool__(self) -> bool:
        """Whether something is left to read."""
        return bool(self._entries)

    def put(self, entry: _Entry) -> None:
        """Add what a step left."""
        self._entries.append(entry)

    def take_done(self) -> Iterator[_Entry]:
        """Take out, oldest first, the entries of all but the newest STEPS_AHEAD steps."""
        return self._take(STEPS_AHEAD)

    def take_all(self) -> Iterator[_Entry]:
        """Take out every entry, oldest first; the host waits for the device."""
        return self._take(0)

    def clear(self) -> None:
        """Drop what was not read."""
        self._entries.clear()

    def _take(self, left: int) -> Iterator[_Entry]:
        while len(self._entries) > left:
            yield self._entries.popleft()
