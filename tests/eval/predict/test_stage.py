"""The predict stage: every ink of the split gets a prediction, and model and shards must belong together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import VisionEncoderDecoderModel

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import PREDICTIONS
from latexify.common.errors import LatexifyError
from latexify.eval.config import PredictParams
from latexify.eval.predict.decoding import open_predictor
from latexify.eval.predict.stage import PREDICTION_SCHEMA, run
from latexify.pipeline.latex import normalize
from latexify.shards.format.index import open_split
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.export import export_model
from latexify.trainer.model.model import LoadedModel, set_special_ids
from tests.support.trainer_data import GEOMETRY, make_base, make_shards, make_tokenizer, tokenizer_manifest

PARAMS = PredictParams(split="valid", batch_size=3, max_new_tokens=6)


def export(folder: Path, *, scratch: Path, geometry: Mapping[str, Any], tokenizer: str) -> Path:
    """An untrained model, in a folder as the train stage writes it."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    fast = make_tokenizer(scratch / "tokenizer")
    model = VisionEncoderDecoderModel.from_pretrained(make_base(scratch / "base", fast))
    set_special_ids(model, fast)
    loaded = LoadedModel(model=model, tokenizer=fast, geometry=Geometry.from_params(geometry), fingerprint="")
    manifest = Manifest(kind="model", version=1, params={}, inputs={"tokenizer": tokenizer})
    export_model(loaded, folder, manifest=manifest, rows=[])
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few small pictures."""
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, num_train=2, num_valid=8)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that fits them."""
    scratch = tmp_path_factory.mktemp("model")
    return export(scratch / "out", scratch=scratch, geometry=GEOMETRY, tokenizer=tokenizer_manifest().fingerprint)


def test_alternatives_are_those_that_recognize_shows(model: Path, shards: Path, tmp_path: Path) -> None:
    """Greedy search has none; with beams, all confidences of an ink are at most 1 together."""
    answers = {}
    for name, params in {"greedy": PARAMS, "beams": PARAMS.model_copy(update={"num_beams": 3})}.items():
        run(params, model=model, shards=shards, out=tmp_path / name, device="cpu")
        answers[name] = pq.read_table(tmp_path / name / "predictions.parquet").to_pylist()
    assert not any(answer["alternatives"] for answer in answers["greedy"])
    assert any(answer["alternatives"] for answer in answers["beams"])
    for answer in answers["beams"]:
        others = {other["prediction"]: other["confidence"] for other in answer["alternatives"]}
        assert answer["prediction"] not in others
        assert len(others) == len(answer["alternatives"]) <= 2
        assert answer["confidence"] + sum(others.values()) <= 1 + 1e-6
        assert max(others.values(), default=0) <= answer["confidence"]


def test_every_ink_gets_a_prediction_in_index_order(model: Path, shards: Path, tmp_path: Path) -> None:
    """Missing inks, or predictions in the wrong row, would falsify every figure."""
    result = run(PARAMS, model=model, shards=shards, out=tmp_path / "out", device="cpu")
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert table.schema.equals(PREDICTION_SCHEMA)
    index = open_split(shards, "valid")
    assert table["key"].to_pylist() == index.keys.to_pylist()
    assert table["reference"].to_pylist() == index.labels.to_pylist()
    assert table["prediction"].to_pylist() == [normalize(text) for text in table["prediction_raw"].to_pylist()]
    assert all(0 < value <= 1 for value in table["confidence"].to_pylist())
    assert all(0 < count <= 6 for count in table["num_tokens"].to_pylist())
    assert result["num_samples"] == 8
    manifest = read_manifest(tmp_path / "out", PREDICTIONS)
    assert manifest.inputs.keys() == {"model", "shards"}


@pytest.mark.parametrize("batch_size", [1, 8])
def test_batch_size_changes_no_prediction(model: Path, shards: Path, tmp_path: Path, batch_size: int) -> None:
    """Batches only affect memory and speed: other samples must not change a prediction."""
    answers = []
    for name, params in (("a", PARAMS), ("b", PARAMS.model_copy(update={"batch_size": batch_size}))):
        run(params, model=model, shards=shards, out=tmp_path / name, device="cpu")
        answers.append(pq.read_table(tmp_path / name / "predictions.parquet")["prediction_raw"].to_pylist())
    assert answers[0] == answers[1]


@pytest.mark.parametrize("is_named", [False, True])
def test_a_model_of_other_pictures_is_refused(shards: Path, tmp_path: Path, is_named: bool) -> None:  # noqa: FBT001
    """It would predict nonsense without an error."""
    geometry = {**GEOMETRY, "pen_width_px": 3.0}
    other = export(tmp_path / "model", scratch=tmp_path, geometry=geometry, tokenizer="")
    with pytest.raises(LatexifyError, match=r"pen 3 px\), the shards hold 16x64 px"):
        run(PARAMS, model=other, shards=shards, out=tmp_path / "out", device="cpu", is_named=is_named)
    assert not (tmp_path / "out").exists()


def test_a_copied_model_is_taken(model: Path, shards: Path, tmp_path: Path) -> None:
    """Trained on another dataset, with the same tokens: it was refused for the inks of its tokenizer."""
    copy = export(tmp_path / "model", scratch=tmp_path, geometry=GEOMETRY, tokenizer="0123456789abcdef")
    for name, folder in (("own", model), ("copy", copy)):
        run(PARAMS, model=folder, shards=shards, out=tmp_path / name, device="cpu")
    own, copied = (pq.read_table(tmp_path / name / "predictions.parquet")["prediction"] for name in ("own", "copy"))
    assert own.equals(copied)


def test_a_split_that_is_not_there_is_named(model: Path, shards: Path, tmp_path: Path) -> None:
    """`predict.split: test` on data without a test split."""
    params = PARAMS.model_copy(update={"split": "test"})
    with pytest.raises(LatexifyError, match="no split 'test'"):
        run(params, model=model, shards=shards, out=tmp_path / "out", device="cpu")


def test_predictions_hold_only_the_chosen_symbols(model: Path, shards: Path, tmp_path: Path) -> None:
    """So that the gain of knowing which symbols there are can be measured. Without it, the manifest is as before."""
    limited = PARAMS.model_copy(update={"only": "x 2"})
    predictor = open_predictor(limited, model=model, device="cpu")
    assert predictor.constraint is not None
    writable = np.flatnonzero(
        (predictor.constraint.table[1:] == 0).any(axis=0)
    ).tolist()  # row 0 is for what is complete
    assert predictor.trained.texts([[token_id] for token_id in writable]) == ["", "x", "2"]
    run(limited, model=model, shards=shards, out=tmp_path / "limited", device="cpu")
    assert read_manifest(tmp_path / "limited", PREDICTIONS).params["only"] == "x 2"
    run(PARAMS, model=model, shards=shards, out=tmp_path / "all", device="cpu")
    assert "only" not in read_manifest(tmp_path / "all", PREDICTIONS).params
    for wrong, message in (({"only": "x q"}, "cannot write q"), ({"only": "x", "constrained": False}, "predict.only")):
        with pytest.raises(LatexifyError, match=message):
            run(PARAMS.model_copy(update=wrong), model=model, shards=shards, out=tmp_path / "no", device="cpu")
