"""One composed ink: from a number to InkML, by a bank of glyphs and a source of labels."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import NamedTuple

import numpy as np

from latexify.common.errors import LatexifyError
from latexify.pipeline.inkml.writer import COMPACT, inkml
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.boxed import BoxedFormula, fill_boxes
from latexify.pipeline.synthesis.composed.hand import ComposedHand, Habits
from latexify.pipeline.synthesis.composed.labels import DrawnLabel, LabelSource
from latexify.pipeline.synthesis.typeset.boxes import Box, Floats, ink_of, on_page
from latexify.pipeline.synthesis.typeset.layout import typeset

LEAST_GLYPHS = 30
"""Writers with fewer glyphs only donate symbols; they never author a composed ink, unless nobody has more."""
METHOD = "composed"
"""The annotation `inkCreationMethod` of a composed ink."""
_MOST_LABELS = 20
"""Parts of the label mix that are tried for an ink before composing fails."""


class Composition(NamedTuple):
    """An ink before it is written down.

    points: px, y downward, float64 [num_points, 2], the strokes one after another. lengths: number of points of each
    stroke. origin: the part of the label mix that its label is from.
    """

    sample_id: str
    label: str
    writer: str
    points: Floats
    lengths: list[int]
    origin: str


class ComposedInk(NamedTuple):
    """One ink. name: of the file, without folder. origin: the part of the label mix that its label is from."""

    name: str
    data: bytes
    origin: str


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes composed inks: each depends on the seed and its number alone, whichever process makes it."""

    bank: Bank
    labels: LabelSource
    seed: int
    variation: float
    label_annotation: str  # under which ingest will look for the label
    writer_annotation: str  # and for the writer
    refused: Counter[str] = field(default_factory=Counter)  # reasons why formulas could not be used

    @cached_property
    def _authors(self) -> tuple[Sequence[int], Sequence[float]]:
        """Writers with enough glyphs, and cumulative weights: more glyphs weigh more, but not in proportion."""
        counts = Counter(self.bank.writer.tolist())
        authors = sorted([writer for writer, count in counts.items() if count >= LEAST_GLYPHS] or counts)
        return authors, list(itertools.accumulate(counts[writer] ** 0.5 for writer in authors))

    def ink(self, index: int) -> ComposedInk:
        """Make the InkML of this number. Raises LatexifyError if no formula is found that the symbols suffice for."""
        made = self.compose(index)
        annotations = {
            self.label_annotation: made.label,
            self.writer_annotation: made.writer,
            "sampleId": made.sample_id,
            "splitTagOriginal": "train",
            "inkCreationMethod": METHOD,
        }
        return ComposedInk(made.sample_id, inkml(made.points, made.lengths, annotations, COMPACT), made.origin)

    def compose(self, index: int) -> Composition:
        """Make the strokes of this number. Raises LatexifyError as `ink` does."""
        digest = hashlib.sha256(f"{self.seed}/composed/{index}".encode()).digest()
        sample_id, rng = digest.hex()[:16], Random(digest)
        drawn = self._label(rng)
        author = self._author(drawn, rng)
        writer = self.bank.writers[author]
        writer_digest = hashlib.sha256(f"{self.seed}/writer/{writer.folder}/{writer.name}".encode()).digest()
        hand = ComposedHand(self.bank, author, rng, Habits(Random(writer_digest), rng, variation=self.variation))
        layout = drawn.layout
        box = fill_boxes(layout, hand) if isinstance(layout, BoxedFormula) else typeset(layout, hand)
        noise = np.random.default_rng(list(digest))
        points, lengths = write(box, np.random.default_rng(list(writer_digest)), noise, variation=self.variation)
        return Composition(sample_id, drawn.label, writer.name, points, lengths, drawn.origin)

    def _author(self, drawn: DrawnLabel, rng: Random) -> int:
        if drawn.origin == "symbols":  # by anyone who wrote it, so that lone symbols are as varied as the bank
            return int(self.bank.writer[rng.choice(self.bank.glyphs_by_token[drawn.label])])
        authors, weights = self._authors
        return rng.choices(authors, cum_weights=weights)[0]

    def _label(self, rng: Random) -> DrawnLabel:
        for _ in range(_MOST_LABELS):
            drawn = self.labels.draw(rng, self.refused)
            if drawn is not None:
                return drawn
        raise LatexifyError(
            "no formula can be composed of the available symbols within composed.min_tokens to max_tokens, mostly "
            f"because of: {', '.join(reason for reason, _ in self.refused.most_common(3))}; widen the limits, add "
            "symbols (composed.symbol_files), or change composed.label_mix"
        )


def write(
    box: Box, writer: np.random.Generator, ink: np.random.Generator, *, variation: float
) -> tuple[Floats, list[int]]:
    """Points of all strokes in px, y downward, float64 [num_points, 2], and the number of points of each stroke.

    The page is an affine map of the whole ink: the writer's habits, varied for each ink. With a `variation` of 0 the
    glyphs stay as they were written.
    """
    changes = variation * np.clip(writer.standard_normal(4) + 0.6 * ink.standard_normal(4), -2.2, 2.2)
    capital_px, aspect = 60 * np.exp(0.3 * changes[0]), np.exp(0.07 * changes[1])
    slant, rotation_rad = 0.05 * changes[2], 0.018 * changes[3]
    drift = 0.05 * variation * writer.random()  # height, in capitals, of the baseline's slow wave
    placed = np.array([each[1:] for each in box.glyphs])
    middle = np.array([(each.glyph.width / 2, (each.glyph.top + each.glyph.bottom) / 2) for each in box.glyphs])
    noise = ink.standard_normal((len(placed), 3))
    points, lengths = ink_of(
        box.glyphs,
        pivots=middle,
        centres=placed[:, :2] + middle * placed[:, 2:],
        scale=placed[:, 2:] * (1 + 0.035 * variation * noise[:, :2]),
        # a wide glyph turns less: its ends would go astray
        angle=0.03 * variation * noise[:, 2] / np.maximum(1.0, 4 * middle[:, 0] * placed[:, 2]),
    )
    wave = (drift, ink.uniform(0.25, 0.7), ink.uniform(0, 2 * np.pi))
    points = on_page(points, wave, slant=slant, aspect=aspect, angle=rotation_rad) * capital_px
    return points - points.min(axis=0) + ink.uniform(20, 80, 2), lengths
