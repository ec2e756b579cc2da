"""Shards: the contract between the offline half, which writes them, and the online half, which reads them.

This package imports no other package of the project except `latexify.artifacts`, `latexify.common` and `latexify.fast`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latexify.shards.webdataset import open_shards as open_shards

__all__ = ["open_shards"]


def __getattr__(name: str) -> Any:
    """Import `open_shards` on first use: it needs pyarrow, which the modules of the format do without."""
    if name != "open_shards":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from latexify.shards.webdataset import open_shards  # noqa: PLC0415  # see above

    return open_shards
