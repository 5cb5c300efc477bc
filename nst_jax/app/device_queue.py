"""One job at a time on the device; the others wait, and are told their place."""

import threading
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

Emit = Callable[[Any], None]
Work = Callable[[threading.Event, Emit], Any]
"""What runs on the device: it is given a flag to ask and what to call with its progress."""

_PATIENCE = 0.5  # seconds after which one who waits looks for its place again


class BusyError(Exception):
    """As many jobs wait as may, or the visitor's last one is not done."""


class Waiting(NamedTuple):
    """A job that has not begun.

    Attributes:
        before: How many come before it, the running one included.
    """

    before: int


class Working(NamedTuple):
    """A job that runs.

    Attributes:
        progress: What it said last; None at first.
    """

    progress: Any


class Done(NamedTuple):
    """A job that has ended.

    Attributes:
        result: What it returned; None where it was cancelled before it began.
    """

    result: Any


Update = Waiting | Working | Done


class Ticket:
    """A job in the queue.

    Attributes:
        owner: Who asked for it.
        cancel: The flag that ends it.
    """

    def __init__(self, queue: "DeviceQueue", owner: str, work: Work):
        self.owner, self.cancel = owner, threading.Event()
        self._queue, self._work = queue, work
        self._news: Any = None
        self._version, self._is_done = 0, False
        self._result: Any = None
        self._error: BaseException | None = None

    def updates(self) -> Generator[Update]:
        """Yield where the job is whenever that has changed, and Done at last.

        Of several things that happened meanwhile the last alone is told. Where the reader stops
        reading, the job is cancelled.

        Raises:
            Exception: Whatever the job raised.
        """
        changed, place = self._queue.changed, -1
        seen = [-1]
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: self._is_done or self._has_news(seen[0]), _PATIENCE)
                    before, version = self._queue.place_of(self), self._version
                    if self._is_done:
                        break
                    news = self._news
                if before and before != place:
                    place = before
                    yield Waiting(before)
                elif not before and version != seen[0]:
                    seen[0] = version
                    yield Working(news)
        finally:
            if not self._is_done:
                self._queue.cancel(self.owner)
        if self._error is not None:
            raise self._error
        yield Done(self._result)

    def _has_news(self, seen: int) -> bool:
        return not self._queue.place_of(self) and self._version != seen

    def run(self) -> None:
        """Do the work; the queue's thread calls it."""

        def emit(progress: Any) -> None:
            with self._queue.changed:
                self._news, self._version = progress, self._version + 1
                self._queue.changed.notify_all()

        try:
            if not self.cancel.is_set():
                self._result = self._work(self.cancel, emit)
        except BaseException as error:  # told to whoever reads; the thread goes on
            self._error = error

    def finish(self) -> None:
        """Note that the work is done; the queue's thread calls it, with its lock."""
        self._is_done = True


class DeviceQueue:
    """Jobs in the order in which they came, each run by one thread.

    Attributes:
        changed: Is notified when a job begins, says something or ends.
    """

    def __init__(self, *, max_waiting: int):
        self.changed = threading.Condition()
        self._max_waiting = max_waiting
        self._tickets: list[Ticket] = []  # the first one runs
        self._thread: threading.Thread | None = None

    def submit(self, owner: str, work: Work) -> Ticket:
        """Return the ticket of a job that waits, or runs at once.

        Args:
            owner: Who asks; each has one job at a time.
            work: The job.

        Raises:
            BusyError: The queue is full, or the owner's last job is not done.
        """
        with self.changed:
            if any(ticket.owner == owner for ticket in self._tickets):
                raise BusyError("your last picture is not done; stop it first, or wait for it")
            if len(self._tickets) > self._max_waiting:
                raise BusyError(
                    f"{self._max_waiting} jobs wait already, which is the most; try again later"
                )
            ticket = Ticket(self, owner, work)
            self._tickets.append(ticket)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self.changed.notify_all()
        return ticket

    def cancel(self, owner: str) -> bool:
        """End an owner's job, and return whether there was one.

        Args:
            owner: Whose.
        """
        with self.changed:
            mine = [ticket for ticket in self._tickets if ticket.owner == owner]
            for ticket in mine:
                ticket.cancel.set()
                if ticket is not self._tickets[0]:
                    self._tickets.remove(ticket)
                    ticket.finish()
            self.changed.notify_all()
        return bool(mine)

    def place_of(self, ticket: Ticket) -> int:
        """Return how many jobs come before one, the running one included; 0 for what runs."""
        with self.changed:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def _run(self) -> None:
        while True:
            with self.changed:
                if not self._tickets:
                    self._thread = None
                    return
                ticket = self._tickets[0]
                self.changed.notify_all()
            ticket.run()
            with self.changed:
                self._tickets.remove(ticket)
                ticket.finish()
                self.changed.notify_all()
