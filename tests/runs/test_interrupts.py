"""Signals to a process: what the first and the second of them do."""

import signal
import subprocess
import sys
import threading

import pytest

from nst_jax.runs.interrupts import cancelled_by, deferred_interrupt

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)


@BOTH
def test_the_first_signal_is_told_and_does_nothing_else(number):
    before = signal.getsignal(number)
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) is before
    with deferred_interrupt() as interrupted:
        assert not interrupted()


@BOTH
def test_the_second_signal_does_what_it_did_before(number):
    seen = []
    before = signal.signal(number, lambda number, frame: seen.append(number))
    try:
        with deferred_interrupt() as interrupted:
            signal.raise_signal(number)
            assert (interrupted(), seen) == (True, [])
            signal.raise_signal(number)
            assert seen == [number]
    finally:
        signal.signal(number, before)


def test_ctrl_c_twice_is_a_keyboard_interrupt():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with deferred_interrupt():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_sigterm_after_any_other_signal_ends_the_process_at_once(first):
    code = (
        "import signal\n"
        "from nst_jax.runs.interrupts import deferred_interrupt\n"
        "with deferred_interrupt():\n"
        f"    signal.raise_signal(signal.{first})\n"
        "    print('going on', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('not reached', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "going on\n")


def test_who_takes_care_of_the_signals_is_asked_instead():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with deferred_interrupt(interrupted=lambda: True) as interrupted:
        assert interrupted()
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_flag_stops_what_began_under_it():
    flag = threading.Event()
    with cancelled_by(flag), deferred_interrupt() as interrupted:
        assert not interrupted()
        flag.set()
        assert interrupted()
    with deferred_interrupt() as interrupted:
        assert not interrupted()


def test_other_threads_leave_the_signals_alone():
    found = []

    def enter():
        with deferred_interrupt() as interrupted:
            found.append((interrupted(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGTERM))]
