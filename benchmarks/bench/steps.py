"""What each step of a stage costs an ink, on one core, while the stage runs on all the inks of a workspace."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.bench import stages, streams
from benchmarks.bench.cores import Pools
from benchmarks.bench.measured import Job, Measured, take_turns
from benchmarks.bench.stages import SIDE_PX, Workspace
from benchmarks.bench.stopwatch import time_steps

STEPS: dict[str, dict[str, Sequence[str]]] = {
    "ingest": {
        "archive": (
            "latexify.pipeline.inputs.archives._tar_members",
            "latexify.pipeline.inputs.archives.MemberReader.load",
        ),
        "XML": ("latexify.pipeline.inkml.xml.parse_xml",),
        "traces and annotations": (
            "latexify.pipeline.inkml.document.read_document",
            "latexify.pipeline.inkml.document.parse_inkml",
        ),
        "numbers": ("latexify.pipeline.inkml.numbers.parse_traces",),
        "label": ("latexify.pipeline.latex.normalizer.normalize",),
        "content hash": ("latexify.pipeline.inks.table.content_hash", "latexify.pipeline.inks.table.content_hashes"),
        "Arrow table": ("latexify.pipeline.inks.table.ink_table", "latexify.pipeline.inks.table.table_of"),
        "Parquet": ("latexify.artifacts.files.write_parquet",),
    },
    "rasterize": {
        "Parquet and scratch file": (
            "latexify.pipeline.rasterize.prepare.encode_part_into",
            "latexify.pipeline.rasterize.prepare.ScratchRows.load",
            "latexify.pipeline.inks.table.read_batches",
        ),
        "label to tokens": (
            "latexify.pipeline.vocab.tokenizer.encode_labels",
            "latexify.pipeline.vocab.encoder.LabelEncoder.encode",
        ),
        "place and thin": ("latexify.pipeline.drawing.fit.fit_inks",),
        "draw": (
            "latexify.pipeline.drawing.draw._Surface.draw",
            "latexify.fast.cairo_path.path_data_of",
        ),
        "PNG": ("latexify.shards.format.png.encode_png", "latexify.shards.format.png.encode_coverage"),
        "tar and hash": ("latexify.shards.format.writer._Tar.append", "latexify.shards.format.tar.TarWriter.append"),
        "index and flush": (
            "latexify.shards.format.writer.write_shard",
            "latexify.shards.format.record.write_index_from_records",
        ),
    },
    "stream": {
        "plan": ("latexify.shards.reading.plan.plan_epoch",),
        "read": ("latexify.shards.reading.reader.SampleReader._pread",),
        "decode PNG": ("latexify.shards.format.png.decode_png", "latexify.shards.format.png.decode_png_into"),
        "token ids": ("latexify.shards.format.sample.decode_ids",),
        "pad labels": ("latexify.trainer.data.batches.pad_labels",),
        "to float32": ("latexify.trainer.model.model.model_input",),
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
