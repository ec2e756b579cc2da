"""This project's stages and stream, timed through the same functions that `latexify` calls."""

import contextlib
import io
import itertools
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline import ingest, rasterize, source, vocab
from pipeline.config import IngestParams, InkmlParams, RasterizeParams, VocabParams
from pipeline.engine import Engine
from shards.errors import LatexifyError
from shards.index import open_split
from shards.png import decode_png
from trainer.batches import PREFETCHED, close_loader, open_loader
from trainer.config import TrainParams
from trainer.model import model_input
from trainer.slices import Position

SIDE_PX = 384
MICRO_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with a `data/` as the pipeline makes it. `raw` holds `inks.tar`, all of it training data."""

    folder: Path

    @property
    def raw(self) -> Path:
        """Where `inks.tar` lies."""
        return self.folder / "raw"

    def data(self, name: str) -> Path:
        """The folder of an artifact."""
        return self.folder / "data" / name

    @property
    def metrics(self) -> Path:
        """A file for metrics that nobody reads."""
        return self.folder / "metrics.json"


def run_source(workspace: Workspace) -> None:
    """List the inks of the workspace."""
    section = InkmlParams(paths=["inks.tar"], valid_fraction=0, test_fraction=0)
    with _quiet():
        source.run(section, dataset="inkml", seed=1, raw=workspace.raw, out=workspace.data("source"), jobs=1)


def run_vocab(workspace: Workspace) -> None:
    """Make the tokenizer of the workspace's inks."""
    inks, out = workspace.data("inks"), workspace.data("tokenizer")
    with _quiet():
        vocab.run(VocabParams(), base="scratch", inks=inks, out=out, metrics=workspace.metrics)


def time_ingest(workspace: Workspace, *, jobs: int) -> dict[str, float]:
    """Inks per second of the ingest stage, from nothing."""
    shutil.rmtree(workspace.data("inks"), ignore_errors=True)

    def stage() -> Any:
        return ingest.run(
            IngestParams(),
            source=workspace.data("source"),
            out=workspace.data("inks"),
            metrics=workspace.metrics,
            engine=Engine(jobs=jobs),
        )

    counts, elapsed_s = _timed(stage)
    return {"ingest": counts["inputs"] / elapsed_s}


def time_rasterize(workspace: Workspace, *, jobs: int, height_px: int, width_px: int) -> dict[str, float]:
    """Inks per second of the rasterize stage, from nothing, into the shards folder of this canvas."""
    out = shards_of(workspace, height_px=height_px, width_px=width_px)
    shutil.rmtree(out, ignore_errors=True)

    def stage() -> Any:
        return rasterize.run(
            RasterizeParams(height_px=height_px, width_px=width_px),
            inks=workspace.data("inks"),
            tokenizer=workspace.data("tokenizer"),
            out=out,
            metrics=workspace.metrics,
            engine=Engine(jobs=jobs),
        )

    counts, elapsed_s = _timed(stage)
    return {"rasterize": (sum(counts["samples"].values()) + sum(counts["rejected"].values())) / elapsed_s}


def shards_of(workspace: Workspace, *, height_px: int = SIDE_PX, width_px: int = SIDE_PX) -> Path:
    """The shard folder of a canvas."""
    return workspace.data(f"shards-{height_px}x{width_px}")


def time_stages(workspace: Workspace, *, jobs: int) -> dict[str, float]:
    """Inks per second of ingest, and of rasterize on the large canvas."""
    return time_ingest(workspace, jobs=jobs) | time_rasterize(workspace, jobs=jobs, height_px=SIDE_PX, width_px=SIDE_PX)


def time_stream(shards: Path, *, workers: int, num_batches: int, to_float: bool) -> dict[str, float]:
    """Inks per second of the trainer's loader once its processes are busy.

    Batches as they leave it: uint8 pictures and padded labels; with `to_float`, as the model takes them.
    """
    params = TrainParams(global_batch=MICRO_BATCH, micro_batch=MICRO_BATCH, loader_workers=workers)
    loader = open_loader(open_split(shards, "train"), params, seed=1, start=Position(), pin_memory=False)
    model: Any = SimpleNamespace(
        device=torch.device("cpu"), config=SimpleNamespace(encoder=SimpleNamespace(num_channels=3))
    )
    batches = iter(loader)
    try:
        for _ in range(workers * PREFETCHED + 1):  # what was made ahead while the processes started
            next(batches)
        started, num_samples = time.perf_counter(), 0
        for batch in itertools.islice(batches, num_batches):
            if isinstance(batch, LatexifyError):
                raise batch
            if to_float:
                model_input(batch.pixels, model)
            num_samples += len(batch.pixels)
        elapsed_s = time.perf_counter() - started
    finally:
        close_loader(batches)
    return {"stream": num_samples / elapsed_s}


def time_decoding(shards: Path, *, num_samples: int) -> dict[str, float]:
    """Pictures per second of bare decoding: the PNG bytes of the shards, from memory, by Pillow and by ours."""
    pngs = read_pngs(shards, num_samples=num_samples)
    _, pillow_s = _timed(lambda: [_decode_by_pillow(data) for data in pngs])
    _, ours_s = _timed(lambda: [len(decode_png(data)) for data in pngs])
    return {"Pillow": len(pngs) / pillow_s, "ours": len(pngs) / ours_s}


def _decode_by_pillow(data: bytes) -> int:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return len(np.asarray(image))


def read_pngs(shards: Path, *, num_samples: int) -> list[bytes]:
    """The PNG bytes of the first samples of the training split."""
    index = open_split(shards, "train")
    pngs = []
    for row in range(min(num_samples, len(index))):
        file = os.open(shards / index.shards[index.shard_ids[row]], os.O_RDONLY)
        pngs.append(os.pread(file, int(index.png_bytes[row]), int(index.png_offset[row])))
        os.close(file)
    return pngs


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    with _quiet():
        result = work()
    return result, time.perf_counter() - started


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Without the stages' progress."""
    return contextlib.redirect_stderr(io.StringIO())
