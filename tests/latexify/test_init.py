"""The public API: what `import latexify` offers and costs."""

import subprocess
import sys

import pytest

import latexify
from latexify.version import VERSION


def test_import_loads_nothing_heavy() -> None:
    """`import latexify` must work in every installation and take milliseconds."""
    program = "import sys, latexify; print(*(name.partition('.')[0] for name in sys.modules))"
    names = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy", "pyarrow", "pydantic", "typer", "cairo"} & set(names)


def test_public_names_are_there() -> None:
    """People import them as the documentation says."""
    from latexify.serve import recognizer

    assert latexify.Recognizer is recognizer.Recognizer
    assert latexify.Recognition is recognizer.Recognition
    assert latexify.__version__ == VERSION
    assert set(latexify.__all__) <= set(dir(latexify))


def test_other_names_are_errors() -> None:
    """A misspelt name is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="Recogniser"):
        _ = latexify.Recogniser
