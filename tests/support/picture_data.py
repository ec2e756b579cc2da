"""A dataset of pictures with labels, and its offline stages."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latexify.artifacts.files import read_parquet
from latexify.pipeline.config import ImagesParams, IngestParams, RasterizeParams, VocabParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.engine.engine import Backend, Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab
from tests.support.handwriting import encoded, strokes

CANVAS = RasterizeParams(height_px=32, width_px=128, samples_per_shard=5)


def picture(number: int) -> bytes:
    """A picture of a formula, whose strokes depend on `number`."""
    canvas = Canvas(height_px=100 + number, width_px=200 + 3 * number, margin_px=8, pen_width_px=3 + number % 3)
    turned = [stroke @ np.array([[1, 0.01 * number], [0, 1]], np.float32) for stroke in strokes()]
    return encoded(draw_ink(turned, canvas).astype(np.float64))


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...] = ("image", "latex")) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def run_source(at: Path, **params: Any) -> None:
    """Run the stage on `at`/raw."""
    source.run(ImagesParams(**params), dataset="images", seed=1, raw=at / "raw", out=at / "source", jobs=1)


def run_ingest(at: Path, *, jobs: int = 1, backend: Backend = "sequential", **params: Any) -> dict[str, Any]:
    """Run the stage on what source wrote."""
    return ingest.run(
        IngestParams(max_reject_fraction=1, **params),
        source=at / "source",
        out=at / "inks",
        metrics=at / "metrics/ingest.json",
        engine=Engine(jobs=jobs, backend=backend),
    )


def run_rasterize(
    at: Path, *, jobs: int = 1, backend: Backend = "sequential", params: RasterizeParams = CANVAS
) -> dict[str, Any]:
    """Run the stage, and vocab before it."""
    vocab.run(VocabParams(), base="scratch", inks=at / "inks", out=at / "tokenizer", metrics=at / "metrics/vocab.json")
    return rasterize.run(
        params,
        seed=1,
        inks=at / "inks",
        tokenizer=at / "tokenizer",
        out=at / "shards",
        metrics=at / "metrics/rasterize.json",
        engine=Engine(jobs=jobs, backend=backend),
    )


def rejects(at: Path) -> dict[str, tuple[str, str]]:
    """Reason and detail of the rejections of ingest, by source."""
    rows = read_parquet(at / "inks/rejects.parquet").to_pylist()
    return {row["source"]: (row["reason"], row["detail"]) for row in rows}
