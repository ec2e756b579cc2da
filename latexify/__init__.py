"""Handwritten mathematics to LaTeX.

`Recognizer`, `Recognition`, `Callback`, `open_shards` and `__version__` are the public API. Everything else below
`latexify` is internal and may change in any version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latexify.version import VERSION as __version__  # noqa: N811  # the name that Python tools expect

if TYPE_CHECKING:
    from latexify.serve.recognizer import Recognition as Recognition
    from latexify.serve.recognizer import Recognizer as Recognizer
    from latexify.shards import open_shards as open_shards
    from latexify.trainer.tracking.callback import Callback as Callback

__all__ = ["Callback", "Recognition", "Recognizer", "__version__", "open_shards"]

_MODULES = {
    "Callback": "latexify.trainer.tracking.callback",
    "Recognition": "latexify.serve.recognizer",
    "Recognizer": "latexify.serve.recognizer",
    "open_shards": "latexify.shards",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import latexify` is quick and needs no extra."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
