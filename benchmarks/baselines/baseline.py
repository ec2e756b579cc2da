"""The baseline: a data loader that renders every ink anew in every epoch, as the project that this one began from did.

Written from a description of its method, not from its code: InkML parsed point by point, drawn with cairo in RGB at one
pixel per unit of the ink's own size, squashed to a square and normalised by Hugging Face's image processor, all inside
`Dataset.__getitem__`. Two things it could not do are granted to it: it reads points of any number of values, separated
by any white space (it took exactly `x y t`, and so no file of CROHME), and no picture is larger than `MAX_SIDE_PX` (an
ink of CROHME is 30,000 units wide: 2 GB).
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cairo
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

LABELS = ("normalizedLabel", "truth", "label")
SIDE_PX = 384
MAX_SIDE_PX = 2048
PEN_WIDTH_PX = 2.0
BATCH = 8

Points = list[list[tuple[float, float]]]
"""Strokes, each a list of (x, y)."""


def parse_ink(data: bytes) -> tuple[Points, str]:
    """Strokes and label of one InkML file, point by point. Raises SyntaxError or ValueError for what it cannot read."""
    root = ET.fromstring(data)  # noqa: S314  # the inks are ours
    strokes = []
    for trace in root.iter():
        if trace.tag.endswith("trace"):
            points = []
            for point in (trace.text or "").strip().split(","):
                values = point.split()
                if values:
                    points.append((float(values[0]), float(values[1])))
            if points:
                strokes.append(points)
    labels = {child.get("type"): child.text or "" for child in root if child.tag.endswith("annotation")}
    return strokes, next((labels[kind] for kind in LABELS if kind in labels), "")


def draw_ink(strokes: Points) -> Image.Image:
    """The ink in black on white, RGB, one pixel per unit."""
    left, top, extent = box_of(strokes)
    scale = min(1.0, (MAX_SIDE_PX - 2 * PEN_WIDTH_PX) / max(*extent, 1e-9))
    width_px, height_px = (math.ceil(side * scale + 2 * PEN_WIDTH_PX) for side in extent)
    return paint(strokes, corner=(left, top), scale=scale, size=(width_px, height_px))


def box_of(strokes: Points) -> tuple[float, float, tuple[float, float]]:
    """Left and upper end of the ink, and its width and height."""
    xs = [x for stroke in strokes for x, _ in stroke]
    ys = [y for stroke in strokes for _, y in stroke]
    left, top = min(xs), min(ys)
    return left, top, (max(xs) - left, max(ys) - top)


def paint(strokes: Points, *, corner: tuple[float, float], scale: float, size: tuple[int, int]) -> Image.Image:
    """Draw point by point, in RGB. corner: what becomes the upper left. size: width and height in pixels."""
    surface = cairo.ImageSurface(cairo.FORMAT_RGB24, *size)
    context = cairo.Context(surface)
    context.set_source_rgb(1, 1, 1)
    context.paint()
    context.set_source_rgb(0, 0, 0)
    context.set_line_width(PEN_WIDTH_PX)
    context.set_line_cap(cairo.LINE_CAP_ROUND)
    context.set_line_join(cairo.LINE_JOIN_ROUND)
    left, top = corner
    for stroke in strokes:
        x, y = stroke[0]
        context.move_to((x - left) * scale + PEN_WIDTH_PX, (y - top) * scale + PEN_WIDTH_PX)
        for x, y in stroke:
            context.line_to((x - left) * scale + PEN_WIDTH_PX, (y - top) * scale + PEN_WIDTH_PX)
        context.stroke()
    surface.flush()
    data: Any = surface.get_data()  # any buffer will do, though the stubs do not say so
    return Image.frombuffer("RGB", size, data, "raw", "BGRX", surface.get_stride(), 1)


def make_processor(*, height_px: int = SIDE_PX, width_px: int = SIDE_PX, **options: Any) -> Any:
    """TrOCR's image processor: bilinear resize, rescale to 0 to 1, normalise by mean and deviation 0.5."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil  # noqa: PLC0415  # slow to import

    return ViTImageProcessorPil(
        size={"height": height_px, "width": width_px}, image_mean=[0.5] * 3, image_std=[0.5] * 3, **options
    )


class BaselineInks(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Items: pixels float32 [3, height, width], and label ids int64 [max_tokens], padded with the pad id."""

    def __init__(self, paths: Sequence[Path], *, tokenizer: Any, processor: Any, max_tokens: int = 256) -> None:
        self._paths, self._tokenizer, self._processor, self._max_tokens = paths, tokenizer, processor, max_tokens

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        strokes, label = parse_ink(self._paths[number].read_bytes())
        pixels = self._processor(draw_ink(strokes), return_tensors="pt").pixel_values[0]
        ids = self._tokenizer(
            label, padding="max_length", truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).input_ids[0]
        return pixels, ids


def time_steps(paths: Sequence[Path]) -> dict[str, float]:
    """Inks per second of each step, one after another in this process."""
    resize = make_processor(do_rescale=False, do_normalize=False)
    normalise = make_processor(do_resize=False)
    started = time.perf_counter()
    parsed = [parse_ink(path.read_bytes())[0] for path in paths]
    was_parsed = time.perf_counter()
    drawn_s = resized_s = normalised_s = 0.0
    for strokes in parsed:
        begin = time.perf_counter()
        picture = draw_ink(strokes)
        drawn = time.perf_counter()
        small = resize(picture, return_tensors="np").pixel_values[0]
        resized = time.perf_counter()
        normalise(small, return_tensors="pt", input_data_format="channels_first")
        drawn_s += drawn - begin
        resized_s += resized - drawn
        normalised_s += time.perf_counter() - resized
    seconds = {"parse": was_parsed - started, "draw": drawn_s, "resize": resized_s, "normalise": normalised_s}
    return {name: len(paths) / elapsed_s for name, elapsed_s in seconds.items()}


def time_loader(paths: Sequence[Path], *, tokenizer_folder: Path, workers: int) -> dict[str, float]:
    """Inks per second of an epoch through the loader, its processes' start left out."""
    from latexify.pipeline.vocab.tokenizer import load_tokenizer  # noqa: PLC0415  # slow to import

    inks = BaselineInks(paths, tokenizer=load_tokenizer(tokenizer_folder), processor=make_processor())
    return {"loader": epoch_rate(DataLoader(inks, batch_size=BATCH, num_workers=workers))}


def epoch_rate(loader: DataLoader[Any]) -> float:
    """Samples per second after the first batch, which waits for the loader's processes to start."""
    batches = iter(loader)
    next(batches)
    started = time.perf_counter()
    num_samples = sum(len(pixels) for pixels, _ in batches)
    return num_samples / (time.perf_counter() - started)
