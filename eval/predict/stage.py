"""The ``predict`` stage: read every picture of a split with the trained model."""

import time
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
from latexify.eval.predict.decoding import Answer, Decoder, decode, open_decoder
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import SplitIndex, open_split

VERSION = 2

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        # as found in the InkML
        pa.field("label", pa.string(), nullable=False),
        # normalised
        pa.field("reference", pa.string(), nullable=False),
        pa.field("prediction", pa.string(), nullable=False),
        # as the model wrote it
        pa.field("prediction_raw", pa.string(), nullable=False),
        # share of such answers that are right, 0 to 1; of a model without calibration the probability; 0: unfinished
        pa.field("confidence", pa.float32(), nullable=False),
        # geometric mean of the probabilities of the tokens, 0 to 1
        pa.field("probability", pa.float32(), nullable=False),
        # share of its batch's time
        pa.field("seconds", pa.float32(), nullable=False),
        # generated, end token included
        pa.field("num_tokens", pa.int32(), nullable=False),
    ]
)


def run(params: PredictParams, *, model: Path, shards: Location, out: Path, device: str | None) -> dict[str, Any]:
    """Decode `params.split` of `shards` with `model`, in float32, into `out`/predictions.parquet, in index order.

    Returns {"num_samples", "num_unfinished", "is_constrained", "is_calibrated", "seconds"}; unfinished: cut off (too
    long, or in a loop).

    Raises LatexifyError where model and shards do not fit each other, or a batch does not fit the device's memory.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, params.split)
    decoder = open_decoder(
        model,
        shards=shards_manifest,
        device=device,
        constrained=params.constrained,
        batch_size=params.batch_size,
        max_tokens=params.max_new_tokens,
        num_beams=params.num_beams,
    )
    trained = decoder.trained.manifest
    calibration = read_calibration(model, fingerprint=trained.fingerprint)
    started = time.perf_counter()
    answers = _decode_all(decoder, index, wants_constraint=params.constrained)
    elapsed_s = time.perf_counter() - started
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    pq.write_table(_table_of(answers, calibration), out / PREDICTIONS_NAME, compression="zstd")
    summary = {
        "num_samples": len(answers),
        "num_unfinished": sum(not answer.finished for answer in answers),
        "is_constrained": decoder.constraint is not None,
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


def _decode_all(decoder: Decoder, index: SplitIndex, *, wants_constraint: bool) -> list[Answer]:
    """Every row of the index decoded, in its order."""
    answers: dict[int, Answer] = {}
    with Progress("predict", total=len(index), unit="inks") as progress:
        if wants_constraint and decoder.constraint is None:
            progress.message(
                "predict.constrained does nothing here: the model's tokens are pieces of text, not of LaTeX "
                "(vocab.tokenizer: base)"
            )
        for batch in decode(decoder, index, np.arange(len(index)), progress=progress):
            answers |= {answer.row: answer for answer in batch}
    return [answers[row] for row in range(len(index))]


def _table_of(answers: list[Answer], calibration: Calibration | None) -> pa.Table:
    """A table of PREDICTION_SCHEMA."""
    rows = [
        {
            "key": answer.key,
            "label": answer.label,
            "reference": answer.reference,
            "prediction": answer.latex,
            "prediction_raw": answer.text,
            "confidence": confidence_of(answer.probability, finished=answer.finished, calibration=calibration),
            "probability": answer.probability,
            "seconds": answer.elapsed_s,
            "num_tokens": answer.num_tokens,
        }
        for answer in answers
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)
