"""The ``score`` stage: computes metrics with 95 % intervals, and tables, from predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from latexify.artifacts.files import write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, require_input
from latexify.artifacts.names import PREDICTIONS, PREDICTIONS_NAME, SAMPLES_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import ColumnNames, Pairs, read_pairs
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.edits import EDITS, Edits, count_edits
from latexify.eval.metrics.reliability import ALTERNATIVES, calibration_error, chance_error, reliability
from latexify.eval.metrics.slices import rates_by_group, source_of
from latexify.eval.metrics.structure import STRUCTURES, structures_of_each
from latexify.eval.metrics.visual import VisualScorer, measure_appearance
from latexify.eval.score.summary import System, summarize
from latexify.eval.score.tables import IN_TRAINING, NEW, OPTIONAL, Table, build_tables, write_tables
from latexify.pipeline import latex
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.train_labels import read_train_labels
from latexify.shards.reading.reader import SampleReader

NUM_DRAWS = 200
"""Draws for the calibration error that is chance; their mean is then exact to a few hundredths of a percent."""


def run(  # noqa: PLR0913  # the stage's contract
    params: ScoreParams, *, seed: int, predictions: Path, shards: Location, metrics: Path, plots: Path, jobs: int = 1
) -> dict[str, Any]:
    """Score the predictions that ``latexify predict`` made from these shards, and return the metrics.

    `metrics` is the JSON file for them. The folder `plots` gets the tables of `latexify.eval.score.tables`, and
    samples.parquet with one row for each sample in the order of the predictions (docs/reference/metrics.md). `jobs`
    processes typeset formulas.

    Raises:
        LatexifyError: If the predictions have another normaliser version or come from other shards, or every reference
            is empty.
    """
    manifest = read_manifest(predictions, PREDICTIONS)
    if manifest.params.get("normalizer_version") != latex.NORMALIZER_VERSION:
        raise LatexifyError(
            f"{predictions} was normalised by version {manifest.params.get('normalizer_version')}, this is version "
            f"{latex.NORMALIZER_VERSION}: run `{PREDICTIONS.producer}` again"
        )
    scored = score_predictions(
        params,
        seed=seed,
        predictions=predictions,
        manifest=manifest,
        origins_of=partial(_origins, shards, manifest=manifest, predictions=predictions),
        jobs=jobs,
    )
    scored.write(metrics=metrics, plots=plots)
    return scored.result


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where samples come from."""

    writers: Sequence[str | None]  # of each sample; None if unknown
    datasets: Sequence[str] | None = None  # of each sample; None if there is only one
    is_trained: Sequence[bool] | None = None  # whether a training sample has its label; None if that is unknown

    @classmethod
    def in_index(cls, index: SplitIndex, keys: Sequence[str], *, train_labels: pa.Array | None = None) -> Self:
        """Look up samples in the shards of an index.

        Args:
            index: Of the split that holds them.
            keys: Of the samples.
            train_labels: The distinct labels of the training split; None if there is none, or this is it.

        Raises:
            LatexifyError: If a sample is damaged.
            KeyError: If one is missing.
        """
        row_of = {key: row for row, key in enumerate(index.keys.to_pylist())}
        rows = [row_of[key] for key in keys]
        with SampleReader(index) as reader:
            writers = [description.get("writer") for description in reader.describe(rows)]
        datasets = is_trained = None
        if index.dataset_ids is not None:
            datasets = [index.datasets[number] for number in index.dataset_ids[rows].tolist()]
        if train_labels is not None:
            is_trained = pc.is_in(index.labels.take(pa.array(rows)), value_set=train_labels).to_pylist()
        return cls(writers=writers, datasets=datasets, is_trained=is_trained)

    @property
    def people(self) -> list[str | None]:
        """The writer of each sample by a name that is unique among all datasets."""
        if self.datasets is None:
            return list(self.writers)
        pairs = zip(self.datasets, self.writers, strict=True)
        return [f"{dataset}/{writer}" if writer else None for dataset, writer in pairs]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Predictions with their figures."""

    system: System
    result: dict[str, Any]  # content of score.json
    tables: Mapping[str, Table]  # by file name
    samples: pa.Table  # content of samples.parquet

    def write(self, *, metrics: Path, plots: Path) -> None:
        """Write the JSON file `metrics`, and the tables into the folder `plots`."""
        for name in OPTIONAL:
            (plots / f"{name}.csv").unlink(missing_ok=True)  # of earlier predictions
        write_tables(plots, self.tables)
        write_parquet(plots / SAMPLES_NAME, self.samples)
        write_json(metrics, self.result)


def score_predictions(  # noqa: PLR0913  # all but the first are named
    params: ScoreParams,
    *,
    seed: int,
    predictions: Path,
    manifest: Manifest,
    origins_of: Callable[[Sequence[str]], Origins],
    name: str = "",
    jobs: int = 1,
) -> Scored:
    """Score a folder of predictions.

    Args:
        params: The section ``score`` of params.yaml.
        seed: Random seed of the bootstrap.
        predictions: The folder.
        manifest: Its manifest.
        origins_of: Returns writers and datasets of the samples with these keys.
        name: What comparisons call the predictions; empty: the folder.
        jobs: Processes that typeset formulas. The figures do not depend on it.

    Raises:
        LatexifyError: If the table is damaged, or every reference is empty.
    """
    pairs = read_pairs(predictions / PREDICTIONS_NAME, names=ColumnNames())
    if pairs.keys is None:
        raise LatexifyError(
            f"{predictions} does not name its samples (no column 'key'): run `{PREDICTIONS.producer}` again"
        )
    keys: list[str] = pairs.keys.to_pylist()
    origins = origins_of(keys)
    edits = count_edits(pairs.references, pairs.predictions)
    calibration, reliability_table = _measure_calibration(predictions, pairs, edits, manifest, seed=seed)
    appearance = None
    if params.visual:
        appearance = measure_appearance(pairs.references, pairs.predictions, scorer=VisualScorer(), jobs=jobs)
    system = System(name=name or str(predictions), pairs=pairs, edits=edits, appearance=appearance)
    resampling: dict[str, Any] = {"num_resamples": params.bootstrap_samples, "seed": seed}
    result = {
        "split": manifest.params["split"],
        **summarize(system, **resampling),
        "calibration": calibration,
        "predictions": manifest.fingerprint,
    }
    if origins.datasets is not None:
        result["datasets"] = rates_by_group(edits, origins.datasets, **resampling)
    if origins.is_trained is not None:
        groups = [IN_TRAINING if each else NEW for each in origins.is_trained]
        result["formulas"] = rates_by_group(edits, groups, **resampling)
    return Scored(
        system=system,
        result=result,
        tables={
            "reliability": reliability_table,
            **build_tables(
                system,
                writers=origins.people,
                datasets=origins.datasets,
                is_trained=origins.is_trained,
                **resampling,
            ),
        },
        samples=samples_table(system, keys=keys, origins=origins),
    )


def _measure_calibration(
    predictions: Path, pairs: Pairs, edits: Edits, manifest: Manifest, *, seed: int
) -> tuple[dict[str, Any], Table]:
    """The expected calibration errors of the confidences, and the rows of reliability.csv."""
    path = predictions / PREDICTIONS_NAME
    try:
        columns = pq.read_table(path, columns=["confidence", "probability"])
    except (KeyError, pa.ArrowInvalid):
        raise LatexifyError(f"{path} is from an older version: run `{PREDICTIONS.producer}` again") from None
    is_right = edits.symbol_errors == 0
    is_calibrated = bool(manifest.content.get("is_calibrated"))
    calibrated, raw = (reliability(columns[name].to_numpy(), is_right) for name in ("confidence", "probability"))
    kinds = {"calibrated": calibrated, "raw": raw} if is_calibrated else {"raw": raw}
    errors: dict[str, Any] = {
        "ece": calibration_error(calibrated),
        "ece_chance": chance_error(columns["confidence"].to_numpy(), num_resamples=NUM_DRAWS, seed=seed),
        "error_raw": calibration_error(raw),
    }
    further = _alternatives(path, pairs.references)
    if len(further):
        kinds[ALTERNATIVES] = reliability(further["confidence"].to_numpy(), further["is_right"].to_numpy())
        errors |= {"ece_alternatives": calibration_error(kinds[ALTERNATIVES]), "num_alternatives": len(further)}
    rows: Table = [{"confidence": kind, **row} for kind, bins in kinds.items() for row in bins]
    return {"is_calibrated": is_calibrated, **errors}, rows


def _alternatives(path: Path, references: pa.ChunkedArray | pa.Array) -> pa.Table:
    """Return the confidence of each further answer, and whether it is right; none in files of earlier versions."""
    if ALTERNATIVES not in pq.read_schema(path).names:
        return pa.table({"confidence": pa.array([], pa.float32()), "is_right": pa.array([], pa.bool_())})
    column = pq.read_table(path, columns=[ALTERNATIVES])[ALTERNATIVES].combine_chunks()
    further = pc.list_flatten(column)
    wanted = pc.take(references, pc.list_parent_indices(column))
    is_right = pc.equal(pc.struct_field(further, "prediction"), wanted)
    return pa.table({"confidence": pc.struct_field(further, "confidence"), "is_right": is_right})


def _origins(shards: Location, keys: Sequence[str], *, manifest: Manifest, predictions: Path) -> Origins:
    """Writer and dataset of each sample as recorded in the shards, and whether its label is trained on."""
    require_input(manifest, read_manifest(shards, SHARDS), where=predictions)
    index = open_split(shards, manifest.params["split"])
    known = set(index.keys.to_pylist())
    unknown = next((key for key in keys if key not in known), None)
    if unknown is not None:
        raise LatexifyError(
            f"{predictions} has sample {unknown!r}, {shards} does not: run `{PREDICTIONS.producer}` again"
        )
    train_labels = None if index.split == "train" else read_train_labels(shards)
    return Origins.in_index(index, keys, train_labels=train_labels)


def samples_table(system: System, *, keys: Sequence[str], origins: Origins) -> pa.Table:
    """Build one row for each sample: its counts, and the slices it belongs to."""
    columns: dict[str, Any] = {"key": pa.array(keys, pa.string())}
    columns |= {field.name: pa.array(getattr(system.edits, field.name).astype(np.int32)) for field in EDITS}
    if system.appearance is not None:
        columns["renders"] = pa.array(system.appearance.renders)
        columns["visual"] = pa.array(system.appearance.visual, pa.float64(), from_pandas=True)
    columns["source"] = pa.array([source_of(key) for key in keys], pa.string())
    columns["writer"] = pa.array(origins.writers, pa.string())
    if origins.datasets is not None:
        columns["dataset"] = pa.array(origins.datasets, pa.string())
    of_each = structures_of_each(system.pairs.references)
    structures = [[name for name in STRUCTURES if name in names] for names in of_each]
    columns["structures"] = pa.array(structures, pa.list_(pa.string()))
    return pa.table(columns)
