"""Search that keeps to a grammar: at every step only tokens are allowed that still lead to one of its sentences.

What is still to come is a stack of symbols; the kind of the next token says which symbols take the place of the topmost
(a simple grammar, Korenjak & Hopcroft 1966). So what may follow depends on the topmost symbol, on the room that is left
and on whether the stack is full. Those are few cases: each has its row in a table over the vocabulary, made once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

FORBIDDEN = -1e9
"""Added to what may not be chosen; finite, so that sums stay numbers."""

MAX_SYMBOLS = 32
"""Of a stack: one for each level of nesting, two where an argument is still to come (CROHME has seven levels)."""

Stack: TypeAlias = tuple[int, "Stack", int, int] | None
"""What is to come: the topmost symbol, the stack below it, the fewest tokens that complete it, its number of symbols.

None where the sentence is complete. A bare tuple, for one is made for nearly every token of every row.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """A language over kinds of tokens.

    rules: for each symbol, what takes its place when a token of a kind is read, the first to come first; kinds that are
    missing may not be read there. start: what a sentence is. kinds: of every token id, None for those that no sentence
    has. closers: of the symbols that may be left without saying more, the kind that leaves them.
    """

    rules: Mapping[str, Mapping[str, tuple[str, ...]]]
    start: str
    kinds: Sequence[str | None]
    closers: Mapping[str, str]


class Constraint:
    """A grammar, ready to search with. Does not change: searches may share it."""

    def __init__(self, grammar: Grammar) -> None:
        """Make the tables. Raises ValueError where the tokens make up no sentence at all."""
        tokens_of: dict[str, int] = {}
        for token, kind in enumerate(grammar.kinds):
            if kind is not None:
                tokens_of.setdefault(kind, token)
        kinds = list(tokens_of)
        costs = _fewest_tokens(grammar.rules, kinds)
        if math.isinf(costs[grammar.start]):
            raise ValueError("no sentence can be made of these tokens")
        # what cannot be completed with these tokens is never begun
        symbols = [symbol for symbol, cost in costs.items() if not math.isinf(cost)]
        number = {symbol: place for place, symbol in enumerate(symbols)}
        self._costs = [int(costs[symbol]) for symbol in symbols]
        self._places: list[list[tuple[int, ...] | None]] = []  # of each symbol and kind, the last to come first
        for symbol in symbols:
            rules = grammar.rules[symbol]
            ways = [rules[kind] if kind in rules and number.keys() >= set(rules[kind]) else None for kind in kinds]
            self._places.append([None if way is None else tuple(number[s] for s in reversed(way)) for way in ways])
            self._places[-1].append(None)  # for tokens that no sentence has
        self._kind_of = [len(kinds) if kind is None else kinds.index(kind) for kind in grammar.kinds]
        self._closers = [tokens_of.get(grammar.closers.get(symbol, "")) for symbol in symbols]
        self.start: Stack = self._push(None, (number[grammar.start],))
        excess = [
            [None if new is None else 1 + sum(self._costs[s] for s in new) - self._costs[symbol] for new in places]
            for symbol, places in enumerate(self._places)
        ]
        self._num_rooms = 1 + max(extra for row in excess for extra in row if extra is not None)
        self._table = self._make_table(excess)

    @property
    def table(self) -> torch.Tensor:
        """What is added to logits, float32 [cases, vocabulary]: 0 or FORBIDDEN. Row 0 allows everything."""
        return self._table

    def _make_table(self, excess: list[list[int | None]]) -> torch.Tensor:
        """excess: of each symbol and kind, how many more tokens that way takes than the shortest."""
        rows = [[True] * len(self._kind_of)]
        for places, extras in zip(self._places, excess, strict=True):
            for is_full in (False, True):
                for room in range(self._num_rooms):
                    allowed = [
                        # the shortest way is always open, so that no search gets stuck
                        extra is not None and extra <= room and (not is_full or extra == 0 or len(new or ()) <= 1)
                        for new, extra in zip(places, extras, strict=True)
                    ]
                    rows.append([allowed[kind] for kind in self._kind_of])
        return torch.where(torch.tensor(rows), 0.0, FORBIDDEN)

    def case_of(self, stack: Stack, room: int) -> int:
        """The row of `table` for the next token. room: tokens that may still be written, the end included."""
        if stack is None:
            return 0
        symbol, _, cost, size = stack
        spare = max(0, min(room - cost, self._num_rooms - 1))
        return 1 + (2 * symbol + (size >= MAX_SYMBOLS)) * self._num_rooms + spare

    def after(self, stack: Stack, token: int) -> Stack:
        """What is to come behind a token; None (all is said) also behind one that is not allowed."""
        if stack is None:
            return None
        symbol = stack[0]
        new = self._places[symbol][self._kind_of[token]]
        if new is None:
            return None
        # most tokens change nothing
        return stack if len(new) == 1 and new[0] == symbol else self._push(stack[1], new)

    def _push(self, stack: Stack, symbols: tuple[int, ...]) -> Stack:
        for symbol in symbols:
            cost, size = (0, 0) if stack is None else stack[2:]
            stack = (symbol, stack, cost + self._costs[symbol], size + 1)
        return stack

    def closed(self, ids: Sequence[int]) -> list[int]:
        """A sentence (without its end token) of a beginning of one that was cut off.

        What is open is closed, but nothing is made up: where an argument has not begun yet, its command goes.
        """
        stack, best = self.start, 0
        closers: list[int] = []
        for length in range(len(ids) + 1):
            found = self._closers_of(stack)
            if found is not None:
                best, closers = length, found
            if length < len(ids):
                stack = self.after(stack, ids[length])
        return [*ids[:best], *closers]

    def _closers_of(self, stack: Stack) -> list[int] | None:
        """The tokens that close all that is open, the end left out; None where they are not enough."""
        closers: list[int] = []
        while stack is not None:
            symbol, stack, *_ = stack
            closer = self._closers[symbol]
            if closer is None:
                return None
            closers.append(closer)
        return closers[:-1] if closers else None


