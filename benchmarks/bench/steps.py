"""What each step of a stage costs an ink, on one core, while the stage runs on all the inks of a workspace."""

import functools
import inspect
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.bench import stages, streams
from benchmarks.bench.cores import Pools
from benchmarks.bench.measured import Job, Measured, take_turns
from benchmarks.bench.stages import SIDE_PX, Workspace

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


REST = "the rest"
_END = object()


class Stopwatch:
    """Seconds by step; what a step calls that is a step of its own counts there alone. For one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since_s = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what the block takes."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        """From here on the step runs."""
        self._count()
        self._running.append(name)

    def leave(self) -> None:
        """The step that began last is over."""
        self._count()
        self._running.pop()

    def _count(self) -> None:
        now_s = time.perf_counter()
        if self._running:
            step = self._running[-1]
            self.seconds[step] = self.seconds.get(step, 0.0) + now_s - self._since_s
        self._since_s = now_s


def time_steps(work: Callable[[], Any], steps: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Run `work`; seconds of each step, and of what belongs to none.

    steps: by the name of a step, the functions that it consists of (``module.function`` or ``module.Class.method``).
    They are replaced by timed ones while the work runs, wherever our own modules have imported them. A name that is not
    there is passed over, so that one list serves several versions; a step without any that is there is a LookupError.
    """
    watch = Stopwatch()
    undo: list[tuple[Any, str, Any]] = []
    try:
        for step, names in steps.items():
            places = [place for name in names for place in _places(name)]
            if not places:
                raise LookupError(f"step {step!r}: none of {', '.join(names)} is there any more")
            for owner, name, function in places:
                undo.append((owner, name, function))
                setattr(owner, name, _timed(function, step, watch))
        with watch.step(REST):
            work()
    finally:
        for owner, name, function in reversed(undo):
            setattr(owner, name, function)
    return {step: watch.seconds.get(step, 0.0) for step in (*steps, REST)}


def _places(path: str) -> list[tuple[Any, str, Any]]:
    """Every place (owner, attribute, function) of our modules where a function is found."""
    owner, name = _owner(path)
    function = getattr(owner, name, None)
    if function is None:
        return []
    if inspect.isclass(owner):
        return [(owner, name, function)]
    modules = [module for key, module in sys.modules.items() if key.partition(".")[0] in {"latexify", "benchmarks"}]
    return [(module, key, value) for module in modules for key, value in vars(module).items() if value is function]


def _owner(path: str) -> tuple[Any, str]:
    """The module or class that holds what `path` names (None where it is not there), and the last part of the path."""
    parent, _, name = path.rpartition(".")
    try:
        return pkgutil.resolve_name(parent), name
    except (ImportError, AttributeError):
        return None, name


def _timed(function: Callable[..., Any], step: str, watch: Stopwatch) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*arguments: Any, **options: Any) -> Iterator[Any]:
            items = function(*arguments, **options)
            while True:
                with watch.step(step):
                    item = next(items, _END)
                if item is _END:
                    return
                yield item

        return generator

    @functools.wraps(function)
    def plain(*arguments: Any, **options: Any) -> Any:
        watch.enter(step)
        try:
            return function(*arguments, **options)
        finally:
            watch.leave()

    return plain
