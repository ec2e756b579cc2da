"""SIGTERM and Ctrl-C as a request to stop between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

HANDLED = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """A context that records the first SIGTERM or SIGINT instead of ending the process; a second one acts as usual.

    Outside the main thread, where Python does not allow handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        """Name of the signal received."""
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._record) for number in HANDLED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
