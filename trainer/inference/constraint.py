"""Search constrained by a grammar: at every step only tokens are allowed that still lead to one of its sentences.

What must still be written is a stack of symbols (`latexify.pipeline.grammar.token_grammar`). So what may follow depends
on the top symbol, on the number of tokens left and on whether the stack is full. These are few cases: each has a row in
a table over the vocabulary, which is computed once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from latexify.pipeline.grammar.token_grammar import TokenGrammar
from latexify.trainer.inference.runtime import Floats, Ints

FORBIDDEN = -1e9
"""Added to the logits of forbidden tokens; finite, so that sums stay numbers."""

Stack: TypeAlias = tuple[int, "Stack", int, int] | None
"""Top symbol, the stack below it, the fewest tokens that complete the stack, and its height.

None for a complete sentence. A bare tuple, because one is made for nearly every token of every row.
"""


class Constraint:
    """A grammar prepared for search. Immutable, so searches may share it."""

    table: Floats
    """Penalties that are added to logits, float32 [cases, vocabulary]: 0 or FORBIDDEN. Row 0 allows everything."""

    def __init__(self, grammar: TokenGrammar) -> None:
        """Build the tables. Raises ValueError if the tokens cannot form any sentence."""
        token_of_kind: dict[str, int] = {}
        for token, kind in enumerate(grammar.kinds):
            if kind is not None:
                token_of_kind.setdefault(kind, token)
        kinds = list(token_of_kind)
        costs = _fewest_tokens(grammar.rules, kinds)
        if math.isinf(costs[grammar.start]):
            raise ValueError("these tokens cannot form any sentence")
        # a symbol that these tokens cannot complete is never begun
        symbols = [symbol for symbol, cost in costs.items() if not math.isinf(cost)]
        number = {symbol: i for i, symbol in enumerate(symbols)}
        self._costs = [int(costs[symbol]) for symbol in symbols]
        # for each symbol and kind, the symbols that replace it, the last to be written first
        self._replacements: list[list[tuple[int, ...] | None]] = []
        for symbol in symbols:
            rules = grammar.rules[symbol]
            options = [rules[kind] if kind in rules and number.keys() >= set(rules[kind]) else None for kind in kinds]
            row = [None if option is None else tuple(number[s] for s in reversed(option)) for option in options]
            self._replacements.append([*row, None])  # None for tokens that no sentence contains
        number_of_kind = {kind: i for i, kind in enumerate(kinds)}
        self._kind_of_token = [len(kinds) if kind is None else number_of_kind[kind] for kind in grammar.kinds]
        self._max_symbols = grammar.max_symbols
        self._closing_tokens = [token_of_kind.get(grammar.closing_kinds.get(symbol, "")) for symbol in symbols]
        self.start: Stack = self._push(None, (number[grammar.start],))
        # for each symbol and kind, how many tokens more than the shortest completion it takes
        excess = [
            [None if new is None else 1 + sum(self._costs[s] for s in new) - self._costs[symbol] for new in row]
            for symbol, row in enumerate(self._replacements)
        ]
        self._num_rooms = 1 + max(extra for row in excess for extra in row if extra is not None)
        self.table = self._make_table(excess)

    def _make_table(self, excess: list[list[int | None]]) -> Floats:
        rows = [[True] * len(self._replacements[0])]  # the last kind is that of tokens that no sentence contains
        for replacements, extras in zip(self._replacements, excess, strict=True):
            for is_full in (False, True):
                for room in range(self._num_rooms):
                    allowed = [
                        # the shortest completion is always allowed, so that no search gets stuck
                        extra is not None and extra <= room and (not is_full or extra == 0 or len(new or ()) <= 1)
                        for new, extra in zip(replacements, extras, strict=True)
                    ]
                    rows.append(allowed)
        by_kind = np.where(np.array(rows), np.float32(0), np.float32(FORBIDDEN))
        table: Floats = by_kind.take(self._kind_of_token, axis=1)
        return table

    def case_of(self, stack: Stack, room: int) -> int:
        """Return the row of `table` for the next token. room: tokens that may still be written, end token included."""
        if stack is None:
            return 0
        symbol, _, cost, size = stack
        spare = max(0, min(room - cost, self._num_rooms - 1))
        return 1 + (2 * symbol + (size >= self._max_symbols)) * self._num_rooms + spare

    def after(self, stack: Stack, token: int) -> Stack:
        """Return the stack after a token; None (complete) also after a token that is not allowed."""
        if stack is None:
            return None
        symbol = stack[0]
        new = self._replacements[symbol][self._kind_of_token[token]]
        if new is None:
            return None
        # most tokens change nothing
        return stack if len(new) == 1 and new[0] == symbol else self._push(stack[1], new)

    def _push(self, stack: Stack, symbols: tuple[int, ...]) -> Stack:
        for symbol in symbols:
            cost, size = (0, 0) if stack is None else stack[2:]
            stack = (symbol, stack, cost + self._costs[symbol], size + 1)
        return stack

    def close(self, ids: Sequence[int]) -> list[int]:
        """Return a sentence, without its end token, from the beginning of one that was cut off.

        Everything open is closed, but nothing is invented: a command whose argument has not begun is dropped.
        """
        stack, best = self.start, 0
        best_closing: list[int] = []
        for length in range(len(ids) + 1):
            closing = self._closing_tokens_of(stack)
            if closing is not None:
                best, best_closing = length, closing
            if length < len(ids):
                stack = self.after(stack, ids[length])
        return [*ids[:best], *best_closing]

    def fit(self, ids: Sequence[int]) -> list[int]:
        """Return a sentence, without its end token: tokens that are not allowed are left out, the rest is closed."""
        stack, kept = self.start, list[int]()
        for token in ids:
            following = self.after(stack, token)
            if following is not None and following[3] <= self._max_symbols:
                stack = following
                kept.append(token)
        return self.close(kept)

    def _closing_tokens_of(self, stack: Stack) -> list[int] | None:
        """Return the tokens that close everything open, without the end token; None where content is missing."""
        closing: list[int] = []
        while stack is not None:
            symbol, stack, *_ = stack
            token = self._closing_tokens[symbol]
            if token is None:
                return None
            closing.append(token)
        return closing[:-1] if closing else None


def _fewest_tokens(rules: Mapping[str, Mapping[str, tuple[str, ...]]], kinds: Sequence[str]) -> dict[str, float]:
    """Return the minimum number of tokens of these kinds that complete each symbol; infinite where none do."""
    costs = dict.fromkeys(rules, math.inf)
    changed = True
    while changed:
        changed = False
        for symbol, options in rules.items():
            completions = (1 + sum(costs[s] for s in options[kind]) for kind in kinds if kind in options)
            cost = min(completions, default=math.inf)
            if cost < costs[symbol]:
                costs[symbol], changed = cost, True
    return costs


class ConstraintState:
    """The stack of each row of a search; without a constraint, nothing happens."""

    def __init__(self, constraint: Constraint | None, num_rows: int, max_tokens: int) -> None:
        self._constraint = constraint
        self._stacks: list[Stack] = [] if constraint is None else [constraint.start] * num_rows
        self._room = max_tokens

    def cases(self) -> list[int] | None:
        """Return the row of the constraint's table for the next token of each row."""
        if self._constraint is None:
            return None
        case_of, room = self._constraint.case_of, self._room
        return [case_of(stack, room) for stack in self._stacks]

    def append(self, tokens: Ints, *, parents: Ints | None = None) -> None:
        """Append a token to each row. parents: the previous row that each continues; None if each continues itself."""
        if self._constraint is None:
            return
        if parents is not None:
            self.keep(parents)
        after = self._constraint.after
        self._stacks = [after(stack, token) for stack, token in zip(self._stacks, tokens.tolist(), strict=True)]
        self._room -= 1

    def keep(self, rows: Ints) -> None:
        """Keep these rows only."""
        if self._constraint is not None:
            self._stacks = [self._stacks[row] for row in rows.ravel().tolist()]
