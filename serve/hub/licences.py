"""Origin and licence of the data that a model was trained on, for its card."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from latexify.pipeline.source.datasets import DATASETS, MATHWRITING_ORIGIN, Origin

PERMISSIVE = "apache-2.0"
"""Licence of generated data. It adds no terms to those of other data, or of a base model."""
ORIGINS: Mapping[str, Origin] = {name: dataset.origin for name, dataset in DATASETS.items()}
"""By the name that `dataset` has in ``params.yaml``."""
ADDITIONS: Mapping[str, Origin] = {
    "detexify": Origin(title="symbols drawn for Detexify", terms="ODbL 1.0", licence="odbl"),
    "symbols": MATHWRITING_ORIGIN,
    "wikipedia": Origin(title="formulas of Wikipedia articles", terms="CC BY-SA", licence=None),
}
"""Files that a dataset may be enriched with, by the beginning of their names."""


def origins(source: Mapping[str, Any]) -> list[Origin]:
    """Return the origins of the datasets and of the files that inks were composed with.

    `source` are the parameters of ``data/source``.
    """
    composed = source.get("composed", {})
    files = [*composed.get("symbol_files", []), *composed.get("formulas", [])]
    return list(dict.fromkeys([*(ORIGINS[name] for name in dataset_names(source)), *map(_origin_of_file, files)]))


def dataset_names(source: Mapping[str, Any]) -> list[str]:
    """Return the names of the datasets by the parameters of ``data/source``."""
    return list(source["datasets"]) if "datasets" in source else [str(source["dataset"])]


def common_licence(names: Sequence[str]) -> str | None:
    """Return the licence that data of these datasets has together; None if only the publisher can know it."""
    licences = {ORIGINS[name].licence for name in names}
    strict = licences - {PERMISSIVE} if len(licences) > 1 else licences
    return strict.pop() if len(strict) == 1 else None


def _origin_of_file(path: str) -> Origin:
    name = PurePosixPath(path).name
    known = (origin for start, origin in ADDITIONS.items() if name.startswith(start))
    return next(known, Origin(title=f"the publisher's {name}", terms="as the publisher states", licence=None))
