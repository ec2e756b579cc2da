"""Pictures as wide as their ink: from the shards through training to the recognizer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from latexify.common.errors import LatexifyError
from latexify.eval.config import PredictParams
from latexify.eval.predict.stage import run as predict
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.engine.engine import Engine
from latexify.serve.recognizer import Recognizer
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import verify
from latexify.shards.webdataset import open_shards
from latexify.trainer.config import ModelParams
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.train import open_trainer, run
from tests.support.rasterize_data import Rasterize, bytes_of, some_rows, write_inks
from tests.support.trainer_data import quick_params

PARAMS = RasterizeParams(
    height_px=32, width_px=128, margin_px=1.0, max_stroke_px=12.0, width_step_px=32, samples_per_shard=7
)
CANVAS = Canvas(height_px=32, width_px=128, margin_px=1.0, pen_width_px=1.5, max_stroke_px=12.0, width_step_px=32)


def strokes_of(number: int) -> list[np.ndarray]:
    """An ink of one to nine strokes in a row, so that their widths differ."""
    rng = np.random.default_rng(number)
    return [
        (rng.uniform(0, 40, (4, 2)) + np.array([50 * column, 0])).astype(np.float32) for column in range(1 + number % 9)
    ]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Inks of all splits, with strokes of this file."""
    rows = some_rows()
    for row in rows:
        strokes = strokes_of(int(row["key"][-3:]))
        row["points"], row["stroke_lengths"] = np.concatenate(strokes).ravel(), [len(stroke) for stroke in strokes]
    return rows


@pytest.fixture
def shards(rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    """Shards of pictures that differ in width."""
    rasterize(write_inks(tmp_path / "wide-inks", rows), params=PARAMS)
    return tmp_path / "out"


def test_a_picture_is_the_middle_of_the_whole_canvas(shards: Path) -> None:
    """Nothing may be cut off, and the ink must be as large as on the whole canvas, or widths would mean something."""
    index = open_split(shards, "train")
    whole = replace(CANVAS, width_step_px=None)
    widths = set()
    with SampleReader(index) as reader:
        for row in range(len(index)):
            [sample] = reader.read([row])
            strokes = strokes_of(int(sample.key[-3:]))
            expected = draw_ink(strokes, whole)
            width_px = sample.pixels.shape[1]
            left = (128 - width_px) // 2
            assert np.array_equal(sample.pixels, expected[:, left : left + width_px])
            assert (expected[:, :left] == 255).all()
            assert (expected[:, left + width_px :] == 255).all()
            assert np.array_equal(sample.pixels, draw_ink(strokes, CANVAS)), "the recognizer draws the same"
            if width_px > 32:
                narrower = expected[:, left + 16 : 128 - left - 16]
                assert (narrower < 255).sum() < (expected < 255).sum() or (narrower[:, [0, -1]] < 255).any()
            widths.add(width_px)
            assert index.widths_px[row] == width_px
    assert widths == {32, 64, 96, 128}


def test_a_batch_is_as_wide_as_its_widest_picture(shards: Path) -> None:
    """Batches of short formulas must cost less, and no picture may move when another is wider."""
    index = open_split(shards, "train")
    order = np.argsort(index.widths_px, kind="stable")
    with SampleReader(index) as reader:
        narrow, wide = reader.read(order[[0, -1]])
        assert narrow.pixels.shape == wide.pixels.shape == (32, 128)
        [alone] = reader.read(order[:1])
        left = (128 - alone.pixels.shape[1]) // 2
        assert np.array_equal(narrow.pixels[:, left : 128 - left], alone.pixels)
        assert (narrow.pixels[:, :left] == 255).all()


def test_shards_verify_and_webdataset_reads_them(shards: Path) -> None:
    """Other tools see an ordinary WebDataset."""
    verification = verify(shards, encode=None, engine=Engine())
    assert verification.num_findings == 0
    widths = {sample["pixels"].shape[1] for sample in open_shards(shards, "train")}
    assert widths == {32, 64, 96, 128}


def test_without_steps_shards_stay_as_they_were(
    rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Existing projects keep their shards and what was trained on them."""
    inks = write_inks(tmp_path / "wide-inks", rows)
    params = PARAMS.model_copy(update={"width_step_px": None})
    rasterize(inks, params=params)
    names = pq.read_schema(tmp_path / "out" / "index.parquet").names
    assert "width_px" not in names
    assert b"width_step_px" not in bytes_of(tmp_path / "out")["manifest.json"]


def test_training_prediction_and_recognizer_agree(shards: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Each of them makes its own batches; a picture padded in one of them would be another picture."""
    params = quick_params(freeze=["batch_statistics"], max_steps=4, validate_steps=4, warmup_steps=1)
    runs = tmp_path / "runs"
    model = ModelParams(base="scratch", preset="tiny")
    with open_trainer(params, model, seed=1, shards=shards, tokenizer=tokenizer, runs=runs, device="cpu") as trainer:
        run(trainer, out=tmp_path / "model", metrics=tmp_path / "train.json")
        widths = {micro.pixels.shape[2] for micro, _ in zip(trainer.open_loader(), range(12), strict=False)}
    assert len(widths) > 1, "batches of short formulas are narrow"
    predict(
        PredictParams(split="test", constrained=False),
        model=tmp_path / "model",
        shards=shards,
        out=tmp_path / "predictions",
        device="cpu",
    )
    predictions = pq.read_table(tmp_path / "predictions" / "predictions.parquet").to_pylist()
    recognizer = Recognizer(tmp_path / "model", device="cpu", runtime="torch", constrained=False)
    pictures = [recognizer.draw(strokes_of(int(row["key"][-3:]))) for row in predictions]
    assert len({picture.shape for picture in pictures}) > 1
    answers = recognizer.read(pictures)
    assert [answer.latex for answer in answers] == [row["prediction"] for row in predictions]
    export_onnx(tmp_path / "model", out=tmp_path / "onnx")
    by_onnx = Recognizer(tmp_path / "onnx", runtime="onnx", constrained=False).read(pictures)
    assert [answer.latex for answer in by_onnx] == [answer.latex for answer in answers]
    assert np.allclose([a.confidence for a in answers], [row["confidence"] for row in predictions], atol=1e-4)


@pytest.mark.parametrize("step", [30, 3, 48])
def test_odd_steps_are_refused(step: int) -> None:
    """A picture that is not cut in the middle has its ink beside the middle."""
    with pytest.raises(LatexifyError, match="cannot be cut in steps"):
        replace(CANVAS, width_step_px=step)
