"""Labels in, token ids out, without transformers: its import would take each process seconds and 200 MiB."""

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
from latexify.pipeline.inks.ink import TOKEN_IDS


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEncoder:
    """A tokenizer as it travels to workers: what `latexify.pipeline.vocab.tokenizer.encode_labels` does, and faster.

    model: JSON of the `tokenizers` package. end_id: of the token that ends a label. special_tokens: texts that must
    not be taken for the special tokens they name.
    """

    model: str
    end_id: int
    special_tokens: tuple[str, ...]

    def encode(self, labels: Sequence[str]) -> pa.ListArray:
        """The ids of each label as a decoder learns them, of type `TOKEN_IDS`: one end id last and no start id."""
        texts = spelt_out(labels, special_tokens=self.special_tokens)
        # fast: without the place of each token in its text, which nobody asks for
        encodings = _loaded(self.model).encode_batch_fast(texts, add_special_tokens=False)
        ids: list[int] = []
        ends = [0]
        for encoding in encodings:
            ids += encoding.ids
            ids.append(self.end_id)
            ends.append(len(ids))
        offsets, values = np.array(ends, dtype=np.int32), np.array(ids, dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=TOKEN_IDS)


def read_encoder(folder: Location) -> LabelEncoder:
    """The encoder of the tokenizer folder that the stage `vocab` wrote. Raises LatexifyError where it is not whole."""
    content = read_manifest(folder, TOKENIZER).content
    try:
        model = (folder / TOKENIZER_NAME).read_text(encoding="utf-8")
        json.loads(model)  # tokenizers says of a damaged file what nothing narrower than `Exception` catches
        end_id, special_tokens = content["special_ids"]["eos"], tuple(content["special_tokens"])
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(f"{folder} holds no whole tokenizer ({error}): run `{TOKENIZER.producer}` again") from None
    return LabelEncoder(model=model, end_id=end_id, special_tokens=special_tokens)


def spelt_out(labels: Sequence[str], *, special_tokens: Sequence[str]) -> list[str]:
    """Put a space into whatever reads like a special token, so that it is encoded as the signs it is.

    A SentencePiece model has special tokens among its pieces, and finds them even where `encode_special_tokens` is set.
    The space means nothing in LaTeX, and the normaliser takes it away from what is decoded.
    """
    texts = list(labels)
    for token in special_tokens:
        texts = [text.replace(token, f"{token[0]} {token[1:]}") for text in texts]
    return texts


@lru_cache(maxsize=1)
def _loaded(model: str) -> Tokenizer:
    """The tokenizer, built once for all that a worker encodes: a large vocabulary takes a tenth of a second."""
    tokenizer = Tokenizer.from_str(model)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer
