"""Progress bars for terminals, plain lines for pipes and CI."""

import sys
import time
from typing import Self

from tqdm import tqdm

PLAIN_INTERVAL_S = 10.0


class Progress:
    """A bar with rate and remaining time on a terminal; elsewhere a plain line at most every ten seconds.

    Use it as a context manager. `total` is None if it is unknown. Of several processes that do the same work, all but
    one should be `silent`. With `quiet`, it shows messages only.
    """

    def __init__(self, stage: str, *, total: int | None, unit: str, silent: bool = False, quiet: bool = False) -> None:
        self._stage, self._total, self._unit, self._silent, self._quiet = stage, total, unit, silent, quiet
        self._done = 0
        self._started = self._last_line = time.monotonic()
        self._note = ""
        is_terminal = sys.stderr.isatty() and not (silent or quiet)
        self._bar = tqdm(total=total, unit=f" {unit}", desc=stage, smoothing=0.1) if is_terminal else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            self._print_line()

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Count `count` more units as done; `note` (such as the current loss) is shown after the rate."""
        self._done += count
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL_S:
            self._print_line()

    def message(self, text: str) -> None:
        """Print a line without disturbing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif not self._silent:
            print(text, file=sys.stderr, flush=True)

    def _print_line(self) -> None:
        if self._silent or self._quiet:
            return
        now = time.monotonic()
        elapsed_s = max(now - self._started, 1e-9)
        rate = self._done / elapsed_s
        of_total = f"/{self._total}" if self._total is not None else ""
        left = ""
        if self._total is not None and 0 < self._done < self._total:
            left = f", {(self._total - self._done) / rate:.0f} s left"
        note = f", {self._note}" if self._note else ""
        line = f"{self._stage}: {self._done}{of_total} {self._unit} in {elapsed_s:.0f} s, {rate:.1f}/s{left}{note}"
        print(line, file=sys.stderr, flush=True)
        self._last_line = now


def notice(text: str) -> None:
    """Print a line about something that is no error but must not go unnoticed; stdout is for results."""
    print(text, file=sys.stderr, flush=True)
