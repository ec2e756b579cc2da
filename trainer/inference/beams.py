"""Beam search, as transformers' `generate` does it with a length penalty of 1 and without early stopping.

The same sequences in the same order, but a sample leaves the batch as soon as none of its beams can still improve, and
the beams of a sample share the encoding of its picture.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.trainer.inference.constraint import FORBIDDEN, ConstraintState
from latexify.trainer.inference.runtime import C, Floats, Ints, TokenDecoder
from latexify.trainer.inference.search import Hypothesis, Search, is_loop_check_due, loop_start

NEVER = np.float32(FORBIDDEN)
"""Score of what must not be chosen."""


def beam_search(decoder: TokenDecoder[C], encoded: Any, search: Search) -> list[list[Hypothesis]]:
    """Keep the `num_beams` most likely beginnings at every step.

    Return the `num_best` best hypotheses of each sample by mean log-probability, best first. There are fewer only where
    the vocabulary is too small. encoded: pictures, floating [samples, ...], from the decoder's runtime.
    """
    scorer = decoder.scorer(search.penalties)
    batch = _BeamBatch(len(encoded), search)
    cache = decoder.start(encoded)
    while batch.is_growing:
        logits = decoder.step(cache, batch.tokens)
        vocabulary = logits.shape[1]
        # twice as many as there are beams: enough of them continue even if all beams end here
        count = min(2 * search.num_beams, batch.sums.shape[1] * vocabulary)
        sums, choice = scorer.best_extensions(logits, batch.constraint.cases(), sums=batch.sums, count=count)
        batch.extend(sums, beams=choice // vocabulary, tokens=choice % vocabulary)
        kept = batch.drop_finished()
        if kept is not None:
            cache.keep_samples(kept, rows=batch.parents)
        elif batch.has_moved:
            cache.keep_rows(batch.parents)
    return batch.hypotheses()


class _BeamBatch:
    """The beams of a batch while they grow.

    Arrays whose first dimension is samples hold those still in the batch; `_results` has the hypotheses of the others.
    """

    def __init__(self, num_samples: int, search: Search) -> None:
        self._search = search
        beams = search.num_beams
        self._samples = np.arange(num_samples)
        self._results: dict[int, list[Hypothesis]] = {}
        self._length = 0
        # beams that may grow, with the sums of their log-probabilities
        self._running = np.full((num_samples, beams, search.max_tokens), search.end_id)
        self.sums = np.zeros((num_samples, 1), np.float32)  # at first all beams are equal, so one is enough
        # the best that have ended, with their mean log-probabilities
        self._ended = self._running.copy()
        self._means = np.full((num_samples, beams), NEVER)
        self._is_ended = np.zeros((num_samples, beams), np.bool_)
        self._parents = np.zeros((num_samples, beams), np.int64)
        self._num_rows_before = 0
        self.constraint = ConstraintState(search.constraint, num_samples, search.max_tokens)

    @property
    def is_growing(self) -> bool:
        return len(self._samples) > 0

    @property
    def tokens(self) -> Ints:
        """The last token of every row, [rows]."""
        if self._length == 0:
            return np.full(len(self._samples), self._search.start_id)
        return self._running[:, :, self._length - 1].ravel()

    @property
    def parents(self) -> Ints:
        """The row of the previous step that each row continues, [rows]."""
        return self._parents.ravel()

    @property
    def has_moved(self) -> bool:
        """Whether any row continues another one than itself."""
        return not np.array_equal(self.parents, np.arange(self._num_rows_before))

    def extend(self, sums: Floats, *, beams: Ints, tokens: Ints) -> None:
        """Append tokens to beams and keep the best.

        For each extension, best first: its log-probability, the beam it extends and the token it appends, all of them
        [samples, extensions].
        """
        samples, rows_of_sample = self.sums.shape
        self._num_rows_before = samples * rows_of_sample
        grown = _take(self._running, beams)
        grown[:, :, self._length] = tokens
        self._length += 1
        ends = (tokens == self._search.end_id) | (self._length == self._search.max_tokens)
        self._add_ended(grown, sums, ends)
        self.sums, best = _top(sums + np.where(ends, NEVER, np.float32(0)), self._search.num_beams)
        self._running = _take(grown, best)
        self._parents = np.arange(samples)[:, None] * rows_of_sample + np.take_along_axis(beams, best, axis=1)
        self.constraint.append(self.tokens, parents=self.parents)

    def _add_ended(self, grown: Ints, sums: Floats, ends: npt.NDArray[np.bool_]) -> None:
        """Merge beams that end here, if they are among the best extensions, into the best that have ended."""
        is_best = np.arange(ends.shape[1]) < self._search.num_beams
        is_new = ends & is_best & (sums > NEVER / 2)  # where little is allowed, the best may include what is forbidden
        means = sums / np.float32(self._length) + np.where(is_new, np.float32(0), NEVER)
        self._means, best = _top(np.concatenate([self._means, means], axis=1), self._search.num_beams)
        self._ended = _take(np.concatenate([self._ended, grown], axis=1), best)
        self._is_ended = np.take_along_axis(np.concatenate([self._is_ended, is_new], axis=1), best, axis=1)

    def drop_finished(self) -> Ints | None:
        """Drop samples that are done; return the indices kept, or None for all. `parents` follow."""
        worst = np.where(self._is_ended, self._means.min(axis=1, keepdims=True), NEVER)
        best = self.sums[:, :1]
        can_improve = (best / np.float32(self._length) > worst).any(axis=1) & (best[:, 0] > NEVER / 2)
        going = can_improve & (self._length < self._search.max_tokens)
        if self._search.stop_loops and is_loop_check_due(self._length):
            self._stop_loops(going)
        if going.all():
            return None
        for i in np.flatnonzero(~going):
            self._results.setdefault(int(self._samples[i]), self._hypotheses(int(i)))
        kept = np.flatnonzero(going)
        self._samples, self._parents = self._samples[kept], self._parents[kept]
        self._running, self.sums, self._ended = self._running[kept], self.sums[kept], self._ended[kept]
        self._means, self._is_ended = self._means[kept], self._is_ended[kept]
        self.constraint.keep(kept[:, None] * self._search.num_beams + np.arange(self._search.num_beams))
        return kept

    def _stop_loops(self, going: npt.NDArray[np.bool_]) -> None:
        """Clear `going` where the best beam repeats itself; it is the result where no beam has ended."""
        for i in np.flatnonzero(going):
            ids = self._running[i, 0, : self._length].tolist()
            start = loop_start(ids)
            if start is None:
                continue
            going[i] = False
            if not self._is_ended[i].any():
                confidence = math.exp(float(self.sums[i, 0]) / self._length)
                looped = Hypothesis(ids=self._search.repair(ids[:start]), confidence=confidence, finished=False)
                self._results[int(self._samples[i])] = [looped]

    def _hypotheses(self, i: int) -> list[Hypothesis]:
        """Return the ended beams of a sample, best first."""
        results: list[Hypothesis] = []
        for ids, mean in zip(self._ended[i].tolist(), self._means[i].tolist(), strict=True):
            if mean <= NEVER / 2 or len(results) == self._search.num_best:
                break
            sequence = ids[: self._length]
            has_end = self._search.end_id in sequence
            end = sequence.index(self._search.end_id) if has_end else self._length
            finished = has_end and self._search.is_finished(end + 1)
            results.append(Hypothesis(ids=sequence[:end], confidence=min(1.0, math.exp(mean)), finished=finished))
        return results

    def hypotheses(self) -> list[list[Hypothesis]]:
        """Return the hypotheses of every sample, in the order given."""
        return [self._results[sample] for sample in sorted(self._results)]


def _take(beams: Ints, chosen: Ints) -> Ints:
    """Take the chosen beams of each sample. beams: [samples, beams, length]; chosen: [samples, chosen]."""
    return beams[np.arange(len(beams))[:, None], chosen]


def _top(values: Floats, count: int) -> tuple[Floats, Ints]:
    """Return the `count` largest of each row, largest first, and their indices."""
    chosen = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, chosen, axis=1), chosen
