"""The ``predict`` stage: predict the LaTeX of every picture of a split."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import MANIFEST_NAME, MODEL, PREDICTIONS, PREDICTIONS_NAME, SHARDS
from latexify.common.progress import Progress
from latexify.eval.config import PredictParams
from latexify.eval.predict.calibration import Line, read_calibration
from latexify.eval.predict.decoding import DecodedSample, Predictor, decode, open_predictor
from latexify.eval.predict.fit import require_canvas, require_tokens
from latexify.eval.predict.ranked import confidences_of
from latexify.eval.predict.samples import EvaluationSamples, ShardSamples
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import open_split

VERSION = 2

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),  # as in the InkML
        pa.field("reference", pa.string(), nullable=False),  # normalised label
        pa.field("prediction", pa.string(), nullable=False),  # normalised
        pa.field("prediction_raw", pa.string(), nullable=False),  # as the model wrote it
        # fraction of such predictions that are right, 0 to 1; without calibration the probability; 0: unfinished
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),  # geometric mean of those of the tokens, 0 to 1
        pa.field("seconds", pa.float32(), nullable=False),  # share of its batch's time
        pa.field("num_tokens", pa.int32(), nullable=False),  # generated, end token included
        # the other formulas that the search found, normalised, the best first; none of a greedy search
        pa.field("alternatives", pa.list_(pa.struct([("prediction", pa.string()), ("confidence", pa.float32())]))),
    ]
)


def run(  # noqa: PLR0913  # the stage's contract
    params: PredictParams, *, model: Path, shards: Location, out: Path, device: str | None, is_named: bool = False
) -> dict[str, Any]:
    """Predict a split of the shards in float32, and write `out`/predictions.parquet in the order of the index.

    Args:
        params: The section ``predict`` of params.yaml.
        model: Folder of the model.
        shards: Folder of the shards.
        out: Folder to write to.
        device: torch's name of a device; None chooses the best one.
        is_named: Whether the user named the model, which may then be of another training: only its canvas must fit.

    Returns:
        {"num_samples", "num_unfinished", "is_constrained", "is_calibrated", "seconds"}. Unfinished predictions were cut
        off because they were too long or looped.

    Raises:
        LatexifyError: If model and shards do not fit each other, or a batch does not fit into the device's memory.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, params.split)
    predictor = open_predictor(params, model=model, device=device)
    require_canvas(predictor.trained, shards_manifest, model=model)
    if not is_named:
        require_tokens(predictor.trained, shards_manifest, index=index, model=model)
    with ShardSamples(index) as samples:
        predictions = predict(predictor, samples, line=line_of(predictor, model=model))
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    pq.write_table(predictions.table, out / PREDICTIONS_NAME, compression="zstd")
    manifest = predictions_manifest(predictor, predictions, inputs={SHARDS.kind: shards_manifest.fingerprint})
    write_manifest(out, manifest)
    return predictions.summary


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions for all samples: a table of PREDICTION_SCHEMA, and the summary that `run` returns."""

    table: pa.Table
    summary: dict[str, Any]


def predict(predictor: Predictor, samples: EvaluationSamples, *, line: Line | None) -> Predictions:
    """Predict all samples, in their order. Raises LatexifyError if a batch does not fit into the device's memory."""
    started = time.perf_counter()
    decoded = _decode_all(predictor, samples)
    elapsed_s = time.perf_counter() - started
    summary = {
        "num_samples": len(decoded),
        "num_unfinished": sum(not sample.finished for sample in decoded),
        "is_constrained": predictor.constraint is not None,
        "is_calibrated": line is not None,
        "seconds": round(elapsed_s, 2),
    }
    return Predictions(table=_make_table(decoded, line), summary=summary)


def line_of(predictor: Predictor, *, model: Path) -> Line | None:
    """Read the calibration of the predictor's model for its search; None if it has none."""
    calibration = read_calibration(model, fingerprint=predictor.trained.manifest.fingerprint)
    params = predictor.params
    if calibration is None:
        return None
    return calibration.line(num_beams=params.num_beams, num_drawings=params.num_drawings)


def predictions_manifest(predictor: Predictor, predictions: Predictions, *, inputs: Mapping[str, str]) -> Manifest:
    """Make the manifest of predictions; `inputs` are the fingerprints of what the samples come from, by kind."""
    # where a model lies does not shape its predictions; its fingerprint is among the inputs
    params = {name: value for name, value in predictor.params.identity().items() if name != "model"}
    return Manifest(
        kind=PREDICTIONS.kind,
        version=VERSION,
        params={**params, "normalizer_version": NORMALIZER_VERSION},
        inputs={MODEL.kind: predictor.trained.manifest.fingerprint, **inputs},
        content=predictions.summary,
    )


def _decode_all(predictor: Predictor, samples: EvaluationSamples) -> list[DecodedSample]:
    """Predict every sample, in their order."""
    decoded: dict[int, DecodedSample] = {}
    num_samples = len(samples.num_tokens)
    with Progress("predict", total=num_samples, unit="inks") as progress:
        if predictor.params.constrained and predictor.constraint is None:
            progress.message(
                "predict.constrained has no effect: the model's tokens are pieces of text, not LaTeX tokens "
                "(vocab.tokenizer: base)"
            )
        for batch in decode(predictor, samples, np.arange(num_samples), progress=progress):
            decoded |= {sample.row: sample for sample in batch}
    return [decoded[row] for row in range(num_samples)]


def _make_table(samples: list[DecodedSample], line: Line | None) -> pa.Table:
    """Make a table of PREDICTION_SCHEMA, which leaves out the samples' other fields."""
    rows = []
    for sample in samples:
        confidence, *others = confidences_of(
            sample.formulas, probability=sample.probability, finished=sample.finished, line=line
        )
        _, *further = sample.formulas
        alternatives = [
            {"prediction": formula, "confidence": share} for formula, share in zip(further, others, strict=True)
        ]
        rows.append({**asdict(sample), "confidence": confidence, "alternatives": alternatives})
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)
