"""Tokenizers of labels: one built from LaTeX tokens or a base model's own, and the ids that a model learns."""

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
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import TOKEN_PATTERN
from latexify.pipeline.vocab.encoder import spelt_out

TokenIds: TypeAlias = npt.NDArray[np.int32]

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
"""Ids 0 to 3, as in RoBERTa, whose ids TrOCR uses."""

MAX_LABEL_TOKENS = 4096
"""The largest `rasterize.max_tokens`; nothing is cut at it."""


def build_latex_tokenizer(tokens: Iterable[str]) -> PreTrainedTokenizerBase:
    """Build a tokenizer with an id for each of `tokens` (LaTeX tokens, no spaces), from 4 upward in their order.

    Calling it gives the ids of a normalised label and the end id; decoding gives the label again. It needs nothing of
    this project when it is loaded from its folder.
    """
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *tokens))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(" "), "removed"),
            pre_tokenizers.Split(Regex(TOKEN_PATTERN), "isolated"),
        ]
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
        # the label a<s>b holds three signs, not a start token
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_LABEL_TOKENS,
    )


def _joining_decoder() -> decoders.Decoder:
    r"""Join tokens as `latexify.pipeline.latex.join_tokens` does, out of parts that a saved tokenizer can hold.

    First a space goes before every token but the first; then go the spaces behind tokens of one letter, before what is
    no letter, and behind what is no letter. Those left stand between a command word and a letter.
    """
    never = "\0"  # the mark of a token that is to be joined without a space: none is
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
    """Load the tokenizer of a base model: a name on the Hugging Face hub, or a folder.

    Raises LatexifyError where it cannot be found or loaded, or lacks what labels need.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise LatexifyError(
            f"model.base: no tokenizer could be loaded from {base!r} ({reason}): check the name and the network, "
            "or set vocab.tokenizer to `latex`"
        ) from None
    if not (isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.is_fast):
        raise LatexifyError(f"model.base: {base!r} has no fast tokenizer: set vocab.tokenizer to `latex`")
    missing = [name for name in ("eos_token_id", "pad_token_id") if getattr(tokenizer, name) is None]
    if missing:
        raise LatexifyError(
            f"model.base: the tokenizer of {base!r} has no {missing[0]}: set vocab.tokenizer to `latex`"
        )
    # else a label that holds the text of a special token would end early wherever the folder is used
    tokenizer.split_special_tokens = True
    tokenizer.init_kwargs["split_special_tokens"] = True
    return tokenizer


def load_tokenizer(folder: Location) -> PreTrainedTokenizerBase:
    """Load the tokenizer that the stage `vocab` wrote into `folder`. Raises LatexifyError where it is not whole."""
    read_manifest(folder, TOKENIZER)
    with TemporaryDirectory() as copy:  # transformers reads from this machine alone
        if not is_local(folder):
            for path in folder.iterdir():
                (Path(copy) / path.name).write_bytes(path.read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(folder if is_local(folder) else copy)
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def encode_labels(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[TokenIds]:
    """Encode labels as a decoder learns them: int32 [num_tokens] each, one end id last and no start id."""
    if not labels:
        return []
    texts = without_special_tokens(tokenizer, labels)
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return [np.array([*ids, tokenizer.eos_token_id], dtype=np.int32) for ids in encoded["input_ids"]]


def special_facts(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What the manifest says of special tokens, so that `read_encoder` needs no transformers to know them."""
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "pad", "eos", "unk")}
    return {"special_ids": ids, "special_tokens": list(tokenizer.all_special_tokens)}


def without_special_tokens(tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[str]:
    """Put a space into whatever reads like a special token of this tokenizer: see `spelt_out`."""
    return spelt_out(labels, special_tokens=tokenizer.all_special_tokens)
