from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import pytest

from kltransfer.run.preemption import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_only_sets_the_flag(number: signal.Signals) -> None:
    with StopRequest() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == number.name


def test_handlers_are_restored_at_the_end() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_run_under_nohup_does_not_hear_that_its_terminal_is_gone() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.requested is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_interrupt_interrupts() -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_first_signal_is_the_one_that_counts() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested == "SIGUSR2"


def test_forward_calls_the_handler_that_was_there_before() -> None:
    called: list[int] = []

    def requeue(number: int, frame: FrameType | None) -> None:
        called.append(number)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert called == []
        stop.forward()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert called == [signal.SIGUSR2]


@pytest.mark.parametrize("number", SIGNALS)
def test_forward_does_not_kill_where_nobody_else_was_listening(number: signal.Signals) -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
    stop.forward()


def test_forward_without_a_signal_does_nothing() -> None:
    with StopRequest() as stop:
        stop.forward()
    assert stop.requested is None


def test_a_nested_request_passes_the_signal_on_to_the_outer_one() -> None:
    with StopRequest() as outer:
        with StopRequest() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
        assert outer.requested is None
        inner.forward()
        assert outer.requested == "SIGTERM"


def test_it_is_harmless_outside_the_main_thread() -> None:
    seen: list[str | None] = []

    def work() -> None:
        with StopRequest() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
