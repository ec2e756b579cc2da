"""Keep pandas out of processes that do not use it."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import pyarrow as pa

from latexify.fast.switch import use_plain


def block_pandas_import() -> None:
    """Make pyarrow believe that pandas is not installed, unless this process has imported it already.

    `pyarrow.array` imports pandas once to test for Series, which costs 0.5 s and 50 MiB per process. Later imports of
    pandas work, and so does `to_pandas`; but pyarrow then treats a Series as any other sequence. Does nothing with
    `LATEXIFY_PLAIN`.
    """
    if use_plain():
        return
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
