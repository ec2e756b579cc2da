"""Greedy search, and what it shares with beam search: settings, hypotheses and the detection of repetition."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latexify.trainer.inference.constraint import Constraint, ConstraintState
from latexify.trainer.inference.runtime import C, Floats, Ints, TokenDecoder

DROP_FRACTION = 0.25
"""Finished samples leave the batch once they exceed this fraction of it: copying the others costs about two steps."""
LOOP_TOKENS = 48
"""A sequence loops if this many tokens at its end repeat with a short period."""
MAX_PERIOD = 12
"""Longest period of a loop: four rounds of it are `LOOP_TOKENS`."""
LOOP_CHECK_STEPS = 16
"""Steps between two checks for loops; they fall on the same steps whatever the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One token sequence for a picture.

    Attributes:
        ids: Token ids without start, end and padding.
        confidence: 0 to 1, the geometric mean of the probabilities of the tokens, end token included, so that long
            formulas are not penalised. They are the model's own probabilities, also under a constraint. Of a sequence
            that was closed where the model wanted to end, the token counts that it would have had to write instead.
        finished: False if the length limit was reached before the end token or the tokens looped; under a constraint
            also if the end token was the last one that fitted.
    """

    ids: list[int]
    confidence: float
    finished: bool

    @property
    def probability(self) -> float:
        """The probability of the whole sequence: the product over its tokens; 0 if it is not finished."""
        return self.confidence ** (len(self.ids) + 1) if self.finished else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Settings of a search."""

    start_id: int  # every sequence begins with it
    end_id: int  # every sequence ends with it
    max_tokens: int  # most tokens to generate, end token included
    num_beams: int = 1  # beam width; 1 is greedy search
    num_best: int = 1  # hypotheses to return for each sample, at most `num_beams`
    stop_loops: bool = True  # cut sequences off that repeat themselves
    constraint: Constraint | None = None  # return only its sentences, also where a sequence was cut off

    @property
    def penalties(self) -> Floats | None:
        """Table of the constraint."""
        return None if self.constraint is None else self.constraint.table

    def is_finished(self, num_tokens: int) -> bool:
        """Whether a sequence with an end token ended by itself: a constraint also ends it at the length limit."""
        return self.constraint is None or num_tokens < self.max_tokens

    def repair(self, ids: list[int]) -> list[int]:
        """Turn a sequence that was cut off into a sentence of the constraint, if there is one."""
        return ids if self.constraint is None else self.constraint.close(ids)


def is_loop_check_due(length: int) -> bool:
    """Whether sequences of this length are checked for loops."""
    return length >= LOOP_TOKENS and length % LOOP_CHECK_STEPS == 0


def loop_start(ids: Sequence[int]) -> int | None:
    """Return where the second round of a loop at the end begins, so that `ids[:start]` has one; None without a loop."""
    length = len(ids)
    for period in range(1, MAX_PERIOD + 1):
        start = length
        while start > period and ids[start - 1] == ids[start - 1 - period]:
            start -= 1
        if length - start + period >= LOOP_TOKENS:
            return start
    return None


def greedy_search(decoder: TokenDecoder[C], encoded: Any, search: Search) -> list[list[Hypothesis]]:
    """Take the most likely token at every step; return one hypothesis for each sample.

    Where the most likely token is the end token and the constraint forbids it, the sequence is cut off there.

    encoded: pictures, floating [samples, ...], from the decoder's runtime.
    """
    scorer = decoder.scorer(search.penalties)
    batch = _GreedyBatch(len(encoded), search)
    cache = decoder.start(encoded)
    while batch.is_growing:
        logits = decoder.step(cache, batch.tokens)
        batch.extend(*scorer.best_tokens(logits, batch.constraint.cases()))
        kept = batch.drop_finished()
        if kept is not None:
            cache.keep_samples(kept, rows=kept)
    return batch.hypotheses()


class _GreedyBatch:
    """The sequences of a batch while they grow. `_rows` are the samples that are still in the batch."""

    def __init__(self, num_samples: int, search: Search) -> None:
        self._search = search
        self._rows = np.arange(num_samples)
        self._alive = np.ones(num_samples, np.bool_)  # for each of `_rows`
        self._ids = np.full((num_samples, search.max_tokens), search.end_id)
        self._log_probabilities = np.zeros((num_samples, search.max_tokens), np.float32)
        self._cut = np.full(num_samples, search.max_tokens)  # where a sequence ends that is cut off
        self._is_stuck = np.zeros(num_samples, np.bool_)  # whether it wanted to end there, but might not
        self._length = 0
        self.constraint = ConstraintState(search.constraint, num_samples, search.max_tokens)
        self.tokens: Ints = np.full(num_samples, search.start_id)

    @property
    def is_growing(self) -> bool:
        return len(self._rows) > 0 and self._length < self._search.max_tokens

    def extend(self, tokens: Ints, log_probabilities: Floats, favourites: Ints) -> None:
        """Append a token to each sequence. favourites: the tokens that would be appended without the constraint."""
        end_id = self._search.end_id
        # A model that may not end where it wants to has nothing left to write: it would go on for hundreds of tokens.
        is_stuck = self._alive & (favourites == end_id) & (tokens != end_id)
        self._cut[self._rows[is_stuck]] = self._length
        self._is_stuck[self._rows[is_stuck]] = True
        self._alive &= ~is_stuck
        self.tokens = tokens
        self._ids[self._rows, self._length] = tokens
        self._log_probabilities[self._rows, self._length] = log_probabilities
        self._length += 1
        self.constraint.append(tokens)
        self._alive &= tokens != end_id
        if self._search.stop_loops and is_loop_check_due(self._length):
            self._stop_loops()

    def _stop_loops(self) -> None:
        sequences = self._ids[self._rows, : self._length].tolist()
        for i in np.flatnonzero(self._alive):
            start = loop_start(sequences[i])
            if start is not None:
                self._alive[i] = False
                self._cut[self._rows[i]] = start

    def drop_finished(self) -> Ints | None:
        """Drop finished sequences if they are enough to be worth it; return the indices kept, or None for all."""
        num_alive = int(self._alive.sum())
        if len(self._rows) - num_alive <= DROP_FRACTION * len(self._rows) and num_alive:
            return None
        kept = np.flatnonzero(self._alive)
        self._rows, self._alive, self.tokens = self._rows[kept], self._alive[kept], self.tokens[kept]
        self.constraint.keep(kept)
        return kept

    def hypotheses(self) -> list[list[Hypothesis]]:
        """Return the hypothesis of every sample, in the order given."""
        search = self._search
        sums = self._log_probabilities.cumsum(axis=1, dtype=np.float64).astype(np.float32).tolist()
        results = []
        facts = zip(self._ids.tolist(), sums, self._cut.tolist(), self._is_stuck.tolist(), strict=True)
        for ids, total, cut, is_stuck in facts:
            end = ids.index(search.end_id) if search.end_id in ids[:cut] else cut
            is_ended = end < cut
            count = end + 1 if is_ended or is_stuck else cut
            hypothesis = Hypothesis(
                ids=ids[:end] if is_ended else search.repair(ids[:cut]),
                confidence=min(1.0, math.exp(total[count - 1] / count)),
                finished=(is_ended or is_stuck) and search.is_finished(count),
            )
            results.append([hypothesis])
        return results
