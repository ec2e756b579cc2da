"""The first signal is a request; the second one acts as usual."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from latexify.trainer.loop.signals import StopSignals


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own handler of SIGINT. A shell starts programs in the background without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_signal_is_recorded_and_the_second_interrupts() -> None:
    """Whoever presses Ctrl-C twice does not want to wait for the end of a step."""
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_restored_at_the_end() -> None:
    """The program that calls the trainer has handlers of its own."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_another_thread_may_train() -> None:
    """Python does not allow handlers there."""

    def enter() -> None:
        with StopSignals():
            pass

    with ThreadPoolExecutor() as pool:
        pool.submit(enter).result()
