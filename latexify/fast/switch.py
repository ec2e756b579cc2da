"""One switch that turns off every fast path of this package."""

import os

VARIABLE = "LATEXIFY_PLAIN"


def use_plain() -> bool:
    """Whether `LATEXIFY_PLAIN` (not empty and not 0) asks for plain code in place of every fast path."""
    return os.environ.get(VARIABLE, "0") not in {"", "0"}
