"""The second baseline: what one would write in an hour. A PNG file per ink, a CSV of labels, and a loader for them."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cairo
import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.seed import BATCH, PEN_WIDTH_PX, SIDE_PX, Points, epoch_rate, parse_ink

TABLE_NAME = "labels.csv"


def draw_square(strokes: Points) -> Image.Image:
    """The ink in black on white, grey, its aspect ratio kept, in a square of `SIDE_PX`."""
    xs = [x for stroke in strokes for x, _ in stroke]
    ys = [y for stroke in strokes for _, y in stroke]
    left, top = min(xs), min(ys)
    room_px = SIDE_PX - 2 * PEN_WIDTH_PX
    scale = room_px / max(max(xs) - left, max(ys) - top, 1e-9)
    surface = cairo.ImageSurface(cairo.FORMAT_RGB24, SIDE_PX, SIDE_PX)
    context = cairo.Context(surface)
    context.set_source_rgb(1, 1, 1)
    context.paint()
    context.set_source_rgb(0, 0, 0)
    context.set_line_width(PEN_WIDTH_PX)
    context.set_line_cap(cairo.LINE_CAP_ROUND)
    for stroke in strokes:
        x, y = stroke[0]
        context.move_to((x - left) * scale + PEN_WIDTH_PX, (y - top) * scale + PEN_WIDTH_PX)
        for x, y in stroke:
            context.line_to((x - left) * scale + PEN_WIDTH_PX, (y - top) * scale + PEN_WIDTH_PX)
        context.stroke()
    surface.flush()
    size = (SIDE_PX, SIDE_PX)
    data: Any = surface.get_data()  # any buffer will do, though the stubs do not say so
    return Image.frombuffer("RGB", size, data, "raw", "BGRX", surface.get_stride(), 1).convert("L")


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
    from pipeline.label_tokenizer import load_tokenizer  # noqa: PLC0415  # slow to import

    inks = PngInks(folder, tokenizer=load_tokenizer(tokenizer_folder))
    return {"loader": epoch_rate(DataLoader(inks, batch_size=BATCH, num_workers=workers))}
