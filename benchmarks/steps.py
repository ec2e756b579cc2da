"""What each step of a stage costs an ink, on one core, while the stage runs on all the inks of a workspace."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import stages, streams
from benchmarks.cores import Pools
from benchmarks.measured import Job, Measured, take_turns
from benchmarks.stages import SIDE_PX, Workspace
from benchmarks.stopwatch import time_steps

STEPS: dict[str, dict[str, Sequence[str]]] = {
    "ingest": {
        "archive": ("pipeline.archives._tar_members", "pipeline.members.MemberReader.load"),
        "XML": ("pipeline.markup.parse_markup",),
        "traces and annotations": ("pipeline.inkml.read_document", "pipeline.inkml.parse_inkml"),
        "numbers": ("pipeline.points.parse_traces",),
        "label": ("pipeline.latex.normalizer.normalize",),
        "content hash": ("pipeline.catalogue.content_hash", "pipeline.catalogue.content_hashes"),
        "Arrow table": ("pipeline.catalogue.ink_table", "pipeline.catalogue.table_of"),
        "Parquet": ("shards.files.write_parquet",),
    },
    "rasterize": {
        "Parquet and scratch file": (
            "pipeline.rasterize._copy_inks",
            "pipeline.scratch.ScratchWriter.append",
            "pipeline.scratch.ScratchWriter.write",
            "pipeline.scratch.Scratch.take",
            "pipeline.preparing.prepare_part_into",
            "pipeline.scratch.ScratchRows.load",
            "pipeline.catalogue.read_batches",
        ),
        "label to tokens": ("pipeline.label_tokenizer.encode_labels", "pipeline.label_encoder.LabelEncoder.encode"),
        "place and thin": ("pipeline.draw._fit", "pipeline.draw._thin", "pipeline.placing.place_inks"),
        "draw": ("pipeline.draw._paint", "pipeline.draw._Easel.paint", "pipeline.cairo_path.steps_of"),
        "PNG": ("shards.png.encode_png", "shards.png.encode_coverage"),
        "tar and hash": ("shards.writer._Tar.append", "shards.tar.TarWriter.append"),
        "index and flush": ("shards.writer.write_shard", "shards.index.write_index"),
    },
    "stream": {
        "plan": ("shards.plan.plan_epoch",),
        "read": ("shards.reader.SampleReader._pread",),
        "decode PNG": ("shards.png.decode_png", "shards.png.decode_png_into"),
        "token ids": ("shards.sample.decode_ids",),
        "pad labels": ("trainer.batches.pad_labels",),
        "to float32": ("trainer.model.model_input",),
    },
}
"""The functions that each step of each stage consists of; names of several versions where they changed."""


def time_stage(stage: str, *, workspace: Workspace, num_inks: int) -> dict[str, float]:
    """Microseconds an ink of each step of a stage, and of the rest of it."""
    shards = stages.shards_of(workspace)
    num_batches = streams.enough_batches(num_inks)
    canvas = {"height_px": SIDE_PX, "width_px": SIDE_PX}
    calls: Mapping[str, tuple[Callable[[], Any], int]] = {
        "ingest": (lambda: stages.time_ingest(workspace, jobs=1), num_inks),
        "rasterize": (lambda: stages.time_rasterize(workspace, jobs=1, **canvas), num_inks),
        # the first batch is not timed there
        "stream": (
            lambda: streams.time_stream(shards, workers=0, num_batches=num_batches, to_float=True),
            (num_batches + 1) * streams.MICRO_BATCH,
        ),
    }
    work, number = calls[stage]
    return {step: elapsed_s / number * 1e6 for step, elapsed_s in time_steps(work, STEPS[stage]).items()}


def run(workspace: Workspace, *, inks: str, num_inks: int, repeats: int, pools: Pools) -> list[Measured]:
    """Microseconds an ink of every step of every stage; inks: their name, num_inks: their number."""
    arguments = {"workspace": workspace, "num_inks": num_inks}
    jobs = {stage: Job(pool=pools.one, call=time_stage, arguments={"stage": stage, **arguments}) for stage in STEPS}
    times = take_turns(jobs, repeats=repeats, title=f"steps {inks}")
    return [
        Measured(part=stage, name=step, inks=inks, unit="µs/ink", values=values)
        for stage, found in times.items()
        for step, values in found.items()
    ]
