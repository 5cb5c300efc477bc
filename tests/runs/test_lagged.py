"""The queue of losses that are read late, step by step by hand."""

from nst_jax.runs.lagged import Lagged


def test_all_but_the_two_newest_steps_are_read_in_order():
    queue: Lagged[int] = Lagged()
    read = []
    for step in range(1, 6):
        queue.put(step)
        read.append(list(queue.take_done()))
    assert read == [[], [], [1], [2], [3]]
    assert queue
    assert list(queue.take_all()) == [4, 5]
    assert not queue


def test_what_is_not_read_can_be_dropped():
    queue: Lagged[str] = Lagged()
    queue.put("a")
    queue.clear()
    assert not queue
    assert list(queue.take_all()) == []


def test_reading_stops_where_the_reader_stops():
    queue: Lagged[int] = Lagged()
    for step in range(4):
        queue.put(step)
    for step in queue.take_all():
        if step == 1:
            break
    assert list(queue.take_all()) == [2, 3]
