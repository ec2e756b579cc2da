"""The second baseline: what one would write in an hour. A PNG file per ink, a CSV of labels, and a loader for them."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.baselines.baseline import BATCH, PEN_WIDTH_PX, SIDE_PX, Points, box_of, epoch_rate, paint, parse_ink

TABLE_NAME = "labels.csv"


def draw_square(strokes: Points) -> Image.Image:
    """The ink in black on white, grey, its aspect ratio kept, in a square of `SIDE_PX`."""
    left, top, extent = box_of(strokes)
    scale = (SIDE_PX - 2 * PEN_WIDTH_PX) / max(*extent, 1e-9)
    return paint(strokes, corner=(left, top), scale=scale, size=(SIDE_PX, SIDE_PX)).convert("L")


def write_all(paths: Sequence[Path], *, folder: Path, jobs: int) -> dict[str, float]:
    """Draw every ink into a PNG of its own, in parallel, and write the CSV; inks per second."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    rows = Parallel(n_jobs=jobs)(delayed(_write_one)(path, folder) for path in paths)
    with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return {"write": len(paths) / (time.perf_counter() - started)}


def _write_one(path: Path, folder: Path) -> tuple[str, str]:
    strokes, label = parse_ink(path.read_bytes())
    name = f"{path.stem}.png"
    draw_square(strokes).save(folder / name)
    return name, label


class PngInks(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Items: pixels float32 [3, height, width] from -1 to 1, and label ids int64 [max_tokens], padded."""

    def __init__(self, folder: Path, *, tokenizer: Any, max_tokens: int = 256) -> None:
        self._folder, self._tokenizer, self._max_tokens = folder, tokenizer, max_tokens
        with (folder / TABLE_NAME).open(encoding="utf-8", newline="") as file:
            self._rows = list(csv.reader(file))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        name, label = self._rows[number]
        with Image.open(self._folder / name) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 127.5 - 1
        ids = self._tokenizer(
            label, padding="max_length", truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).input_ids[0]
        return pixels, ids


def time_loader(folder: Path, *, tokenizer_folder: Path, workers: int) -> dict[str, float]:
    """Inks per second of an epoch through the loader, its processes' start left out."""
    from latexify.pipeline.vocab.tokenizer import load_tokenizer  # noqa: PLC0415  # slow to import

    inks = PngInks(folder, tokenizer=load_tokenizer(tokenizer_folder))
    return {"loader": epoch_rate(DataLoader(inks, batch_size=BATCH, num_workers=workers))}
