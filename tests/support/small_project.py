"""A small project whose offline half was run on this machine: what clusters and object stores are compared with."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from latexify.artifacts.location import Location
from latexify.pipeline.config import IngestParams, RasterizeParams, SyntheticParams, VocabParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import chunks
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab

PARAMS = """
model: {base: scratch}
synthetic: {num_train: 40, num_valid: 10, num_test: 10, num_writers: 6}
rasterize: {height_px: 32, width_px: 128, samples_per_shard: 12}
"""
SYNTHETIC = SyntheticParams(num_train=40, num_valid=10, num_test=10, num_writers=6)
CANVAS = RasterizeParams(height_px=32, width_px=128, samples_per_shard=12)


def make_project(root: Path) -> None:
    """Sixty inks, the offline stages run one after another in this process."""
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    data = root / "data"
    source.run(SYNTHETIC, dataset="synthetic", seed=1, raw=root, out=data / "source", jobs=1)
    run_ingest(data, out=data / "inks", engine=Engine(backend="sequential"))
    vocab.run(VocabParams(), base="scratch", inks=data / "inks", out=data / "tokenizer", metrics=root / "vocab.json")
    run_rasterize(data, out=data / "shards", engine=Engine(backend="sequential"))


def run_ingest(data: Path, *, out: Location, engine: Engine) -> None:
    """Run the stage in several chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MEMBERS_PER_CHUNK", 7)
        ingest.run(IngestParams(), source=data / "source", out=out, metrics=data / "ingest.json", engine=engine)


def run_rasterize(data: Path, *, out: Location, engine: Engine, inks: Location | None = None) -> None:
    """Run the stage."""
    metrics = data / "rasterize.json"
    rasterize.run(
        CANVAS,
        seed=1,
        inks=inks or data / "inks",
        tokenizer=data / "tokenizer",
        out=out,
        metrics=metrics,
        engine=engine,
    )


def bytes_of(folder: Location) -> dict[str, bytes]:
    """Content of every file of a folder."""
    paths: list[Location] = sorted(folder.iterdir(), key=str)
    return {path.name: path.read_bytes() for path in paths}


def train_and_judge(root: Path, *, weights: Mapping[str, float] | None = None) -> None:
    """Run the other stages up to the figures, for two steps of training, on the project in `root`.

    weights: of its datasets, if there are several.
    """
    from latexify.eval.config import PredictParams, ScoreParams
    from latexify.eval.predict import stage as predict
    from latexify.eval.score import stage as score  # torch loads only where it is needed
    from latexify.trainer import train
    from latexify.trainer.config import ModelParams, TrainParams

    data, metrics = root / "data", root / "metrics"
    with train.open_trainer(
        TrainParams(
            max_steps=2, warmup_steps=0, global_batch=8, micro_batch=8, loader_workers=0, num_threads=1, freeze=[]
        ),
        ModelParams(base="scratch"),
        seed=1,
        shards=data / "shards",
        tokenizer=data / "tokenizer",
        runs=root / "runs",
        device="cpu",
        weights=weights,
    ) as trainer:
        train.run(trainer, out=data / "model", metrics=metrics / "train.json")
    quick = PredictParams(max_new_tokens=8)
    predict.run(quick, model=data / "model", shards=data / "shards", out=data / "predictions", device="cpu")
    score.run(
        ScoreParams(bootstrap_samples=100),
        seed=1,
        predictions=data / "predictions",
        shards=data / "shards",
        metrics=metrics / "score.json",
        plots=data / "plots",
    )
