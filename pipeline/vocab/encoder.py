"""Encode labels as token ids without transformers, whose import would take each worker seconds and 200 MiB."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import TOKENIZER, TOKENIZER_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.schemas import TOKEN_IDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEncoder:
    """A tokenizer that can be sent to workers. Faster than `latexify.pipeline.vocab.tokenizer.encode_labels`."""

    model: str  # JSON of the `tokenizers` package
    end_id: int  # id of the token that ends a label
    special_tokens: tuple[str, ...]  # whose texts in labels are encoded character by character

    def encode(self, labels: Sequence[str]) -> pa.ListArray:
        """Return the ids of each label for a decoder, of type `TOKEN_IDS`: with one end id, without a start id."""
        texts = escape_special_tokens(labels, special_tokens=self.special_tokens)
        # fast: without the offsets of tokens
        encodings = _loaded(self.model).encode_batch_fast(texts, add_special_tokens=False)
        ids = [[*encoding.ids, self.end_id] for encoding in encodings]
        offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)
        values = np.fromiter(itertools.chain.from_iterable(ids), np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=TOKEN_IDS)


def read_encoder(folder: Location) -> LabelEncoder:
    """Read the encoder from a tokenizer folder of the stage `vocab`. Raises LatexifyError if it is incomplete."""
    content = read_manifest(folder, TOKENIZER).content
    try:
        model = (folder / TOKENIZER_NAME).read_text(encoding="utf-8")
        json.loads(model)  # tokenizers raises a bare Exception for a damaged file
        end_id, special_tokens = content["special_ids"]["eos"], tuple(content["special_tokens"])
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(
            f"{folder} does not hold a complete tokenizer ({error}): run `{TOKENIZER.producer}` again"
        ) from None
    return LabelEncoder(model=model, end_id=end_id, special_tokens=special_tokens)


def escape_special_tokens(labels: Sequence[str], *, special_tokens: Sequence[str]) -> list[str]:
    """Insert a space into text that looks like a special token, so that it is encoded character by character.

    SentencePiece models have special tokens among their pieces and find them even if `encode_special_tokens` is set.
    The space is meaningless in LaTeX, and the normalizer removes it after decoding.
    """
    texts = list(labels)
    for token in special_tokens:
        texts = [text.replace(token, f"{token[0]} {token[1:]}") for text in texts]
    return texts


@lru_cache(maxsize=1)
def _loaded(model: str) -> Tokenizer:
    """Build the tokenizer once per worker; a large vocabulary takes 0.1 s."""
    tokenizer = Tokenizer.from_str(model)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer
