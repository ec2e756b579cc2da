"""Token ids become the same texts with the package `tokenizers` and without it."""

import json
import random
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models

from latexify.artifacts.names import TOKENIZER_NAME
from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer
from latexify.trainer.inference.texts import JOINING_DECODER, open_texts


def folder_with(tokenizer: Tokenizer, folder: Path) -> Path:
    """A folder that holds a tokenizer."""
    tokenizer.save(str(folder / TOKENIZER_NAME))
    return folder


def of_pieces(folder: Path) -> Path:
    """A folder whose tokens are pieces of text."""
    tokenizer = Tokenizer(models.BPE({"Ġa": 0, "b": 1}, []))
    tokenizer.decoder = decoders.ByteLevel()
    return folder_with(tokenizer, folder)


def test_the_decoder_is_the_one_that_vocab_writes(tmp_path: Path) -> None:
    """If they differed, the light installation could no longer read new models."""
    build_latex_tokenizer(["x", r"\alpha"]).save_pretrained(tmp_path)
    assert json.loads((tmp_path / TOKENIZER_NAME).read_text(encoding="utf-8"))["decoder"] == JOINING_DECODER


def test_latex_tokens_become_the_texts_that_tokenizers_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any sequence of the shipped model's tokens, also one that is no LaTeX, with special and unknown ids."""
    tokenizer = Tokenizer.from_file(str(default_model() / TOKENIZER_NAME))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    texts = open_texts(default_model())
    rng = random.Random(1)
    ids = [[rng.randrange(tokenizer.get_vocab_size() + 3) for _ in range(rng.randrange(12))] for _ in range(2000)]
    assert texts(ids) == tokenizer.decode_batch(ids, skip_special_tokens=True)


def test_pieces_of_text_need_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which extra has it."""
    assert open_texts(of_pieces(tmp_path))([[0, 1, 0]]) == [" ab a"]
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(LatexifyError, match=r"needs the package tokenizers: run pip install -e '.\[train\]'"):
        open_texts(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"model": {"type": "BPE"}}', "{"])
def test_a_damaged_file_is_an_error_that_the_caller_knows(tmp_path: Path, content: str) -> None:
    """`tokenizers` raises a bare `Exception`, which would be a traceback."""
    (tmp_path / TOKENIZER_NAME).write_text(content, encoding="utf-8")
    with pytest.raises((ValueError, KeyError)):
        open_texts(tmp_path)