def _fewest_tokens(rules: Mapping[str, Mapping[str, tuple[str, ...]]], kinds: Sequence[str]) -> dict[str, float]:
    """How many tokens of these kinds complete each symbol, at least; infinite where none can."""
    costs = dict.fromkeys(rules, math.inf)
    changed = True
    while changed:
        changed = False
        for symbol, ways in rules.items():
            cost = min((1 + sum(costs[s] for s in ways[kind]) for kind in kinds if kind in ways), default=math.inf)
            if cost < costs[symbol]:
                costs[symbol], changed = cost, True
    return costs


class Followed:
    """How far each row of a search has come in its sentence."""

    def __init__(self, constraint: Constraint, num_rows: int, *, max_tokens: int, device: torch.device) -> None:
        self._constraint = constraint
        self._table = constraint.table.to(device)
        self._stacks: list[Stack] = [constraint.start] * num_rows
        self._room = max_tokens

    def penalties(self) -> torch.Tensor:
        """What is added to the logits of the next step: float32 [rows, vocabulary], 0 or FORBIDDEN."""
        case_of, room = self._constraint.case_of, self._room
        cases = [case_of(stack, room) for stack in self._stacks]
        return self._table.index_select(0, torch.tensor(cases, device=self._table.device))

    def append(self, tokens: Sequence[int], *, parents: Sequence[int] | None = None) -> None:
        """Go on by a token for each row. parents: the row of before that each goes on from; None: each from itself."""
        after, stacks = self._constraint.after, self._stacks
        if parents is not None:
            stacks = [stacks[parent] for parent in parents]
        self._stacks = [after(stack, token) for stack, token in zip(stacks, tokens, strict=True)]
        self._room -= 1

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._stacks = [self._stacks[row] for row in rows]
