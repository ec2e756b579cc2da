"""The ``predict`` stage: predict the LaTeX of every picture of a split with the trained model."""

import time
from dataclasses import asdict
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
from latexify.eval.predict.calibration import Calibration, confidence_of, read_calibration
from latexify.eval.predict.decoding import DecodedSample, Predictor, decode, open_predictor
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import SplitIndex, open_split

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
    ]
)


def run(params: PredictParams, *, model: Path, shards: Location, out: Path, device: str | None) -> dict[str, Any]:
    """Predict a split of the shards in float32, and write `out`/predictions.parquet in the order of the index.

    `device` is torch's name of a device; None chooses the best one. Returns {"num_samples", "num_unfinished",
    "is_constrained", "is_calibrated", "seconds"}. Unfinished predictions were cut off because they were too long or
    looped.

    Raises:
        LatexifyError: If model and shards do not fit each other, or a batch does not fit into the device's memory.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, params.split)
    predictor = open_predictor(params, model=model, shards=shards_manifest, device=device)
    trained = predictor.trained.manifest
    calibration = read_calibration(model, fingerprint=trained.fingerprint)
    started = time.perf_counter()
    samples = _decode_all(predictor, index)
    elapsed_s = time.perf_counter() - started
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    pq.write_table(_make_table(samples, calibration), out / PREDICTIONS_NAME, compression="zstd")
    summary = {
        "num_samples": len(samples),
        "num_unfinished": sum(not sample.finished for sample in samples),
        "is_constrained": predictor.constraint is not None,
        "is_calibrated": calibration is not None,
        "seconds": round(elapsed_s, 2),
    }
    manifest = Manifest(
        kind=PREDICTIONS.kind,
        version=VERSION,
        params={**params.model_dump(mode="json"), "normalizer_version": NORMALIZER_VERSION},
        inputs={MODEL.kind: trained.fingerprint, SHARDS.kind: shards_manifest.fingerprint},
        content=summary,
    )
    write_manifest(out, manifest)
    return summary


def _decode_all(predictor: Predictor, index: SplitIndex) -> list[DecodedSample]:
    """Predict every row of the index, in its order."""
    samples: dict[int, DecodedSample] = {}
    with Progress("predict", total=len(index), unit="inks") as progress:
        if predictor.params.constrained and predictor.constraint is None:
            progress.message(
                "predict.constrained has no effect: the model's tokens are pieces of text, not LaTeX tokens "
                "(vocab.tokenizer: base)"
            )
        for batch in decode(predictor, index, np.arange(len(index)), progress=progress):
            samples |= {sample.row: sample for sample in batch}
    return [samples[row] for row in range(len(index))]


def _make_table(samples: list[DecodedSample], calibration: Calibration | None) -> pa.Table:
    """Make a table of PREDICTION_SCHEMA, which leaves out the samples' other fields."""
    rows = []
    for sample in samples:
        confidence = confidence_of(sample.probability, finished=sample.finished, calibration=calibration)
        rows.append({**asdict(sample), "confidence": confidence})
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)
