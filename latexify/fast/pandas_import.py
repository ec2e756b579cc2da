"""Keeping pandas out of processes that have no use for it."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import pyarrow as pa


def block_pandas_import() -> None:
    """Have pyarrow find no pandas in this process, unless it is imported already.

    To see that a list is no Series, `pyarrow.array` imports pandas wherever that is installed: about half a second and
    50 MiB, of which some would come with other modules. It asks once. Whoever imports pandas later gets it, and
    `to_pandas` still works; but a Series is no more than a sequence to pyarrow then.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=fullname)
        return None
