"""Tokenizers of labels: built from LaTeX tokens, or taken from a base model."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from latexify.artifacts.location import Location, is_local
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import TOKENIZER
from latexify.common.errors import LatexifyError, one_line
from latexify.common.package_data import resolve_base
from latexify.pipeline.latex import TOKEN_PATTERN, tokenize
from latexify.pipeline.vocab.encoder import escape_special_tokens

TokenIds: TypeAlias = npt.NDArray[np.int32]

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
"""Ids 0 to 3, as in RoBERTa and TrOCR."""

MAX_LABEL_TOKENS = 4096
"""The largest `rasterize.max_tokens`. Labels are not truncated to it."""


def build_latex_tokenizer(tokens: Iterable[str]) -> PreTrainedTokenizerBase:
    """Build a tokenizer with an id for each of `tokens` (LaTeX tokens without spaces), from 4 upward in their order.

    It encodes a normalized label as its ids and the end id; decoding restores the label. Loading it from its folder
    does not need this project.
    """
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *tokens))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(" "), "removed"), pre_tokenizers.Split(Regex(TOKEN_PATTERN), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", SPECIAL_TOKENS.index("</s>"))]
    )
    tokenizer.decoder = _joining_decoder()
    return PreTrainedTokenizerFast(  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        # the label a<s>b does not hold a start token
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_LABEL_TOKENS,
    )


def _joining_decoder() -> decoders.Decoder:
    r"""Join tokens like `latexify.pipeline.latex.join_tokens`, with parts that a saved tokenizer can hold.

    First, insert a space before every token but the first. Then, remove spaces behind one-letter tokens, before
    non-letters, and behind non-letters. The remaining ones are between a command word and a letter.
    """
    never = "\0"  # prefix of tokens to join without a space, which does not occur
    return decoders.Sequence(
        [
            decoders.WordPiece(prefix=never, cleanup=False),
            decoders.Fuse(),
            decoders.Replace(Regex(r"(?:(?<= [a-zA-Z])|(?<=\A[a-zA-Z])) "), ""),
            decoders.Replace(Regex(r" (?![a-zA-Z])"), ""),
            decoders.Replace(Regex(r"(?<![a-zA-Z]) "), ""),
        ]
    )


def load_base_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base model: a name on the Hugging Face Hub, or a folder.

    Raises LatexifyError if it cannot be loaded, is not a fast tokenizer, or lacks special tokens that labels need.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(resolve_base(base))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise LatexifyError(
            f"model.base: no tokenizer could be loaded from {base!r} ({one_line(error)[:200]}): check the name and the "
            "network, or set vocab.tokenizer to `latex`"
        ) from None
    if not (isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.is_fast):
        raise LatexifyError(f"model.base: {base!r} has no fast tokenizer: set vocab.tokenizer to `latex`")
    missing = [name for name in ("eos_token_id", "pad_token_id") if getattr(tokenizer, name) is None]
    if missing:
        raise LatexifyError(
            f"model.base: the tokenizer of {base!r} has no {missing[0]}: set vocab.tokenizer to `latex`"
        )
    # otherwise, a label with the text of a special token would end early
    tokenizer.split_special_tokens = True
    tokenizer.init_kwargs["split_special_tokens"] = True
    return tokenizer


def latex_words(tokenizer: PreTrainedTokenizerBase) -> list[str] | None:
    """Return the tokens without special ones, by id; None if not every one is exactly one LaTeX token."""
    special = set(tokenizer.all_special_tokens)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    words = sorted((word for word in vocabulary if word not in special), key=vocabulary.__getitem__)
    return words if all(tokenize(word) == [word] for word in words) else None


def load_tokenizer(folder: Location) -> PreTrainedTokenizerBase:
    """Load the tokenizer from a folder of the stage `vocab`. Raises LatexifyError if it is incomplete."""
    read_manifest(folder, TOKENIZER)
    with TemporaryDirectory() as copy:  # transformers reads local files only
        if not is_local(folder):
            for path in folder.iterdir():
                (Path(copy) / path.name).write_bytes(path.read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(folder if is_local(folder) else copy)
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def encode_labels(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[TokenIds]:
    """Encode labels for a decoder: int32 [num_tokens] each, with one end id, without a start id."""
    if not labels:
        return []
    texts = escape_own_special_tokens(tokenizer, labels)
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return [np.array([*ids, tokenizer.eos_token_id], dtype=np.int32) for ids in encoded["input_ids"]]


def special_facts(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return the special tokens for the manifest, which lets `read_encoder` do without transformers."""
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "pad", "eos", "unk")}
    return {"special_ids": ids, "special_tokens": list(tokenizer.all_special_tokens)}


def escape_own_special_tokens(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[str]:
    """Insert a space into text that looks like a special token of this tokenizer (`escape_special_tokens`)."""
    return escape_special_tokens(labels, special_tokens=tokenizer.all_special_tokens)
