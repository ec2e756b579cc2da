"""Which allowances the grammar needs to write a set of labels, and the file that keeps them beside a tokenizer."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.names import GRAMMAR_NAME, TOKENIZER
from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.extras import ALLOWANCES
from latexify.pipeline.grammar.kinds import END, kind_of
from latexify.pipeline.grammar.latex import grammar_of, owners_of
from latexify.pipeline.grammar.token_grammar import MAX_SYMBOLS, derive
from latexify.pipeline.latex import tokenize

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """What a grammar permits beyond the strict one."""

    names: frozenset[str] = frozenset()  # of `extras.ALLOWANCES`
    max_symbols: int = MAX_SYMBOLS  # maximum height of a stack

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values of `GRAMMAR_NAME`."""
        return {"version": FORMAT_VERSION, "allowances": sorted(self.names), "max_symbols": self.max_symbols}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Allowances":
        """Undo :meth:`to_dict`. Raises ValueError if the values are of a later version, KeyError if some are missing.

        Names that are not known are an error: without them, the model could not write some of its labels.
        """
        names = frozenset(map(str, raw["allowances"]))
        unknown = sorted(names - ALLOWANCES)
        if unknown or raw["version"] != FORMAT_VERSION:
            raise ValueError(f"version {raw['version']}, unknown: {', '.join(unknown) or 'none'}")
        return cls(names=names, max_symbols=int(raw["max_symbols"]))


STRICT = Allowances()
"""Of models and tokenizers without a `GRAMMAR_NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntGrammar:
    """What labels need, and the labels that cannot be written whatever is allowed, sorted."""

    allowances: Allowances
    refused: list[str]


def learn_grammar(labels: Iterable[str], *, vocabulary: Collection[str]) -> LearntGrammar:
    """Find what the grammar must allow to write these labels.

    labels: normalised. vocabulary: the LaTeX tokens that can be written.

    Labels that are refused have braces or environments without partner, commands or scripts without argument, or tokens
    that are not in the vocabulary.
    """
    kinds = {token: kind_of(token) for token in vocabulary}
    present = (*sorted(set(kinds.values())), END)
    strict, wide = grammar_of(present), grammar_of(present, allowances=ALLOWANCES)
    owners = owners_of(present)
    names: set[str] = set()
    height = 0
    refused: list[str] = []
    known: dict[tuple[str | None, ...], bool] = {}  # whether labels of these kinds can be written: many are alike
    for label in labels:
        sentence = kinds_of(label, kinds)
        if (is_written := known.get(sentence)) is None:
            derivation = derive(strict, sentence) or derive(wide, sentence)
            is_written = known[sentence] = derivation is not None
            if derivation is not None:
                height = max(height, derivation.height)
                names |= {owners[step] for step in derivation.steps if step in owners}
        if not is_written:
            refused.append(label)
    allowances = Allowances(names=frozenset(names), max_symbols=max(MAX_SYMBOLS, height + 1))
    return LearntGrammar(allowances=allowances, refused=sorted(refused))


def kinds_of(label: str, kinds: Mapping[str, str]) -> tuple[str | None, ...]:
    """Return the kinds of a normalised label's tokens, end token included; None for tokens that have none."""
    return (*(kinds.get(token) for token in tokenize(label) if token != " "), END)


def write_grammar(folder: Location, allowances: Allowances) -> None:
    """Write `GRAMMAR_NAME` into the folder of a tokenizer or a model."""
    write_json(folder / GRAMMAR_NAME, allowances.to_dict())


def read_grammar(folder: Location, *, producer: str = TOKENIZER.producer) -> Allowances | None:
    """Read `GRAMMAR_NAME`; None where there is none: the grammar is then strict.

    Folders that earlier versions wrote have none, and those whose tokens are pieces of text. Raises LatexifyError if it
    is damaged or of a later version.
    """
    path = folder / GRAMMAR_NAME
    try:
        return Allowances.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LatexifyError(f"{path} cannot be used ({error}): run `{producer}` again") from None
