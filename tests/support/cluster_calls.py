"""What tests send to workers, which import it by name."""

import os
import time
from typing import Any

from latexify.common.errors import LatexifyError


def stamped(number: int, padding: Any) -> tuple[int, int]:
    """A call that carries data."""
    return number, int(padding.sum())


def slow(number: int, _: Any) -> int:
    """A call that takes a while."""
    time.sleep(0.05)
    return number


def refuse(number: int) -> int:
    """A call that fails."""
    if number == 3:
        raise LatexifyError("ink 3 is the culprit: mend it")
    return number


def end_the_process(_: int) -> None:
    """Die as a worker dies that the kernel kills."""
    os._exit(1)
