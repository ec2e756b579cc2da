"""Stage vocab with the tokenizer, or the tokens, of a base model."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from latexify.artifacts import names
from latexify.artifacts.manifest import read_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize
from latexify.pipeline.vocab.encoder import read_encoder
from latexify.pipeline.vocab.tokenizer import encode_labels, load_tokenizer
from tests.support.vocab import EVALUATION, TRAIN, run_on, run_vocab


def test_a_base_tokenizer_has_no_grammar(tmp_path: Path) -> None:
    """Its tokens are pieces of text: no search with them is constrained."""
    out, metrics = run_vocab(tmp_path, base=str(save_byte_bpe(tmp_path / "base")), tokenizer="base")
    assert "grammar" not in metrics
    assert not (out / names.GRAMMAR_NAME).exists()


def save_byte_bpe(folder: Path) -> Path:
    """Save a small byte-level BPE tokenizer that adds <s> … </s>, as RoBERTa does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAIN, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return save_pretrained(tokenizer, folder)


def save_unigram(folder: Path) -> Path:
    """Save a small Unigram tokenizer with ▁ for spaces that adds <s> … </s>, as XLM-R does."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *sorted(set("".join(TRAIN)) - {" "})]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return save_pretrained(tokenizer, folder)


def save_pretrained(tokenizer: Tokenizer, folder: Path) -> Path:
    """Save as Transformers does."""
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("save", "num_lost"), [(save_byte_bpe, 0), (save_unigram, 3)])
def test_a_base_models_own_tokenizer(tmp_path: Path, save: Callable[[Path], Path], num_lost: int) -> None:
    """Fine-tuning TrOCR with its own tokenizer: a doubled or missing end id would spoil every label."""
    base = save(tmp_path / "base")
    out, metrics = run_vocab(tmp_path, base=str(base), tokenizer="base")
    tokenizer = load_tokenizer(out)
    for label, ids in zip(TRAIN, encode_labels(tokenizer, TRAIN), strict=True):
        assert ids.dtype == "int32"
        assert (ids == 2).sum() == 1
        assert ids[-1] == 2
        assert 0 not in ids
        assert normalize(tokenizer.decode(ids, skip_special_tokens=True)) == label
    assert metrics["splits"]["train"]["num_edits"] == 0
    assert metrics["splits"]["test"]["num_unknown"] == num_lost
    assert encode_labels(tokenizer, []) == []
    labels = [*TRAIN, *EVALUATION]
    wanted = [ids.tolist() for ids in encode_labels(tokenizer, labels)]
    assert read_encoder(out).encode(labels).to_pylist() == wanted, "rasterize encodes without transformers"


def test_the_base_models_latex_tokens_come_first_then_those_of_the_labels(tmp_path: Path) -> None:
    """A model that is trained further keeps its symbols and their ids, and gains those of the labels."""
    (tmp_path / "first").mkdir()
    base, _ = run_on([r"\Xi+\aleph", "x"], tmp_path / "first")
    out, metrics = run_vocab(tmp_path, base=str(base), tokenizer="latex_and_base")
    first, second = load_tokenizer(base).get_vocab(), load_tokenizer(out).get_vocab()
    assert {token: second[token] for token in first} == first
    labels_alone, _ = run_vocab(tmp_path / "alone")
    assert second.keys() == first.keys() | load_tokenizer(labels_alone).get_vocab().keys()
    assert "grammar" in metrics
    facts = read_manifest(out, names.TOKENIZER).params
    assert facts["base"] == str(base)
    assert facts["min_count"] == 1


def test_a_base_without_latex_tokens_cannot_be_extended(tmp_path: Path) -> None:
    """Pieces of text and LaTeX tokens in one vocabulary would give a label two spellings."""
    base = save_byte_bpe(tmp_path / "base")
    with pytest.raises(LatexifyError, match="are pieces of text, not LaTeX tokens: use `latex` or `base`"):
        run_vocab(tmp_path, base=str(base), tokenizer="latex_and_base")


@pytest.mark.parametrize("base", ["no/such-model", "not a name!", "."])
def test_a_base_without_tokenizer_is_refused_in_one_sentence(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt `model.base` must not end in a traceback."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LatexifyError, match=r"model\.base: no tokenizer could be loaded") as caught:
        run_vocab(tmp_path, base=base, tokenizer="base")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tokenizer/manifest.json").exists()
