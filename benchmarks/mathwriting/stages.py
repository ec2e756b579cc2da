"""The stages of the pipeline on the archive, each to be run in a process of its own.

A stage's modules load only where it runs, as from the command line, so that its memory is its own.
"""

import contextlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from benchmarks.bench.stopwatch import time_steps
from latexify.fast.pandas_import import block_pandas_import

SEED = 1
FOLDERS: list[Literal["train", "synthetic", "symbols"]] = ["train", "synthetic", "symbols"]
"""The folders of the archive that are for training."""
INGEST = "latexify.pipeline.ingest"
STEPS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "ingest": {
        "read and parse": (f"{INGEST}.stage._read_all",),
        "find duplicates": (f"{INGEST}.dedup.plan_dedup",),
        "drop duplicates": (f"{INGEST}.dedup.apply_plan",),
    },
    "rasterize": {
        "encode labels, copy inks": ("latexify.pipeline.rasterize.plan._plan",),
        "draw": ("latexify.pipeline.rasterize.stage._write_shards",),
        "index": ("latexify.shards.format.record.write_index_from_records",),
    },
    "score": {
        "count errors": ("latexify.eval.metrics.edits.count_edits",),
        "typeset and compare": ("latexify.eval.metrics.visual.measure_appearance",),
        "intervals": ("latexify.eval.metrics.bootstrap.resampled_totals",),
    },
}
"""What of a stage the main process times by itself; the rest is `bench.stopwatch.REST`."""
CPU = "CPU time of the main process"
Seconds = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with `data/` and `metrics/` as the pipeline makes them. archive: what it reads."""

    folder: Path
    archive: Path

    def data(self, name: str) -> Path:
        """The folder of an artifact."""
        return self.folder / "data" / name

    def places(self, *names: str) -> tuple[Path, ...]:
        """The folders of several artifacts."""
        return tuple(map(self.data, names))

    def metrics(self, name: str) -> Path:
        """The figures of a stage."""
        return self.folder / "metrics" / f"{name}.json"


def run_source(project: Project) -> Seconds:
    """Hash the archive."""
    from latexify.pipeline.config import MathWritingParams  # noqa: PLC0415  # see above
    from latexify.pipeline.source import stage  # noqa: PLC0415

    section = MathWritingParams(archive=str(project.archive.resolve()), train_folders=FOLDERS)
    out = project.data("source")
    return _timed(lambda: stage.run(section, dataset="mathwriting", seed=SEED, raw=project.folder, out=out, jobs=1))


def run_ingest(project: Project, *, jobs: int) -> Seconds:
    """Parse the archive on all cores."""
    block_pandas_import()  # as the command does
    from latexify.pipeline.config import IngestParams  # noqa: PLC0415
    from latexify.pipeline.engine.engine import Engine  # noqa: PLC0415
    from latexify.pipeline.ingest import stage  # noqa: PLC0415

    places = {"source": project.data("source"), "out": project.data("inks"), "metrics": project.metrics("ingest")}
    return _timed(lambda: stage.run(IngestParams(), engine=Engine(jobs=jobs), **places), steps="ingest")


def run_vocab(project: Project) -> Seconds:
    """Make the tokenizer."""
    from latexify.pipeline.config import VocabParams  # noqa: PLC0415
    from latexify.pipeline.vocab import stage  # noqa: PLC0415

    places = {"inks": project.data("inks"), "out": project.data("tokenizer"), "metrics": project.metrics("vocab")}
    return _timed(lambda: stage.run(VocabParams(), base="scratch", **places))


def run_rasterize(project: Project, *, jobs: int) -> Seconds:
    """Draw all inks at 64x256 px on all cores."""
    block_pandas_import()
    from latexify.pipeline.config import RasterizeParams  # noqa: PLC0415
    from latexify.pipeline.engine.engine import Engine  # noqa: PLC0415
    from latexify.pipeline.rasterize import stage  # noqa: PLC0415

    params = RasterizeParams(height_px=64, width_px=256)
    places = {name: project.data(name) for name in ("inks", "tokenizer")}
    places |= {"out": project.data("shards"), "metrics": project.metrics("rasterize")}
    return _timed(lambda: stage.run(params, seed=SEED, engine=Engine(jobs=jobs), **places), steps="rasterize")


def open_stream(project: Project) -> Seconds:
    """Open the index, plan an epoch, and get the first batch of one loader process, as a training does."""
    import torch  # noqa: F401, PLC0415  # loaded by then in a training

    from latexify.common.errors import LatexifyError  # noqa: PLC0415
    from latexify.shards.format.index import open_split  # noqa: PLC0415
    from latexify.shards.reading.plan import plan_epoch  # noqa: PLC0415
    from latexify.trainer.config import TrainParams  # noqa: PLC0415
    from latexify.trainer.data.batches import open_loader  # noqa: PLC0415
    from latexify.trainer.data.loader_processes import close_loader  # noqa: PLC0415
    from latexify.trainer.data.specs import Position  # noqa: PLC0415

    params = TrainParams(global_batch=64, micro_batch=64, loader_workers=1)
    times = [time.perf_counter()]
    index = open_split(project.data("shards"), "train")
    times.append(time.perf_counter())
    plan_epoch(index.num_tokens, index.shard_ids, seed=SEED, epoch=0, global_batch=params.global_batch)
    times.append(time.perf_counter())
    batches = iter(open_loader(index, params, seed=SEED, start=Position(), pin_memory=False))
    try:
        first: Any = next(batches)
    finally:
        close_loader(batches)
    if isinstance(first, LatexifyError):
        raise first
    times.append(time.perf_counter())
    spans = [end - start for start, end in pairwise(times)]
    return dict(zip(("open the index", "plan an epoch", "first batch"), spans, strict=True))


def run_train(project: Project, *, base: str, num_steps: int) -> Seconds:
    """Fit the model `base` to the new tokenizer by a few steps, so that the next stages have one that answers."""
    from latexify.trainer import train  # noqa: PLC0415
    from latexify.trainer.config import ModelParams, TrainParams  # noqa: PLC0415

    few = {"warmup_steps": 0, "validate_samples": 64, "learning_rate": 1e-5, "loader_workers": 1}
    params = TrainParams(max_steps=num_steps, **few)  # type: ignore[arg-type]
    model, runs, shards, tokenizer = (
        ModelParams(base=base),
        project.folder / "runs",
        *project.places("shards", "tokenizer"),
    )

    def work() -> None:
        with train.open_trainer(
            params, model, seed=SEED, shards=shards, tokenizer=tokenizer, runs=runs, device="cpu"
        ) as trainer:
            train.run(trainer, out=project.data("model"), metrics=project.metrics("train"))

    return _timed(work)


def run_predict(project: Project) -> Seconds:
    """Read the validation inks by constrained greedy search."""
    from latexify.eval.config import PredictParams  # noqa: PLC0415
    from latexify.eval.predict import stage  # noqa: PLC0415

    params = PredictParams(split="valid")
    model, shards, out = project.places("model", "shards", "predictions")
    return _timed(lambda: stage.run(params, model=model, shards=shards, out=out, device="cpu"))


def run_score(project: Project, *, jobs: int) -> Seconds:
    """Score the predictions, with intervals from 2,000 resamples, and typeset them."""
    from latexify.eval.config import ScoreParams  # noqa: PLC0415
    from latexify.eval.score import stage  # noqa: PLC0415

    places = {name: project.data(name) for name in ("predictions", "shards", "plots")}
    metrics = project.metrics("score")
    return _timed(lambda: stage.run(ScoreParams(), seed=SEED, metrics=metrics, jobs=jobs, **places), steps="score")


def run_report(project: Project, *, jobs: int) -> Seconds:
    """Write the page."""
    from latexify.eval.config import ReportParams  # noqa: PLC0415
    from latexify.eval.report import stage  # noqa: PLC0415

    predictions, shards, model, plots = project.places("predictions", "shards", "model", "plots")

    def work() -> None:
        stage.run(
            ReportParams(compare_with=None),
            seed=SEED,
            predictions=predictions,
            shards=shards,
            model=model,
            plots=plots,
            metrics_folder=project.folder / "metrics",
            params_path=project.folder / "params.yaml",
            parameters={},
            out=project.data("report"),
            jobs=jobs,
        )

    return _timed(work)


def _timed(work: Callable[[], Any], *, steps: str | None = None) -> Seconds:
    """Seconds of the work, by steps if it has any, without its progress; and the CPU time of this process."""
    started_s = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        seconds = time_steps(work, STEPS[steps] if steps else {})
    return {**seconds, CPU: time.process_time() - started_s}
