"""Beam search, as transformers' `generate` does it with a length penalty of 1 and without early stopping.

The same sequences in the same order, but a sample leaves the batch as soon as none of its beams can improve on what it
has, and the beams of a sample share the keys and values of its picture.
"""

import math

import torch

from latexify.trainer.inference.backend import C, TokenDecoder
from latexify.trainer.inference.repetition import is_due, loop_start
from latexify.trainer.inference.search import Hypothesis, Search

NEVER = -1e9
"""The score of what must not be chosen; finite, as in transformers, so that sums stay numbers."""


def beam_search(decoder: TokenDecoder[C], memory: torch.Tensor, search: Search) -> list[list[Hypothesis]]:
    """Keep the `num_beams` likeliest beginnings at every step; return the `num_best` best by mean log-probability.

    memory: floating [samples, cells, size]. Fewer than `num_best` come back only where the vocabulary is too small.
    """
    run = _BeamRun(len(memory), search, device=memory.device)
    cache = decoder.start(memory)
    while run.going:
        run.extend(decoder.step(cache, run.tokens))
        kept = run.drop_finished()
        if kept is not None:
            cache.keep_samples(kept, rows=run.parents)
        elif run.has_moved:
            cache.keep_rows(run.parents)
    return run.hypotheses()


class _BeamRun:
    """The beams of a batch while they grow.

    Tensors with a first dimension of samples hold those still in the batch; `_found` collects the others.
    """

    def __init__(self, num_samples: int, search: Search, *, device: torch.device) -> None:
        self._search, self._device = search, device
        beams = search.num_beams
        shape = (num_samples, beams, search.max_tokens)
        self._samples = list(range(num_samples))
        self._found: dict[int, list[Hypothesis]] = {}
        self._length = 0
        # beams that may grow, with the sums of their log-probabilities
        self._running = torch.full(shape, search.end_id, device=device)
        self._sums = torch.zeros(num_samples, 1, device=device)  # at first all beams are the same: one will do
        # the best that have ended, with their mean log-probabilities
        self._ended = self._running.clone()
        self._means = torch.full((num_samples, beams), NEVER, device=device)
        self._is_ended = torch.zeros(num_samples, beams, dtype=torch.bool, device=device)
        self._parents = torch.zeros(num_samples, beams, dtype=torch.int64, device=device)
        self._num_rows_before = 0
        self._followed = search.follow(num_samples, device=device)

    @property
    def going(self) -> bool:
        """Whether a sample is left that may improve."""
        return len(self._samples) > 0

    @property
    def tokens(self) -> torch.Tensor:
        """The last token of every row: int64 [rows]."""
        if self._length == 0:
            return torch.full((len(self._samples),), self._search.start_id, device=self._device)
        return self._running[:, :, self._length - 1].flatten()

    @property
    def parents(self) -> torch.Tensor:
        """The row of the step before that each row goes on from: int64 [rows]."""
        return self._parents.flatten()

    @property
    def has_moved(self) -> bool:
        """Whether a row does not go on from itself."""
        num_rows = self._parents.numel()
        in_order = torch.arange(num_rows, device=self._device)
        return num_rows != self._num_rows_before or not torch.equal(self.parents, in_order)

    def extend(self, logits: torch.Tensor) -> None:
        """Grow every beam by its likeliest tokens and keep the best. logits: float32 [rows, vocabulary]."""
        beams, samples = self._search.num_beams, len(self._samples)
        self._num_rows_before, vocabulary = logits.shape
        grades = logits.log_softmax(dim=-1)
        if self._followed is not None:
            grades += self._followed.penalties()
        sums = (grades.view(samples, -1, vocabulary) + self._sums[:, :, None]).flatten(1)
        # twice as many as there are beams: enough of them go on even if all beams end here
        sums, choice = sums.topk(min(2 * beams, sums.shape[1]), dim=1)
        parents, tokens = choice // vocabulary, choice % vocabulary
        grown = _rows(self._running, parents)
        grown[:, :, self._length] = tokens
        self._length += 1
        ends = (tokens == self._search.end_id) | (self._length == self._search.max_tokens)
        self._add_ended(grown, sums, ends)
        self._sums, best = (sums + ends * NEVER).topk(beams, dim=1)
        self._running = _rows(grown, best)
        first_rows = torch.arange(samples, device=self._device)[:, None] * (len(logits) // samples)
        self._parents = first_rows + parents.gather(1, best)
        if self._followed is not None:
            self._followed.append(self.tokens.tolist(), parents=self.parents.tolist())

    def _add_ended(self, grown: torch.Tensor, sums: torch.Tensor, ends: torch.Tensor) -> None:
        """Merge the beams that end here into the best of those that have ended, if they are among the best grown."""
        beams = self._search.num_beams
        among_best = torch.arange(ends.shape[1], device=self._device) < beams
        is_new = ends & among_best & (sums > NEVER / 2)  # where little is allowed, the best may hold what is not
        means = torch.cat([self._means, sums / self._length + ~is_new * NEVER], dim=1)
        self._means, best = means.topk(beams, dim=1)
        self._ended = _rows(torch.cat([self._ended, grown], dim=1), best)
        self._is_ended = torch.cat([self._is_ended, is_new], dim=1).gather(1, best)

    def drop_finished(self) -> torch.Tensor | None:
        """Leave out samples that are done: the places kept (int64), or None for all. `parents` follow."""
        worst = torch.where(self._is_ended, self._means.min(dim=1, keepdim=True).values, NEVER)
        improvable = (self._sums[:, :1] / self._length > worst).any(dim=1) & (self._sums[:, 0] > NEVER / 2)
        going = improvable & (self._length < self._search.max_tokens)
        if self._search.stop_loops and is_due(self._length):
            self._stop_loops(going)
        if bool(going.all()):
            return None
        for place in (~going).nonzero()[:, 0].tolist():
            self._found.setdefault(self._samples[place], self._hypotheses(place))
        kept = going.nonzero()[:, 0]
        self._samples = [self._samples[place] for place in kept.tolist()]
        self._running, self._sums, self._ended = self._running[kept], self._sums[kept], self._ended[kept]
        self._means, self._is_ended, self._parents = self._means[kept], self._is_ended[kept], self._parents[kept]
        if self._followed is not None:
            beams = self._search.num_beams
            self._followed.keep([place * beams + beam for place in kept.tolist() for beam in range(beams)])
        return kept

    def _stop_loops(self, going: torch.Tensor) -> None:
        """Clear `going` where the best beam repeats itself; it is the answer where no beam has ended."""
        best = self._running[:, 0, : self._length].tolist()
        sums = self._sums[:, 0].tolist()
        any_ended = self._is_ended.any(dim=1).tolist()
        for place, is_going in enumerate(going.tolist()):
            start = loop_start(best[place]) if is_going else None
            if start is None:
                continue
            going[place] = False
            if not any_ended[place]:
                confidence = math.exp(sums[place] / self._length)
                kept = self._search.mended(best[place][:start])
                looped = Hypothesis(ids=kept, confidence=confidence, finished=False)
                self._found[self._samples[place]] = [looped]

    def _hypotheses(self, place: int) -> list[Hypothesis]:
        """What a sample has found, best first."""
        found: list[Hypothesis] = []
        for ids, mean in zip(self._ended[place].tolist(), self._means[place].tolist(), strict=True):
            if mean <= NEVER / 2 or len(found) == self._search.num_best:
                break
            sequence = ids[: self._length]
            has_end = self._search.end_id in sequence
            end = sequence.index(self._search.end_id) if has_end else self._length
            finished = has_end and self._search.is_finished(end + 1)
            found.append(Hypothesis(ids=sequence[:end], confidence=min(1.0, math.exp(mean)), finished=finished))
        return found

    def hypotheses(self) -> list[list[Hypothesis]]:
        """What every sample has found, in the order given."""
        return [self._found[sample] for sample in sorted(self._found)]


def _rows(beams: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The chosen beams of each sample. beams: [samples, beams, length]; chosen: int64 [samples, chosen]."""
    return beams.gather(1, chosen[:, :, None].expand(-1, -1, beams.shape[2]))
