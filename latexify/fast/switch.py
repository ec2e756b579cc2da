"""The switch of all fast paths."""

import os


def use_fast_paths() -> bool:
    """Whether fast paths may be used: always, unless LATEXIFY_PLAIN=1 is set."""
    return os.environ.get("LATEXIFY_PLAIN") != "1"
