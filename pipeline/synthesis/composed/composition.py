"""One composed ink: from a number to InkML, by a bank of glyphs and a source of labels."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import numpy as np

from latexify.common.errors import LatexifyError
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.boxed import BoxedFormula, fill_boxes
from latexify.pipeline.synthesis.composed.habits import Habits
from latexify.pipeline.synthesis.composed.hand import Hand
from latexify.pipeline.synthesis.composed.labels import LabelSource
from latexify.pipeline.synthesis.composed.typesetting import typeset
from latexify.pipeline.synthesis.composed.writing import draw_page, inkml, strokes_of

LEAST_GLYPHS = 30
"""Who wrote fewer symbols than this lends them, but writes no ink of his own, unless nobody wrote more."""
_MOST_LABELS = 20
"""Shares that are tried for an ink before it is clear that there is nothing to write."""


@dataclass(frozen=True, slots=True)
class ComposedInk:
    """One ink. name: of the file, without folder. share: where its label is from."""

    name: str
    data: bytes
    share: str


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes composed inks: each depends on the seed and its number alone, whichever process makes it.

    label_annotation, writer_annotation: names under which ingest will look for them.
    """

    bank: Bank
    labels: LabelSource
    seed: int
    variation: float
    label_annotation: str
    writer_annotation: str
    refused: Counter[str] = field(default_factory=Counter)

    @cached_property
    def _authors(self) -> tuple[Sequence[int], Sequence[float]]:
        """Writers with enough symbols, and cumulative weights: who wrote much is seen more often, not in proportion."""
        counts = Counter(self.bank.writer.tolist())
        authors = [writer for writer, count in counts.items() if count >= LEAST_GLYPHS] or list(counts)
        authors.sort()
        return authors, list(itertools.accumulate(counts[writer] ** 0.5 for writer in authors))

    def ink(self, index: int) -> ComposedInk:
        """The ink of this number. Raises LatexifyError where no formula can be found that its symbols suffice for."""
        digest = hashlib.sha256(f"{self.seed}/composed/{index}".encode()).digest()
        rng = Random(digest)
        for _ in range(_MOST_LABELS):
            drawn = self.labels.draw(rng, self.refused)
            if drawn is not None:
                break
        else:
            raise LatexifyError(
                "no formula can be composed of the symbols at hand within composed.min_tokens to max_tokens, mostly "
                f"for: {', '.join(reason for reason, _ in self.refused.most_common(3))}; widen the limits, add symbols "
                "(composed.symbol_files), or change composed.label_mix"
            )
        authors, weights = self._authors
        author = rng.choices(authors, cum_weights=weights)[0]
        name = self.bank.writers[author]
        own = hashlib.sha256(f"{self.seed}/writer/{name.folder}/{name.name}".encode()).digest()
        habits = Habits(Random(own), rng, variation=self.variation)
        hand = Hand(self.bank, author, rng)
        layout = drawn.layout
        box = fill_boxes(layout, hand) if isinstance(layout, BoxedFormula) else typeset(layout, hand, habits)
        noise = np.random.default_rng(list(digest))
        page = draw_page(np.random.default_rng(list(own)), noise, variation=self.variation)
        points, lengths = strokes_of(box, page, noise)
        sample_id = digest.hex()[:16]
        annotations = {self.label_annotation: drawn.label, self.writer_annotation: name.name}
        return ComposedInk(sample_id, inkml(points, lengths, annotations, sample_id=sample_id), drawn.share)
