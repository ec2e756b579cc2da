"""Returns memory that was freed to the system."""

import ctypes
from functools import cache
from typing import Any


def release_free_memory() -> None:
    """Return what the C library keeps of freed memory, in all its arenas; does nothing where it is not glibc.

    glibc keeps the gaps between objects of some kilobytes, such as the files of an archive: tens of megabytes.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any | None:
    """The function `malloc_trim` of glibc (man 3 malloc_trim), None if there is none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library of the process
        return None
