"""Shards: the contract between the offline half, which writes them, and the online half, which reads them.

This package imports no other package of the project except `latexify.artifacts`, `latexify.common` and `latexify.fast`.
"""

from latexify.shards.webdataset import open_shards

__all__ = ["open_shards"]
