"""The trainer's own loader, and bare decoding of the same pictures."""

import io
import itertools
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.bench.stages import timed
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.shards.format.png import decode_png
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import PREFETCHED, open_loader
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import Position
from latexify.trainer.model.model import model_input

MICRO_BATCH = 32
MAX_BATCHES = 300
"""Of a stream that is timed: 9,600 inks, half a second or more."""


def enough_batches(num_inks: int) -> int:
    """How many batches of so many inks to time: all, up to `MAX_BATCHES`; at least one."""
    return min(MAX_BATCHES, max(1, num_inks // MICRO_BATCH))


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
    _, pillow_s = timed(lambda: [_decode_by_pillow(data) for data in pngs])
    _, ours_s = timed(lambda: [len(decode_png(data)) for data in pngs])
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
