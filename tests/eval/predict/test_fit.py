"""A model and shards fit if the canvas does; tokenizers are compared by content, not by what they were made from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.eval.predict.fit import require_canvas, require_tokens
from latexify.shards.format.index import open_split
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from tests.support.reading_models import export_folder, make_loaded
from tests.support.trainer_data import make_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few small pictures."""
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, num_train=2, num_valid=8)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same tokens."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


def with_inputs(trained: TrainedModel, inputs: Mapping[str, str]) -> TrainedModel:
    """The model, made from other artifacts."""
    return replace(trained, manifest=replace(trained.manifest, inputs=inputs))


def check_tokens(trained: TrainedModel, shards: Path, *, model: Path) -> None:
    """Compare them."""
    require_tokens(trained, read_manifest(shards, SHARDS), index=open_split(shards, "valid"), model=model)


def test_an_equal_tokenizer_of_another_dataset_fits(model: Path, shards: Path) -> None:
    """A copied model was refused for another tokenizer, although its tokenizer was the identical one."""
    trained = with_inputs(open_model(model), {"tokenizer": "0123456789abcdef"})
    check_tokens(trained, shards, model=model)


def test_another_tokenizer_does_not_fit(model: Path, shards: Path) -> None:
    """The model in data/model may be of an earlier state of the project, whose figures nobody wants."""
    trained = with_inputs(open_model(model), {"tokenizer": "0123456789abcdef"})

    def shifted(sequences: Any) -> list[str]:
        return trained.texts([[(token - 3) % 7 + 4 for token in ids] for ids in sequences])

    with pytest.raises(LatexifyError, match=r"another tokenizer .* \(8 of 8 labels differ\).* predict\.model"):
        check_tokens(replace(trained, texts=shifted), shards, model=model)


def test_a_model_of_another_canvas_does_not_fit(model: Path, shards: Path) -> None:
    """It would predict nonsense without an error."""
    trained = open_model(model)
    manifest = read_manifest(shards, SHARDS)
    require_canvas(trained, manifest, model=model)
    other = replace(trained, geometry=replace(trained.geometry, pen_width_px=3.0))
    with pytest.raises(LatexifyError, match=r"pen 3 px\), the shards hold 16x64 px .*latexify evaluate"):
        require_canvas(other, manifest, model=model)
