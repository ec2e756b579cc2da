"""Small shards and models for the tests of the trainer."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

from latexify.trainer.config import ModelParams
from latexify.trainer.model.model import make_model
from tests.support.trainer_data import make_base, make_shards, make_tokenizer


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training samples in two shards. Tests must not change them."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    make_shards(folder)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedTokenizerFast]:
    """A small TrOCR and its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_tokenizer(folder / "tokenizer")
    return make_base(folder / "model", tokenizer), tokenizer


@pytest.fixture
def model(base: tuple[Path, PreTrainedTokenizerFast]) -> VisionEncoderDecoderModel:
    """A model made from the base, as the stage makes it."""
    folder, tokenizer = base
    return make_model(
        ModelParams(base=str(folder)), tokenizer=tokenizer, height_px=16, width_px=64, dropout=0.0, seed=1
    )
