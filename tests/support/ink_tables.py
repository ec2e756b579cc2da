"""Rows of the inks folder from inks."""

from collections.abc import Sequence

import pyarrow as pa

from latexify.pipeline.inks.ink import Ink, StrokeColumns
from latexify.pipeline.inks.table import table_of


def ink_table(inks: Sequence[Ink]) -> pa.Table:
    """Rows of `INK_SCHEMA`."""
    names = ("key", "split", "label", "normalized_label", "writer", "source")
    texts = {name: [getattr(ink, name) for ink in inks] for name in names}
    return table_of(texts, strokes=StrokeColumns.of([ink.strokes for ink in inks]))
