"""Languages over kinds of tokens, as simple grammars (Korenjak & Hopcroft 1966).

What must still be written is a stack of symbols. The kind of the next token determines which symbols replace the top of
the stack.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Rules = dict[str, dict[str, tuple[str, ...]]]

MAX_SYMBOLS = 32
"""Usual maximum height of a stack: one for each level of nesting, two where an argument must follow (CROHME nests 7
deep)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGrammar:
    """A language over kinds of tokens.

    `rules` has for each symbol and kind of token the symbols that replace it, the first to be written first. Kinds that
    are missing are not allowed there.
    """

    rules: Mapping[str, Mapping[str, tuple[str, ...]]]
    start: str  # the symbol of a whole sentence
    kinds: Sequence[str | None]  # the kind of every token id; None for tokens that no sentence contains
    closing_kinds: Mapping[str, str]  # for symbols that may end without further content, the kind that ends them
    max_symbols: int = MAX_SYMBOLS  # a stack of this height may not grow


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How a grammar writes a sentence."""

    steps: Sequence[tuple[str, str]]  # for each token, the symbol that it replaced and its kind
    height: int  # of the highest stack before a token


def derive(grammar: TokenGrammar, kinds: Iterable[str | None]) -> Derivation | None:
    """Return how the grammar writes a sentence of these kinds, end token included; None if it cannot.

    The height of stacks is not limited here.
    """
    stack = [grammar.start]
    steps: list[tuple[str, str]] = []
    height = 0
    for kind in kinds:
        if not stack or kind is None:
            return None
        height = max(height, len(stack))
        symbol = stack.pop()
        replacement = grammar.rules[symbol].get(kind)
        if replacement is None:
            return None
        steps.append((symbol, kind))
        stack.extend(reversed(replacement))
    return None if stack else Derivation(steps=steps, height=height)
