"""From what the encoder sees to token ids: greedy search, and what both searches return."""

import math
from dataclasses import dataclass

import torch

from latexify.trainer.inference.backend import C, TokenDecoder
from latexify.trainer.inference.constraint import Constraint, Followed
from latexify.trainer.inference.repetition import is_due, loop_start

DROP_SHARE = 0.25
"""Finished samples leave the batch once they are so large a share of it: copying the others costs about two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One way to read a picture.

    ids: without start, end and padding. confidence: 0 to 1, the geometric mean of the probabilities of the chosen
    tokens, end token included, so that long formulas are not punished for their length; the model's own probabilities,
    also under a constraint. finished: False where the limit was reached before the end token, or the tokens went round
    in circles; under a constraint also where the end token is the last there was room for.
    """

    ids: list[int]
    confidence: float
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to search for.

    start_id, end_id: tokens that every sequence begins with and ends with. max_tokens: at most so many are generated,
    the end token included. num_beams: 1 is greedy. num_best: hypotheses to return of each, at most num_beams.
    stop_loops: cut off sequences that repeat themselves. constraint: only its sentences are found, also where one was
    cut off.
    """

    start_id: int
    end_id: int
    max_tokens: int
    num_beams: int = 1
    num_best: int = 1
    stop_loops: bool = True
    constraint: Constraint | None = None

    def follow(self, num_rows: int, *, device: torch.device) -> Followed | None:
        """What keeps the rows of a search to the constraint, if there is one."""
        if self.constraint is None:
            return None
        return Followed(self.constraint, num_rows, max_tokens=self.max_tokens, device=device)

    def is_finished(self, num_tokens: int) -> bool:
        """Whether a sequence with an end token ended of itself: a constraint also ends it for lack of room."""
        return self.constraint is None or num_tokens < self.max_tokens

    def mended(self, ids: list[int]) -> list[int]:
        """What is left of a sequence that was cut off: a sentence where there is a constraint, else the same."""
        return ids if self.constraint is None else self.constraint.closed(ids)


def greedy_search(decoder: TokenDecoder[C], memory: torch.Tensor, search: Search) -> list[list[Hypothesis]]:
    """Take the likeliest token at every step. memory: floating [samples, cells, size]; one hypothesis of each."""
    run = _GreedyRun(len(memory), search, device=memory.device)
    cache = decoder.start(memory)
    while run.going:
        run.extend(decoder.step(cache, run.tokens))
        kept = run.drop_finished()
        if kept is not None:
            cache.keep_samples(kept, rows=kept)
    return run.hypotheses()


class _GreedyRun:
    """The sequences of a batch while they grow. `_rows` says which samples are still in the batch."""

    def __init__(self, num_samples: int, search: Search, *, device: torch.device) -> None:
        self._search = search
        self._rows = torch.arange(num_samples, device=device)
        self._alive = torch.ones(num_samples, dtype=torch.bool, device=device)  # of `_rows`
        self._ids = torch.full((num_samples, search.max_tokens), search.end_id, device=device)
        self._log_probabilities = torch.zeros(num_samples, search.max_tokens, device=device)
        self._cut = torch.full((num_samples,), search.max_tokens, device=device)  # where a loop ends the sequence
        self._length = 0
        self._followed = search.follow(num_samples, device=device)
        self.tokens = torch.full((num_samples,), search.start_id, device=device)

    @property
    def going(self) -> bool:
        """Whether a sequence is left that may grow."""
        return len(self._rows) > 0 and self._length < self._search.max_tokens

    def extend(self, logits: torch.Tensor) -> None:
        """Append the likeliest token, of those allowed, to each."""
        allowed = logits if self._followed is None else logits + self._followed.penalties()
        best, self.tokens = allowed.max(dim=-1)  # `best` is the token's own logit: the penalty of what is allowed is 0
        self._ids[self._rows, self._length] = self.tokens
        self._log_probabilities[self._rows, self._length] = best - logits.logsumexp(dim=-1)
        self._length += 1
        if self._followed is not None:
            self._followed.append(self.tokens.tolist())
        self._alive &= self.tokens != self._search.end_id
        if self._search.stop_loops and is_due(self._length):
            self._stop_loops()

    def _stop_loops(self) -> None:
        sequences = self._ids[self._rows, : self._length].tolist()
        alive = self._alive.tolist()
        for place, sequence in enumerate(sequences):
            start = loop_start(sequence) if alive[place] else None
            if start is not None:
                self._alive[place] = False
                self._cut[self._rows[place]] = start

    def drop_finished(self) -> torch.Tensor | None:
        """Leave out what is finished, if it is enough to be worth it: the places kept (int64), or None for all."""
        num_alive = int(self._alive.sum())
        if len(self._rows) - num_alive <= DROP_SHARE * len(self._rows) and num_alive:
            return None
        kept = self._alive.nonzero()[:, 0]
        self._rows, self._alive, self.tokens = self._rows[kept], self._alive[kept], self.tokens[kept]
        if self._followed is not None:
            self._followed.keep(kept.tolist())
        return kept

    def hypotheses(self) -> list[list[Hypothesis]]:
        """What every sample has found, in the order given."""
        found, search = [], self._search
        sums = self._log_probabilities.cumsum(dim=1).tolist()
        for ids, total, cut in zip(self._ids.tolist(), sums, self._cut.tolist(), strict=True):
            end = ids.index(search.end_id) if search.end_id in ids[:cut] else cut
            count = min(end + 1, cut)
            confidence = min(1.0, math.exp(total[count - 1] / count))
            if end < cut:
                hypothesis = Hypothesis(ids=ids[:end], confidence=confidence, finished=search.is_finished(count))
            else:
                hypothesis = Hypothesis(ids=search.mended(ids[:cut]), confidence=confidence, finished=False)
            found.append([hypothesis])
        return found
