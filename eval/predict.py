"""The ``predict`` stage: read every picture of a split with the trained model."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from eval.config import PredictParams
from pipeline.latex import NORMALIZER_VERSION, normalize
from shards.errors import LatexifyError
from shards.index import KIND as SHARDS_KIND
from shards.index import MADE_BY as SHARDS_MADE_BY
from shards.index import SplitIndex, open_split
from shards.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from shards.place import Place
from shards.progress import Progress
from shards.reader import SampleReader
from trainer.geometry import KIND as MODEL_KIND
from trainer.geometry import MADE_BY as MODEL_MADE_BY
from trainer.geometry import Geometry
from trainer.precision import choose_device
from trainer.reading.reader import TrainedReader, open_reader

KIND = "predictions"
VERSION = 1
PREDICTIONS_NAME = "predictions.parquet"

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
        # geometric mean of the probabilities of the tokens, 0 to 1
        pa.field("confidence", pa.float32(), nullable=False),
        # share of its batch's time
        pa.field("seconds", pa.float32(), nullable=False),
        # generated, end token included
        pa.field("num_tokens", pa.int32(), nullable=False),
    ]
)


def run(params: PredictParams, *, model: Path, shards: Place, out: Path, device: str | None) -> dict[str, Any]:
    """Decode `params.split` of `shards` with `model`, in float32, into `out`/predictions.parquet, in index order.

    Returns {"num_samples", "num_unfinished", "seconds"}; unfinished: cut off (too long, or in a loop).

    Raises LatexifyError where model and shards do not fit each other, or a batch does not fit the device's memory.
    """
    shards_manifest = read_manifest(shards, SHARDS_KIND, made_by=SHARDS_MADE_BY)
    index = open_split(shards, params.split)
    trained = open_reader(model, device=choose_device(device))
    _require_fit(trained, shards_manifest, where=model)
    table, num_unfinished, elapsed_s = _decode_all(trained, index, params)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    pq.write_table(table, out / PREDICTIONS_NAME, compression="zstd")
    summary = {"num_samples": len(table), "num_unfinished": num_unfinished, "seconds": round(elapsed_s, 2)}
    manifest = Manifest(
        kind=KIND,
        version=VERSION,
        params={**params.model_dump(mode="json"), "normalizer_version": NORMALIZER_VERSION},
        inputs={MODEL_KIND: trained.manifest.fingerprint, SHARDS_KIND: shards_manifest.fingerprint},
        content=summary,
    )
    write_manifest(out, manifest)
    return summary


def _require_fit(trained: TrainedReader, shards: Manifest, *, where: Path) -> None:
    """A model reads only pictures drawn like those it learnt from, and is compared in its own vocabulary."""
    drawn = Geometry.from_params(shards.params)
    if trained.geometry != drawn:
        raise LatexifyError(
            f"{where} reads pictures of {_describe(trained.geometry)}, the shards hold {_describe(drawn)}: "
            f"set `rasterize` as it was, or run `{MODEL_MADE_BY}` again"
        )
    learnt, used = trained.manifest.inputs.get("tokenizer"), shards.inputs.get("tokenizer")
    if learnt != used:
        raise LatexifyError(
            f"{where} was trained with another tokenizer ({learnt}) than the shards were made with ({used}): "
            f"run `{MODEL_MADE_BY}` again"
        )


def _describe(geometry: Geometry) -> str:
    return (
        f"{geometry.height_px}x{geometry.width_px} px (margin {geometry.margin_px:g} px, "
        f"pen {geometry.pen_width_px:g} px)"
    )


def _decode_all(trained: TrainedReader, index: SplitIndex, params: PredictParams) -> tuple[pa.Table, int, float]:
    """Every row of the index decoded: (table of PREDICTION_SCHEMA, number of unfinished rows, seconds)."""
    # Samples of like length share a batch, which ends with its longest member. A matter of speed: greedy or with beams,
    # a sample's answer does not depend on its neighbours.
    order = np.argsort(index.num_tokens, kind="stable")[::-1]
    rows: dict[int, dict[str, Any]] = {}
    num_unfinished, started = 0, time.perf_counter()
    with SampleReader(index) as reader, Progress("predict", total=len(index), unit="inks") as progress:
        for start in range(0, len(index), params.batch_size):
            batch = order[start : start + params.batch_size]
            decoded, unfinished = _decode_batch(trained, reader, batch, params)
            rows.update(zip(batch.tolist(), decoded, strict=True))
            num_unfinished += unfinished
            progress.advance(len(batch))
    table = pa.Table.from_pylist([rows[row] for row in range(len(index))], schema=PREDICTION_SCHEMA)
    return table, num_unfinished, time.perf_counter() - started


def _decode_batch(
    trained: TrainedReader, reader: SampleReader, batch: npt.NDArray[np.int64], params: PredictParams
) -> tuple[list[dict[str, Any]], int]:
    started = time.perf_counter()
    samples, descriptions = reader.read(batch), reader.describe(batch)
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    try:
        found = trained.reader.read(pixels, max_tokens=params.max_new_tokens, num_beams=params.num_beams)
    except torch.OutOfMemoryError:
        raise LatexifyError(
            f"{len(batch)} pictures with {params.num_beams} beam(s) do not fit into the memory of "
            f"{trained.reader.device}: lower predict.batch_size"
        ) from None
    best = [hypotheses[0] for hypotheses in found]
    texts = trained.texts([hypothesis.ids for hypothesis in best])
    seconds = (time.perf_counter() - started) / len(batch)
    rows = [
        {
            "key": sample.key,
            "label": description["label"],
            "reference": sample.label,
            "prediction": normalize(text),
            "prediction_raw": text,
            "confidence": hypothesis.confidence,
            "seconds": seconds,
            "num_tokens": len(hypothesis.ids) + hypothesis.finished,
        }
        for sample, description, text, hypothesis in zip(samples, descriptions, texts, best, strict=True)
    ]
    return rows, sum(not hypothesis.finished for hypothesis in best)
