"""Origin and licence of the data that a model was trained on, for its card."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from latexify.pipeline.source.datasets import DATASETS, MATHWRITING_ORIGIN, Origin

ORIGINS: Mapping[str, Origin] = {name: dataset.origin for name, dataset in DATASETS.items()}
"""By the name that `dataset` has in ``params.yaml``."""
ADDITIONS: Mapping[str, Origin] = {
    "detexify": Origin(title="symbols drawn for Detexify", terms="ODbL 1.0", licence="odbl"),
    "symbols": MATHWRITING_ORIGIN,
    "wikipedia": Origin(title="formulas of Wikipedia articles", terms="CC BY-SA", licence=None),
}
"""Files that a dataset may be enriched with, by the beginning of their names."""


def origins(source: Mapping[str, Any]) -> list[Origin]:
    """Return the origins of a dataset and of the files that it was composed with, by ``data/source``'s parameters."""
    composed = source.get("composed", {})
    files = [*composed.get("symbol_files", []), *composed.get("formulas", [])]
    return list(dict.fromkeys([ORIGINS[source["dataset"]], *map(_origin_of_file, files)]))


def _origin_of_file(path: str) -> Origin:
    name = PurePosixPath(path).name
    known = (origin for start, origin in ADDITIONS.items() if name.startswith(start))
    return next(known, Origin(title=f"the publisher's {name}", terms="as the publisher states", licence=None))
