"""This project's stages, timed through the same functions that `latexify` calls.

A stage's modules load only where it runs, as from the command line, so that its memory is its own.
"""

import contextlib
import io
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexify.fast.pandas_import import block_pandas_import
from latexify.pipeline.config import IngestParams, InkmlParams, RasterizeParams, VocabParams
from latexify.pipeline.engine.engine import Engine

SIDE_PX = 384


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with a `data/` as the pipeline makes it. `raw` holds `inks.tar`, all of it training data."""

    folder: Path

    @property
    def raw(self) -> Path:
        """Where `inks.tar` lies."""
        return self.folder / "raw"

    def data(self, name: str) -> Path:
        """The folder of an artifact."""
        return self.folder / "data" / name

    @property
    def metrics(self) -> Path:
        """A file for metrics that nobody reads."""
        return self.folder / "metrics.json"


def run_source(workspace: Workspace) -> None:
    """List the inks of the workspace."""
    from latexify.pipeline.source import stage as source  # noqa: PLC0415  # see above

    section = InkmlParams(paths=["inks.tar"], valid_fraction=0, test_fraction=0)
    with _quiet():
        source.run(section, dataset="inkml", seed=1, raw=workspace.raw, out=workspace.data("source"), jobs=1)


def run_vocab(workspace: Workspace) -> None:
    """Make the tokenizer of the workspace's inks."""
    from latexify.pipeline.vocab import stage as vocab  # noqa: PLC0415  # see above

    inks, out = workspace.data("inks"), workspace.data("tokenizer")
    with _quiet():
        vocab.run(VocabParams(), base="scratch", inks=inks, out=out, metrics=workspace.metrics)


def time_ingest(workspace: Workspace, *, jobs: int) -> dict[str, float]:
    """Inks per second of the ingest stage, from nothing."""
    from latexify.pipeline.ingest import stage as ingest  # noqa: PLC0415  # see above

    shutil.rmtree(workspace.data("inks"), ignore_errors=True)

    def stage() -> Any:
        return ingest.run(
            IngestParams(),
            source=workspace.data("source"),
            out=workspace.data("inks"),
            metrics=workspace.metrics,
            engine=Engine(jobs=jobs),
        )

    block_pandas_import()  # as the command does
    counts, elapsed_s = timed(stage)
    return {"ingest": counts["inputs"] / elapsed_s}


def time_rasterize(workspace: Workspace, *, jobs: int, height_px: int, width_px: int) -> dict[str, float]:
    """Inks per second of the rasterize stage, from nothing, into the shards folder of this canvas."""
    from latexify.pipeline.rasterize import stage as rasterize  # noqa: PLC0415  # see above

    out = shards_of(workspace, height_px=height_px, width_px=width_px)
    shutil.rmtree(out, ignore_errors=True)

    def stage() -> Any:
        return rasterize.run(
            RasterizeParams(height_px=height_px, width_px=width_px),
            inks=workspace.data("inks"),
            tokenizer=workspace.data("tokenizer"),
            out=out,
            seed=1,
            metrics=workspace.metrics,
            engine=Engine(jobs=jobs),
        )

    block_pandas_import()  # as the command does
    counts, elapsed_s = timed(stage)
    return {"rasterize": (sum(counts["samples"].values()) + sum(counts["rejected"].values())) / elapsed_s}


def shards_of(workspace: Workspace, *, height_px: int = SIDE_PX, width_px: int = SIDE_PX) -> Path:
    """The shard folder of a canvas."""
    return workspace.data(f"shards-{height_px}x{width_px}")


def time_stages(workspace: Workspace, *, jobs: int) -> dict[str, float]:
    """Inks per second of ingest, and of rasterize on the large canvas."""
    return time_ingest(workspace, jobs=jobs) | time_rasterize(workspace, jobs=jobs, height_px=SIDE_PX, width_px=SIDE_PX)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and its seconds."""
    started = time.perf_counter()
    with _quiet():
        result = work()
    return result, time.perf_counter() - started


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Without the stages' progress."""
    return contextlib.redirect_stderr(io.StringIO())
