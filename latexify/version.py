"""The version of the project. A module of its own, because PyPI's `latexify-py` may replace `latexify/__init__.py`."""

VERSION = "0.1.0"
