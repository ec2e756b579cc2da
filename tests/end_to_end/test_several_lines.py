"""Labels of two lines, from InkML to the score: what a model was trained on, it may write."""

import json
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from latexify.eval.config import PredictParams, ScoreParams
from latexify.eval.predict import stage as predict
from latexify.eval.score import stage as score
from latexify.pipeline.config import IngestParams, InkmlParams, RasterizeParams, VocabParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab
from latexify.trainer import train
from latexify.trainer.config import ModelParams, TrainParams

SHAPES = {
    "o": ["2 4, 0 2, 2 0, 4 2, 2 4"],
    "x": ["0 0, 4 4", "4 0, 0 4"],
    "l": ["2 -3, 2 4"],
    "1": ["0 -1, 2 -3, 2 4"],
}
"""Strokes of each letter, 4 units wide, y downward."""
COUNTS = {"train": 144, "valid": 24, "test": 24}


def ink_of(letters: str, rng: Random) -> bytes:
    """Two lines of two letters each, as InkML."""
    traces = []
    for number, letter in enumerate(letters):
        left, top = 8 * (number % 2) + rng.uniform(-0.5, 0.5), 13 * (number // 2) + rng.uniform(-0.5, 0.5)
        for stroke in SHAPES[letter]:
            points = (map(float, point.split()) for point in stroke.split(", "))
            traces.append(", ".join(f"{x + left:.2f} {y + top:.2f}" for x, y in points))
    label = f"{letters[:2]} \\\\ {letters[2:]}"
    body = "".join(f"<trace>{trace}</trace>" for trace in traces)
    return f'<ink><annotation type="truth">{label}</annotation>{body}</ink>'.encode()


def write_inks(raw: Path) -> None:
    """192 inks in folders train, valid and test."""
    rng = Random(1)
    texts = ["".join(letters) for letters in product(SHAPES, repeat=4)]
    rng.shuffle(texts)
    remaining = iter(texts)
    for split, count in COUNTS.items():
        (raw / "inkml" / split).mkdir(parents=True)
        for number in range(count):
            (raw / "inkml" / split / f"{number:03d}.inkml").write_bytes(ink_of(next(remaining), rng))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, with a model that was trained on it."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("lines")
    data, metrics = root / "data", root / "metrics"
    write_inks(root)
    source.run(InkmlParams(split_by="folder"), dataset="inkml", seed=1, raw=root, out=data / "source", jobs=1)
    engine = Engine(backend="sequential")
    ingest.run(
        IngestParams(), source=data / "source", out=data / "inks", metrics=metrics / "ingest.json", engine=engine
    )
    vocab.run(VocabParams(), base="scratch", inks=data / "inks", out=data / "tokenizer", metrics=metrics / "vocab.json")
    canvas = RasterizeParams(height_px=48, width_px=64)
    inputs = {"inks": data / "inks", "tokenizer": data / "tokenizer", "metrics": metrics / "rasterize.json"}
    rasterize.run(canvas, seed=1, out=data / "shards", engine=engine, **inputs)
    params = TrainParams(
        max_steps=160,
        global_batch=16,
        micro_batch=16,
        learning_rate=1e-3,
        warmup_steps=20,
        freeze=[],
        loader_workers=0,
        num_threads=1,
        validate_steps=80,
        precision="fp32",
    )
    with train.open_trainer(
        params,
        ModelParams(base="scratch", preset="tiny"),
        seed=1,
        shards=data / "shards",
        tokenizer=data / "tokenizer",
        runs=root / "runs",
        device="cpu",
    ) as trainer:
        train.run(trainer, out=data / "model", metrics=metrics / "train.json")
    return root


def scores(root: Path, *, constrained: bool) -> dict[str, Any]:
    """Predict and score the test inks."""
    data, name = root / "data", f"predictions-{constrained}"
    settings = PredictParams(constrained=constrained)
    predict.run(settings, model=data / "model", shards=data / "shards", out=data / name, device="cpu")
    return score.run(
        ScoreParams(bootstrap_samples=100, visual=False),
        seed=1,
        predictions=data / name,
        shards=data / "shards",
        metrics=root / f"{name}.json",
        plots=data / f"plots-{constrained}",
    )


def test_two_lines_are_trained_and_scored_right(trained: Path) -> None:
    """Before, `predict` forbade the second line: 0 % right, where the validation during training said 100 %."""
    bound, free = scores(trained, constrained=True), scores(trained, constrained=False)
    assert bound["exact_match"]["value"] == free["exact_match"]["value"] > 0.9
    assert bound["cer"]["value"] == free["cer"]["value"]


def test_validation_during_training_says_what_predict_does(trained: Path) -> None:
    """A user judges the training by it."""
    summary = json.loads((trained / "metrics/train.json").read_text(encoding="utf-8"))
    assert summary["valid_cer"] < 0.1
    learnt = json.loads((trained / "data/model/grammar.json").read_text(encoding="utf-8"))
    assert learnt["allowances"] == ["cells at top level"]
    assert json.loads((trained / "metrics/vocab.json").read_text(encoding="utf-8"))["grammar"]["num_refused"] == 0
