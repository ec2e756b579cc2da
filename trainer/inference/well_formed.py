"""The constraint that keeps a model's answers to well-formed LaTeX, by its tokenizer and its grammar."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from latexify.artifacts.names import CONFIG_NAME, MODEL, TOKENIZER_NAME
from latexify.common.errors import LatexifyError
from latexify.common.package_data import is_plain_trocr
from latexify.pipeline.grammar.allowances import STRICT, Allowances, read_grammar
from latexify.pipeline.grammar.kinds import END, kind_of
from latexify.pipeline.grammar.latex import grammar_of
from latexify.pipeline.grammar.selection import select_tokens
from latexify.pipeline.latex import tokenize
from latexify.trainer.inference.constraint import Constraint

NUM_CACHED = 8
"""Constraints that are kept: that of a large vocabulary takes a second and tens of megabytes."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a constraint is made from."""

    tokenizer: str  # JSON of the `tokenizers` package
    num_ids: int  # size of the decoder's vocabulary
    end_id: int  # id of the token that ends a label
    allowances: Allowances  # what the grammar permits beyond the strict one

    def constraint(self, *, only: str | None = None) -> Constraint | None:
        r"""Return the constraint; None if the tokens are pieces of text, not LaTeX tokens.

        Args:
            only: The symbols that may be written, such as ``digits +-``, see
                :func:`latexify.pipeline.grammar.selection.select_tokens`; None for all.

        Raises:
            LatexifyError: If `only` names tokens that the vocabulary does not have.
            ValueError: Like KeyError, TypeError and IndexError, if the tokenizer is damaged or too small for a formula.
        """
        return _constraint_of(self, only)


def constraint_for(folder: Path, *, only: str | None = None) -> Constraint | None:
    """Make the constraint of a model folder, see :meth:`Vocabulary.constraint`.

    Raises LatexifyError if files cannot be read, no formula can be made of the vocabulary, or `only` is not known.
    """
    vocabulary = read_vocabulary(folder)
    return None if vocabulary is None else vocabulary.constraint(only=only)


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """Read the vocabulary of a model; None if its tokens are pieces of text, not LaTeX tokens, or it is a plain TrOCR.

    A folder without `grammar.json` has the strict grammar. Raises LatexifyError if files cannot be read, or no formula
    can be made of the vocabulary.
    """
    # a base model's own tokenizer may be in another format
    if is_plain_trocr(folder) or not (folder / TOKENIZER_NAME).is_file():
        return None
    allowances = read_grammar(folder, producer=MODEL.producer)
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        vocabulary = Vocabulary(
            tokenizer=(folder / TOKENIZER_NAME).read_text(encoding="utf-8"),
            num_ids=int(config["decoder"]["vocab_size"]),
            end_id=int(config["eos_token_id"]),
            allowances=allowances or STRICT,
        )
        return None if vocabulary.constraint() is None else vocabulary
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise LatexifyError(
            f"{folder} has no usable vocabulary for constrained search ({type(error).__name__}: {error}): "
            f"run `{MODEL.producer}` again, or turn the constraint off"
        ) from None


@lru_cache(maxsize=NUM_CACHED)
def _constraint_of(vocabulary: Vocabulary, only: str | None) -> Constraint | None:
    words = _latex_words(json.loads(vocabulary.tokenizer))
    if words is None:
        return None
    chosen = words.keys() if only is None else select_tokens(only, vocabulary=words.keys())
    kinds: list[str | None] = [None] * vocabulary.num_ids
    for word in chosen:
        kinds[words[word]] = kind_of(word)
    kinds[vocabulary.end_id] = END
    allowances = vocabulary.allowances
    return Constraint(grammar_of(kinds, allowances=allowances.names, max_symbols=allowances.max_symbols))


def _latex_words(tokenizer: Any) -> dict[str, int] | None:
    """Return the ids of the tokens without special ones; None if not every one is exactly one LaTeX token."""
    model = tokenizer["model"]
    if model.get("type") != "WordLevel":
        return None
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    words = {str(word): int(token_id) for word, token_id in model["vocab"].items() if word not in special}
    return words if all(tokenize(word) == [word] for word in words) else None
