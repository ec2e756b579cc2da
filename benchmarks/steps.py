"""What each step of a stage costs, measured by calling the step's own function on the same inks, on one core."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.cores import Pools
from benchmarks.measured import Job, Measured, take_turns
from benchmarks.project import Workspace, read_pngs, shards_of
from pipeline import draw
from pipeline.archives import iter_members
from pipeline.catalogue import content_hash, ink_table, read_inks
from pipeline.config import IngestParams, RasterizeParams
from pipeline.draw import Canvas
from pipeline.ink import Ink
from pipeline.inkml import parse_inkml
from pipeline.inputs import SourcePlan
from pipeline.latex import normalize
from pipeline.markup import parse_markup
from pipeline.reading import read_member
from shards.files import write_parquet
from shards.index import open_split
from shards.manifest import read_manifest
from shards.png import decode_png, encode_png
from shards.reader import SampleReader
from shards.sample import EncodedSample
from shards.writer import write_shard
from trainer.batches import collate
from trainer.model import model_input

SIDE_PX = 384
BATCH = 32


class Clock:
    """Seconds spent in each step, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add what the block takes to a step."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def microseconds(self, num_inks: int) -> dict[str, float]:
        """Microseconds an ink of each step, none below zero where one was found by subtraction."""
        return {name: max(elapsed_s, 0.0) / num_inks * 1e6 for name, elapsed_s in self.seconds.items()}


def time_ingest(workspace: Workspace, *, num_inks: int) -> dict[str, float]:
    """Microseconds an ink of the steps of ingest."""
    plan = SourcePlan.from_content(
        read_manifest(workspace.data("source"), "source", made_by="latexify source").content, where=workspace.folder
    )
    limits, clock = IngestParams(), Clock()
    item = plan.inputs[0]
    with clock.step("archive"):
        members = [
            member
            for _, member in zip(
                range(num_inks),
                iter_members(workspace.raw / "inks.tar", max_bytes=limits.max_file_bytes),
                strict=False,
            )
        ]
    datas = [member.data or b"" for member in members]
    with clock.step("XML"):
        for data in datas:
            parse_markup(data)
    with clock.step("parsing"):
        for data in datas:
            parse_inkml(data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points)
    with clock.step("whole member"):
        results = [read_member(member, item=item, plan=plan, params=limits) for member in members]
    inks = [result for result in results if isinstance(result, Ink)]
    with clock.step("label"):
        for ink in inks:
            normalize(ink.label)
    with clock.step("content hash"):
        for ink in inks:
            content_hash(ink.strokes)
    with clock.step("table"):
        table = ink_table(inks)
    with clock.step("Parquet"):
        write_parquet(workspace.folder / "steps.parquet", table)
    taken = clock.seconds
    taken["numbers"] = taken.pop("parsing") - taken["XML"]
    taken["key, split, checks"] = taken.pop("whole member") - taken["XML"] - taken["numbers"] - taken["label"]
    taken["Arrow table"] = taken.pop("table") - taken["content hash"]
    order = ["archive", "XML", "numbers", "label", "key, split, checks", "content hash", "Arrow table", "Parquet"]
    clock.seconds = {name: taken[name] for name in order}
    return clock.microseconds(len(members))


def time_rasterize(workspace: Workspace, *, num_inks: int) -> dict[str, float]:
    """Microseconds an ink of the steps of rasterize, at 384x384 px."""
    params, clock = RasterizeParams(), Clock()
    canvas = Canvas(height_px=SIDE_PX, width_px=SIDE_PX, margin_px=params.margin_px, pen_width_px=params.pen_width_px)
    with clock.step("read Parquet"):
        inks = [ink for _, ink in zip(range(num_inks), read_inks(workspace.data("inks")), strict=False)]
    flat = [(np.concatenate(ink.strokes), np.array([len(stroke) for stroke in ink.strokes])) for ink in inks]
    with clock.step("fit and thin"):
        thinned = [draw._thin(draw._fit(points.astype(np.float64), canvas), lengths) for points, lengths in flat]  # noqa: SLF001
    with clock.step("draw"):
        pictures = [draw._paint(points, lengths, canvas) for points, lengths in thinned]  # noqa: SLF001
    with clock.step("PNG"):
        pngs = [encode_png(pixels) for pixels in pictures]
    ids = np.arange(16, dtype=np.int32)
    samples = [
        EncodedSample(key=ink.key, label=ink.label, png=png, token_ids=ids, description={"label": ink.label})
        for ink, png in zip(inks, pngs, strict=True)
    ]
    folder = workspace.data("steps")
    folder.mkdir(parents=True, exist_ok=True)
    with clock.step("tar, hash, index rows"):
        write_shard(folder, split="train", number=0, samples=samples)
    return clock.microseconds(len(inks))


def time_stream(workspace: Workspace, *, num_inks: int) -> dict[str, float]:
    """Microseconds an ink of the steps of the stream, of pictures of 384x384 px."""
    clock, shards = Clock(), shards_of(workspace)
    index = open_split(shards, "train")
    rows = list(range(min(num_inks, len(index))))
    with SampleReader(index) as reader:
        reader.read(rows[:1])
        with clock.step("samples"):
            samples = reader.read(rows)
    pngs = read_pngs(shards, num_samples=len(rows))
    with clock.step("decode PNG"):
        for data in pngs:
            decode_png(data)
    with clock.step("collate"):
        batches = [collate(samples[start : start + BATCH]) for start in range(0, len(samples), BATCH)]
    model: Any = SimpleNamespace(
        device=torch.device("cpu"), config=SimpleNamespace(encoder=SimpleNamespace(num_channels=3))
    )
    with clock.step("to float32"):
        for pixels, _ in batches:
            model_input(pixels, model)
    clock.seconds["read, ids, keys"] = clock.seconds.pop("samples") - clock.seconds["decode PNG"]
    order = ["read, ids, keys", "decode PNG", "collate", "to float32"]
    clock.seconds = {name: clock.seconds[name] for name in order}
    return clock.microseconds(len(rows))


STAGES: dict[str, Callable[..., dict[str, float]]] = {
    "ingest": time_ingest,
    "rasterize": time_rasterize,
    "stream": time_stream,
}
"""The functions above, by stage."""


def run(workspace: Workspace, *, inks: str, num_inks: int, repeats: int, pools: Pools) -> list[Measured]:
    """Microseconds an ink of every step of every stage; `inks` is their name in the tables."""
    arguments = {"workspace": workspace, "num_inks": num_inks}
    jobs = {stage: Job(pool=pools.one, call=call, arguments=arguments) for stage, call in STAGES.items()}
    times = take_turns(jobs, repeats=repeats, title=f"steps {inks}")
    return [
        Measured(part=stage, name=step, inks=inks, unit="µs/ink", values=values)
        for stage, found in times.items()
        for step, values in found.items()
    ]
