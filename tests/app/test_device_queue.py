"""One job at a time, in turn; places told, jobs ended, the queue bounded."""

import threading

import pytest

from nst_jax.app.device_queue import BusyError, DeviceQueue, Done, Waiting, Working


@pytest.fixture
def gate():
    """Work that waits for an event, and the event."""
    opened, begun = threading.Event(), threading.Event()

    def work(cancel, emit):
        begun.set()
        assert opened.wait(10)
        return "first"

    yield work, opened, begun
    opened.set()


def test_jobs_run_in_turn_and_places_are_told(gate):
    work, opened, begun = gate
    queue, order = DeviceQueue(max_waiting=2), []
    first = queue.submit("a", work)
    assert begun.wait(10)
    second = queue.submit("b", lambda cancel, emit: order.append("b"))
    third = queue.submit("c", lambda cancel, emit: order.append("c"))
    news = third.updates()
    assert next(news) == Waiting(2)
    opened.set()
    assert list(first.updates())[-1] == Done("first")
    assert isinstance(list(second.updates())[-1], Done)
    assert list(news)[-1] == Done(None)
    assert order == ["b", "c"]
    with pytest.raises(BusyError, match="0 jobs wait already"):
        _fill(DeviceQueue(max_waiting=0))


def _fill(queue):
    opened = threading.Event()
    try:
        queue.submit("a", lambda cancel, emit: opened.wait(10))
        queue.submit("b", lambda cancel, emit: None)
    finally:
        opened.set()


def test_who_has_a_job_gets_no_second_one(gate):
    work, opened, _ = gate
    queue = DeviceQueue(max_waiting=5)
    first = queue.submit("a", work)
    with pytest.raises(BusyError, match="your last picture is not done"):
        queue.submit("a", work)
    opened.set()
    assert list(first.updates())[-1] == Done("first")
    assert list(queue.submit("a", lambda cancel, emit: 2).updates())[-1] == Done(2)


def test_a_job_that_waits_or_runs_can_be_ended(gate):
    work, opened, begun = gate
    queue = DeviceQueue(max_waiting=5)
    first = queue.submit("a", work)
    waiting = queue.submit("b", lambda cancel, emit: "never")
    assert begun.wait(10)
    assert queue.cancel("b")
    assert list(waiting.updates()) == [Done(None)]
    assert not queue.cancel("b")
    assert queue.cancel("a")
    assert first.cancel.is_set()
    opened.set()


def test_progress_and_errors_reach_the_reader():
    queue, told = DeviceQueue(max_waiting=1), threading.Event()

    def work(cancel, emit):
        emit("half")
        told.wait(10)
        raise ValueError("no picture")

    news = queue.submit("a", work).updates()
    seen = next(news)
    while seen != Working("half"):
        seen = next(news)
    told.set()
    with pytest.raises(ValueError, match="no picture"):
        list(news)
    assert list(queue.submit("a", lambda cancel, emit: 1).updates())[-1] == Done(1)


def test_a_reader_who_leaves_ends_the_job():
    queue, begun = DeviceQueue(max_waiting=1), threading.Event()

    def work(cancel, emit):
        begun.set()
        return cancel.wait(10)

    ticket = queue.submit("a", work)
    news = ticket.updates()
    next(news)
    assert begun.wait(10)
    news.close()
    assert ticket.cancel.is_set()
