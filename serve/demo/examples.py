"""Example inks for the page: from the project's test split if it has one, otherwise those that are shipped."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from latexify.artifacts.location import Location
from latexify.artifacts.names import MANIFEST_NAME
from latexify.common.extras import missing_extra
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.latex import tokenize
from latexify.serve.examples import example_inks

if TYPE_CHECKING:
    import pyarrow as pa

MAX_TOKENS = 24  # longest label of an example; longer ones do not fit on a phone
MAX_POINTS = 2_000  # largest example; all examples are sent to the visitor's browser


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoExample:
    """An ink with its label, which is normalised."""

    key: str
    label: str
    strokes: list[Stroke]

    def to_dict(self) -> dict[str, Any]:
        """Return name, LaTeX and strokes as JSON values, as the service's examples have them.

        The strokes are rounded to thousandths of their extent, which gives the same picture.
        """
        low = np.min([stroke.min(axis=0) for stroke in self.strokes], axis=0)
        extent = float(np.max([stroke.max(axis=0) for stroke in self.strokes] - low)) or 1.0
        strokes = [np.round((stroke - low) * (1000 / extent), 1).tolist() for stroke in self.strokes]
        return {"name": self.key, "latex": self.label, "strokes": strokes}


def find_examples(inks: Location, *, count: int) -> list[DemoExample]:
    """Choose at most `count` examples, the same each time, from short to long.

    They are the shipped ones if the folder of inks is missing or has no test inks. Raises LatexifyError if it is
    damaged, or pyarrow is not installed, which reads it.
    """
    if not (inks / MANIFEST_NAME).is_file():
        return _shipped(count)
    try:
        return _from_test_split(inks, count) or _shipped(count)
    except ModuleNotFoundError as error:
        raise missing_extra(
            "rasterize", package=error.name, needed_by=f"the inks of {inks}, shown as examples,"
        ) from None


def _from_test_split(inks: Location, count: int) -> list[DemoExample]:
    import pyarrow as pa  # noqa: PLC0415  # only projects with inks of their own need it
    import pyarrow.compute as pc  # noqa: PLC0415

    from latexify.pipeline.inks.table import inks_of, read_batches  # noqa: PLC0415

    batches = read_batches(inks, columns=["key", "split", "normalized_label", "num_points"], max_rows=8192)
    keys = dict(chain.from_iterable(map(_candidates, batches)))
    if not keys:
        return []
    chosen = _spread(keys, count)
    chosen_array = pa.array(chosen, pa.string())
    rows = (batch.filter(pc.is_in(batch["key"], chosen_array)) for batch in read_batches(inks))
    examples = {
        ink.key: DemoExample(key=ink.key, label=ink.normalized_label, strokes=ink.strokes)
        for ink in chain.from_iterable(map(inks_of, rows))
    }
    return [examples[key] for key in chosen]


def _candidates(batch: "pa.RecordBatch") -> Iterator[tuple[str, str]]:
    """Yield key and label of the test inks that are small enough."""
    import pyarrow.compute as pc  # noqa: PLC0415

    is_candidate = pc.and_(pc.equal(batch["split"], "test"), pc.less_equal(batch["num_points"], MAX_POINTS))
    rows = batch.filter(is_candidate)
    for key, label in zip(rows["key"].to_pylist(), rows["normalized_label"].to_pylist(), strict=True):
        if 1 < _length(label) <= MAX_TOKENS:
            yield key, label


def _spread(labels: dict[str, str], count: int) -> list[str]:
    """Choose keys of inks of all lengths, each label once, by hashes of the keys."""
    order = sorted(labels, key=lambda key: hashlib.blake2b(key.encode("utf-8", "surrogatepass")).digest())
    first = {labels[key]: key for key in reversed(order)}
    keys = sorted(first.values(), key=lambda key: (_length(labels[key]), key))
    count = min(count, len(keys))
    return [keys[(2 * i + 1) * len(keys) // (2 * count)] for i in range(count)]


def _length(label: str) -> int:
    return sum(token != " " for token in tokenize(label))


def _shipped(count: int) -> list[DemoExample]:
    return [
        DemoExample(
            key=example.name, label=example.latex, strokes=[np.array(stroke, np.float32) for stroke in example.strokes]
        )
        for example in example_inks()[:count]
    ]
