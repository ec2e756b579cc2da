"""Pandas is half a second and 50 MiB in each process; the offline half must not load it by the way."""

import subprocess
import sys

import pytest

pytest.importorskip("pandas")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_arrow_does_not_import_pandas_any_more() -> None:
    """Without it, a list of two numbers is enough."""
    code = "import sys, pyarrow as pa; {}pa.array([1]); print('pandas' in sys.modules)"
    assert _run(code.format("")) == "True", "pyarrow has changed: `block_pandas_import` is not needed any more"
    assert (
        _run(code.format("from latexify.fast.pandas_import import block_pandas_import; block_pandas_import(); "))
        == "False"
    )


def test_pandas_is_there_for_those_who_want_it() -> None:
    """Other code of the same process may be a user's."""
    code = (
        "import pyarrow as pa; from latexify.fast.pandas_import import block_pandas_import; block_pandas_import();"
        "import pandas; print(pa.table({'a': [1, 2]}).to_pandas()['a'].sum())"
    )
    assert _run(code) == "3"


def test_workers_do_without() -> None:
    """Each of 64 workers would take its own 50 MiB."""
    code = """
import sys, joblib, pyarrow
from latexify.pipeline.engine.engine import Engine

def loads_pandas():
    pyarrow.array([1])
    return "pandas" in sys.modules

print(list(Engine(jobs=2).run([joblib.delayed(loads_pandas)() for _ in range(4)], in_order=True)))
"""
    assert _run(code) == str([False] * 4)
