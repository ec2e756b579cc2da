"""The symbols that people wrote, by token and writer, as glyphs on the common scale of `measuring`."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from latexify.pipeline.drawing.fit import TOLERANCE_PX, simplify
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.synthesis.typeset.boxes import Floats, Glyph

THINNED_TO = 0.004
"""Largest distance of a glyph from what was written, in capital heights: 1/4 px if a capital is 64 px high."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A writer's name, or a run of neighbouring inks if it is unknown. folder: of their inks."""

    name: str
    folder: str


class LooseSymbol(NamedTuple):
    """A symbol without a line of writing around it: strokes in any unit, y downward."""

    writer: Writer
    token: str
    strokes: Sequence[Stroke]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Glyphs as columns."""

    tokens: Sequence[str]
    writers: Sequence[Writer]
    token: Ints  # [num_glyphs], indices into `tokens`
    writer: Ints  # [num_glyphs], indices into `writers`
    points: npt.NDArray[np.float32]  # [num_points, 2]
    stroke_lengths: Ints  # [num_strokes]
    num_strokes: Ints  # [num_glyphs]

    @cached_property
    def glyphs_of(self) -> Mapping[str, Mapping[int, Sequence[int]]]:
        """The glyphs of each token, by writer."""
        glyphs: dict[str, dict[int, list[int]]] = {}
        for index, (token, writer) in enumerate(zip(self.token.tolist(), self.writer.tolist(), strict=True)):
            glyphs.setdefault(self.tokens[token], {}).setdefault(writer, []).append(index)
        return glyphs

    @cached_property
    def glyphs_by_token(self) -> Mapping[str, Sequence[int]]:
        """The glyphs of each token, by all writers."""
        return {token: [*itertools.chain(*by_writer.values())] for token, by_writer in self.glyphs_of.items()}

    @cached_property
    def _stroke_ends(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self.num_strokes)])

    @cached_property
    def _point_ends(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self.stroke_lengths)])

    @cached_property
    def extents(self) -> npt.NDArray[np.float32]:
        """float32 [num_glyphs, 2, 2]: lowest and highest x and y of each glyph."""
        starts = self._point_ends[self._stroke_ends[:-1]]
        low, high = (edge.reduceat(self.points, starts) for edge in (np.minimum, np.maximum))
        return np.stack([low, high], axis=1)

    def glyph(self, index: int) -> Glyph:
        """The glyph of this index."""
        first, last = self._stroke_ends[index], self._stroke_ends[index + 1]
        points = self.points[self._point_ends[first] : self._point_ends[last]]
        (left, top), (right, bottom) = self.extents[index].tolist()
        lengths = self.stroke_lengths[first:last].tolist()
        return Glyph(self.tokens[self.token[index]], points - (left, 0.0), lengths, right - left, top, bottom)


def thinned(points: Floats, stroke_lengths: Ints) -> tuple[Floats, Ints]:
    """Drop points of strokes (in capital heights) that do not show."""
    unit = TOLERANCE_PX / THINNED_TO
    x, y, lengths = simplify(points[:, 0] * unit, points[:, 1] * unit, stroke_lengths)
    return np.column_stack([x, y]) / unit, lengths.astype(np.int64)
