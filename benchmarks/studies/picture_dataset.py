"""Measures how fast pictures with labels become shards, on pictures drawn from CROHME's training inks.

``python -m benchmarks.studies.picture_dataset`` with LATEXIFY_REAL_DATA (CONTRIBUTING.md). All stages run in
this process, so that the time of the processor is that of one core, whatever else the machine does.
"""

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.studies.picture_kinds import coverage
from latexify.pipeline.config import ImagesParams, IngestParams, RasterizeParams, VocabParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inputs.archives import is_ink, iter_members
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab

LONGEST_PX = 384
PENS_PX = (3.0, 2.0, 4.0, 5.0)  # each pass through the inks has another pen
TARGETS = {"fitted": 100, "traced": 15}  # pictures per second and core


def drawn(archive: Path) -> Iterator[tuple[Image.Image, str]]:
    """Yield pictures and labels, any number of them."""
    for pen_px in PENS_PX:
        for member in iter_members(archive, max_bytes=8_000_000):
            if not is_ink(member) or not member.data:
                continue
            try:
                ink = parse_inkml(member.data)
            except UnusableInkError:
                continue
            if label := ink.annotations.get("truth"):
                pen = coverage(ink.strokes, longest_px=LONGEST_PX, pen_px=pen_px, margin_px=12)
                yield Image.fromarray((255 * (1 - pen)).round().astype(np.uint8)), label


def write_pictures(folder: Path, *, count: int) -> None:
    """Write a folder of PNGs and a CSV."""
    folder.mkdir(parents=True)
    archive = Path(os.environ["LATEXIFY_REAL_DATA"]) / "crohme/train.tar.xz"
    rows = [("file_name", "latex")]
    for number, (image, label) in enumerate(islice(drawn(archive), count)):
        image.save(folder / f"{number:05}.png")
        rows.append((f"{number:05}.png", label))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def run(root: Path, *, trace: bool, params: RasterizeParams) -> dict[str, float]:
    """Run the offline stages; return the seconds of the processor that each took."""
    data, engine, seconds = root / ("traced" if trace else "fitted"), Engine(backend="sequential"), {}
    images, limits = ImagesParams(trace=trace), IngestParams(max_reject_fraction=1)
    paths = {"inks": data / "inks", "tokenizer": data / "tokenizer"}
    stages: dict[str, Callable[[], object]] = {
        "source": lambda: source.run(images, dataset="images", seed=1, raw=root, out=data / "source", jobs=1),
        "ingest": lambda: ingest.run(
            limits, source=data / "source", out=data / "inks", metrics=data / "ingest.json", engine=engine
        ),
        "vocab": lambda: vocab.run(
            VocabParams(), base="scratch", inks=data / "inks", out=data / "tokenizer", metrics=data / "vocab.json"
        ),
        "rasterize": lambda: rasterize.run(
            params, seed=1, out=data / "shards", metrics=data / "rasterize.json", engine=engine, **paths
        ),
    }
    for name, stage in stages.items():
        started = time.process_time()
        stage()
        seconds[name] = time.process_time() - started
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="pictures")
    arguments = parser.parse_args()
    params = RasterizeParams(height_px=LONGEST_PX, width_px=LONGEST_PX, margin_px=8, pen_width_px=3, max_stroke_px=120)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pictures(root / "images", count=arguments.count)
        print(f"{arguments.count:,} pictures of {LONGEST_PX} px, seconds of one core\n")
        print("| | source | ingest | vocab | rasterize | pictures per second | target |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for name, target in TARGETS.items():
            seconds = run(root, trace=name == "traced", params=params)
            each = " | ".join(f"{value:.1f}" for value in seconds.values())
            print(f"| {name} | {each} | {arguments.count / sum(seconds.values()):.0f} | {target} |", flush=True)


if __name__ == "__main__":
    main()
