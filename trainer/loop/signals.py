"""SIGTERM and Ctrl-C as a request to stop between two steps."""

import signal
import threading
from contextlib import ExitStack
from types import FrameType
from typing import Self


class StopSignals(ExitStack):
    """A context that records the first SIGTERM or SIGINT instead of ending the process; a second one acts as usual.

    Outside the main thread, where Python does not allow handlers, it does nothing.
    """

    received: str | None = None
    """Name of the signal received."""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.callback(signal.signal, number, signal.signal(number, self._record))
        return self

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self.close()  # restores the handlers
