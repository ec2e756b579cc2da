"""Pictures as large as their ink: from the shards through training to the recognizer."""

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

SIDES = {"height_px": 64, "width_px": 256, "height_step_px": 32, "width_step_px": 32}
PARAMS = RasterizeParams(margin_px=1.0, max_stroke_px=12.0, samples_per_shard=7, **SIDES)
CANVAS = Canvas(margin_px=1.0, pen_width_px=1.5, max_stroke_px=12.0, **SIDES)


def strokes_of(number: int) -> list[np.ndarray]:
    """An ink of up to nine strokes in a row, and up to three rows, so that sizes differ."""
    rng = np.random.default_rng(number)
    return [
        (rng.uniform(0, 40, (4, 2)) + np.array([50 * column, 50 * row])).astype(np.float32)
        for row in range(1 + number % 3)
        for column in range(1 + number % 7)
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
    """Shards of pictures that differ in size."""
    rasterize(write_inks(tmp_path / "wide-inks", rows), params=PARAMS)
    return tmp_path / "out"


def test_a_picture_is_the_middle_of_the_whole_canvas(shards: Path) -> None:
    """Nothing may be cut off, and the ink must be as large as on the whole canvas, or sizes would mean something."""
    index = open_split(shards, "train")
    whole = replace(CANVAS, width_step_px=None, height_step_px=None)
    sizes = set()
    with SampleReader(index) as reader:
        for row in range(len(index)):
            [sample] = reader.read([row])
            strokes = strokes_of(int(sample.key[-3:]))
            expected = draw_ink(strokes, whole)
            height_px, width_px = sample.pixels.shape
            assert np.array_equal(sample.pixels, middle_of(expected, height_px, width_px))
            assert (sample.pixels < 255).sum() == (expected < 255).sum(), "no ink lies outside"
            assert np.array_equal(sample.pixels, draw_ink(strokes, CANVAS)), "the recognizer draws the same"
            # a picture that is a step smaller would cut off ink, margin or pen
            needed = np.ptp(np.nonzero(expected < 255), axis=1) + 1 + 2 * CANVAS.margin_px + 2
            assert all(side == 32 or side - 32 < need for side, need in zip(sample.pixels.shape, needed, strict=True))
            sizes.add((height_px, width_px))
            assert index.sizes_px[row].tolist() == [height_px, width_px]
    assert {height for height, _ in sizes} == {32, 64}
    assert len({width for _, width in sizes}) > 2


def middle_of(picture: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """The middle of a picture on the whole canvas."""
    top, left = (picture.shape[0] - height_px) // 2, (picture.shape[1] - width_px) // 2
    return picture[top : top + height_px, left : left + width_px]


def test_a_batch_holds_its_largest_pictures(shards: Path) -> None:
    """Batches of short formulas must cost less, and no picture may move when another is larger."""
    index = open_split(shards, "train")
    highest, widest = np.argmax(index.sizes_px, axis=0).tolist()
    smallest = int(np.argmin(index.sizes_px.prod(axis=1)))
    largest = (index.sizes_px[highest, 0], index.sizes_px[widest, 1])
    with SampleReader(index) as reader:
        small, *others = reader.read([smallest, highest, widest])
        assert {sample.pixels.shape for sample in (small, *others)} == {largest}
        [alone] = reader.read([smallest])
        assert np.array_equal(middle_of(small.pixels, *alone.pixels.shape), alone.pixels)
        assert (small.pixels < 255).sum() == (alone.pixels < 255).sum()


def test_shards_verify_and_webdataset_reads_them(shards: Path) -> None:
    """Other tools see an ordinary WebDataset."""
    verification = verify(shards, encode=None, engine=Engine())
    assert verification.num_findings == 0
    sizes = {sample["pixels"].shape for sample in open_shards(shards, "train")}
    assert sizes == set(map(tuple, open_split(shards, "train").sizes_px.tolist()))


@pytest.mark.parametrize(
    ("steps", "columns"),
    [
        ({"width_step_px": None, "height_step_px": None}, set()),
        ({"height_step_px": None}, {"width_px"}),
        ({"width_step_px": None}, {"width_px", "height_px"}),
    ],
)
def test_the_index_has_the_sizes_that_differ(
    rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path, steps: dict[str, None], columns: set[str]
) -> None:
    """Existing projects keep their shards and what was trained on them."""
    rasterize(write_inks(tmp_path / "wide-inks", rows), params=PARAMS.model_copy(update=steps))
    names = pq.read_schema(tmp_path / "out" / "index.parquet").names
    assert {name for name in names if name.endswith("_px")} == columns
    manifest = bytes_of(tmp_path / "out")["manifest.json"]
    assert all(name.encode() not in manifest for name in steps)
    index = open_split(tmp_path / "out", "train")
    assert index.has_sizes == bool(columns)
    for (side, name), px in zip(enumerate(("height_step_px", "width_step_px")), (64, 256), strict=True):
        if name in steps:
            assert set(index.sizes_px[:, side].tolist()) == {px}


def test_training_prediction_and_recognizer_agree(shards: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Each of them makes its own batches; a picture padded in one of them would be another picture."""
    params = quick_params(freeze=["batch_statistics"], max_steps=4, validate_steps=4, warmup_steps=1)
    runs = tmp_path / "runs"
    model = ModelParams(base="scratch", preset="tiny")
    with open_trainer(params, model, seed=1, shards=shards, tokenizer=tokenizer, runs=runs, device="cpu") as trainer:
        run(trainer, out=tmp_path / "model", metrics=tmp_path / "train.json")
        sizes = {micro.pixels.shape[1:] for micro, _ in zip(trainer.open_loader(), range(12), strict=False)}
    assert len(sizes) > 1, "batches of short formulas are small"
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


@pytest.mark.parametrize("side", ["width_step_px", "height_step_px"])
@pytest.mark.parametrize("step", [30, 3, 48])
def test_odd_steps_are_refused(side: str, step: int) -> None:
    """A picture that is not cut in the middle has its ink beside the middle."""
    with pytest.raises(LatexifyError, match="cannot be cut in steps"):
        replace(CANVAS, **{side: step})
