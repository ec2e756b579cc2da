r"""Visual similarity: how alike two formulas look when typeset, symbol by symbol.

Modelled on CDM (Wang et al., "CDM: A Reliable Metric for Fair and Accurate Formula Recognition Evaluation",
arXiv:2409.03643): the symbols of both formulas are matched one to one, a match counts if its position agrees with the
other matches, and the score is the F1 of the matches that count. Unlike CDM it needs no TeX and draws no random
samples, and it is 1 only if every symbol is in its position. docs/reference/metrics.md has the definition and the
differences.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from latexify.common.progress import Progress
from latexify.eval.metrics.bootstrap import Column
from latexify.eval.metrics.layout import Layout, lay_out
from latexify.eval.metrics.parallel import for_each_formula
from latexify.eval.metrics.structure import symbols_of
from latexify.eval.metrics.typeset import TypesetError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

POSITION_WEIGHT, ORDER_WEIGHT = 0.05, 0.15
"""Weights of a match's cost, as `cost_position` and `cost_order` of CDM's HungarianMatcher."""
MOVED_UP_OR_DOWN = 0.25
"""In em of the symbol. A script is at least 0.4 em away from its base; larger neighbours shift symbols much less."""
MOVED_ASIDE = 0.3
SWAPPED = 0.1
"""In em: symbols of a line that are this far apart and change order are out of position. Letters are wider."""
OTHER_SIZE = 1.1  # ratio from which two font sizes count as different; that of a script is 1 / 0.7
MIN_BLOCK, MAX_BLOCKS = 3, 2
"""Minimum number of symbols that must move together to count as a moved part, and the maximum number of such parts."""
MAX_LAYOUTS = 100_000
PAIRS_AT_ONCE = 500  # pairs whose formulas are laid out in several processes before they are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How predictions look; one value for each sample, [num_samples]."""

    renders: Flags  # whether the prediction can be typeset
    reference_renders: Flags  # whether the reference can be typeset
    visual: Floats  # similarity from 0 to 1; NaN if only the reference cannot be typeset

    def columns(self) -> dict[str, Column]:
        """Columns for `latexify.eval.metrics.rates`.

        Samples whose reference cannot be typeset are excluded from the similarity, whatever the prediction: counting
        only those that are right would make the score too good.
        """
        similarity = np.where(self.reference_renders, np.nan_to_num(self.visual), 0.0)
        return {
            "num_samples": np.ones_like(self.renders),
            "renders": self.renders,
            "reference_renders": self.reference_renders,
            "similarity": similarity,
            "looks_same": similarity == 1,
        }


@dataclass(slots=True)
class VisualScorer:
    """Compares formulas and caches their layouts: references recur in every file that is compared."""

    _layouts: dict[str, Layout | str] = field(default_factory=dict)

    def layout(self, latex: str) -> Layout | str:
        """Return the layout of a formula, or the reason why it cannot be typeset."""
        layout = self._layouts.get(latex)
        if layout is None:
            try:
                layout = lay_out(latex)
            except TypesetError as error:
                layout = str(error)
            if len(self._layouts) >= MAX_LAYOUTS:
                del self._layouts[next(iter(self._layouts))]
            self._layouts[latex] = layout
        return layout

    def prepare(self, formulas: Iterable[str], *, jobs: int) -> None:
        """Lay out formulas in `jobs` processes, as :meth:`layout` would one by one."""
        while len(self._layouts) > MAX_LAYOUTS:
            del self._layouts[next(iter(self._layouts))]
        missing = [latex for latex in formulas if latex not in self._layouts]
        self._layouts |= for_each_formula(_lay_out_each, missing, jobs=jobs)

    def score(self, reference: str, prediction: str) -> float | None:
        """Compare two formulas: 0 to 1.

        1 if the tokens are equal, spaces left out, whether or not they can be typeset. 0 if only the prediction cannot
        be typeset, None if the reference cannot.
        """
        if reference == prediction or symbols_of(reference) == symbols_of(prediction):
            return 1.0
        expected = self.layout(reference)
        if isinstance(expected, str):
            return None
        predicted = self.layout(prediction)
        return 0.0 if isinstance(predicted, str) else similarity(expected, predicted)


def _lay_out_each(formulas: Sequence[str]) -> dict[str, Layout | str]:
    scorer = VisualScorer()
    return {latex: scorer.layout(latex) for latex in formulas}


def measure_appearance(
    references: Sequence[str], predictions: Sequence[str], *, scorer: VisualScorer, jobs: int = 1
) -> Appearance:
    """Typeset every reference and prediction, and compare how they look. Takes some milliseconds per pair.

    The result does not depend on `jobs`, the number of processes that typeset.
    """
    renders, reference_renders = (np.zeros(len(references), dtype=np.bool_) for _ in range(2))
    visual = np.full(len(references), np.nan)
    with Progress("score", total=len(references), unit="formulas") as progress:
        for row, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
            if jobs > 1 and row % PAIRS_AT_ONCE == 0:
                block = slice(row, row + PAIRS_AT_ONCE)
                scorer.prepare([*references[block], *predictions[block]], jobs=jobs)
            renders[row] = not isinstance(scorer.layout(prediction), str)
            reference_renders[row] = not isinstance(scorer.layout(reference), str)
            score = scorer.score(reference, prediction)
            if score is not None:
                visual[row] = score
            progress.advance(1)
    return Appearance(renders=renders, reference_renders=reference_renders, visual=visual)


def similarity(reference: Layout, prediction: Layout) -> float:
    """Compute the F1 of the symbols that are matched and in position; 1 only if all symbols of both are."""
    rows, columns = match_symbols(reference, prediction)
    if not len(rows):
        return 0.0
    is_complete = len(rows) == len(reference) == len(prediction)
    matches = _Matches.build(reference, rows, prediction, columns)
    num_right = int(np.count_nonzero(_in_position(matches, is_complete=is_complete)))
    return 2 * num_right / (len(reference) + len(prediction))


def match_symbols(reference: Layout, prediction: Layout) -> tuple[Indices, Indices]:
    """Pair equal symbols, as many as possible, preferring those close in position and order.

    Returns the indices into both layouts, int64 [num_pairs], ascending in the reference. Since only equal symbols may
    be paired, this is one assignment problem for each distinct symbol.
    """
    boxes, predicted_boxes = _relative_boxes(reference), _relative_boxes(prediction)
    length = max(len(reference), len(prediction))
    rows: list[int] = []
    columns: list[int] = []
    others = _indices_by_name(prediction)
    for name, here in _indices_by_name(reference).items():
        there = others.get(name)
        if there is None:
            continue
        distance = np.abs(boxes[here][:, None] - predicted_boxes[there][None]).mean(axis=2)
        shift = np.abs(np.array(here)[:, None] - np.array(there)[None]) / length
        chosen, partners = linear_sum_assignment(POSITION_WEIGHT * distance + ORDER_WEIGHT * shift)
        rows += [here[i] for i in chosen]
        columns += [there[i] for i in partners]
    order = np.argsort(rows)
    return np.array(rows, dtype=np.int64)[order], np.array(columns, dtype=np.int64)[order]


def _indices_by_name(layout: Layout) -> dict[str, list[int]]:
    indices = defaultdict(list)
    for index, name in enumerate(layout.names):
        indices[name].append(index)
    return indices


def _relative_boxes(layout: Layout) -> Floats:
    """Corners of each symbol's box as fractions of the formula's width and height: float64 [num_symbols, 4]."""
    low, high = layout.centres - layout.extents / 2, layout.centres + layout.extents / 2
    origin = low.min(axis=0)
    size = high.max(axis=0) - origin
    return np.concatenate([(low - origin) / size, (high - origin) / size], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matches:
    """Matched symbols, one per row, with their positions in both formulas."""

    expected: Floats  # centres in the reference, [num_pairs, 2]
    predicted: Floats  # centres in the prediction, [num_pairs, 2]
    heights: Floats  # in the reference, [num_pairs]
    slack: Floats  # half of the boxes' difference in size, [num_pairs, 2]: stretching a sign moves its centre
    scales: Floats  # ratio of the font sizes, prediction to reference, [num_pairs]
    sizes: Floats  # font sizes in the prediction, [num_pairs]

    @classmethod
    def build(cls, reference: Layout, rows: Indices, prediction: Layout, columns: Indices) -> "_Matches":
        scales = prediction.sizes[columns] / reference.sizes[rows]
        return cls(
            expected=reference.centres[rows],
            predicted=prediction.centres[columns],
            heights=reference.extents[rows, 1],
            slack=np.abs(prediction.extents[columns] - scales[:, None] * reference.extents[rows]) / 2,
            scales=scales,
            sizes=prediction.sizes[columns],
        )

    def offsets_from(self, leader: int) -> tuple[Floats, Flags]:
        """Compare each symbol with where it would be if all had moved and grown as `leader` did.

        Returns the distance to the right and down, float64 [num_pairs, 2], and whether the size agrees.
        """
        scale = self.scales[leader]
        shift = self.predicted[leader] - scale * self.expected[leader]
        ratios = self.scales / scale
        return self.predicted - scale * self.expected - shift, np.maximum(ratios, 1 / ratios) < OTHER_SIZE

    def agree(self, leader: int) -> tuple[Flags, Flags]:
        """Which symbols moved vertically and grew as `leader` did; and which of these moved sideways as it did, too."""
        distances, is_same_size = self.offsets_from(leader)
        excess = np.maximum(np.abs(distances) - self.slack, 0)
        on_level = is_same_size & (excess[:, 1] <= MOVED_UP_OR_DOWN * self.sizes)
        return on_level, on_level & (excess[:, 0] <= MOVED_ASIDE)

    def swapped(self) -> Flags:
        """Which pairs of symbols on one line have changed their left-to-right order: bool [num_pairs, num_pairs]."""
        before = self.expected[:, None, 0] - self.expected[None, :, 0]
        now = self.predicted[:, None, 0] - self.predicted[None, :, 0]
        apart = np.abs(self.expected[:, None, 1] - self.expected[None, :, 1])
        share_a_line = apart < (self.heights[:, None] + self.heights[None]) / 2
        flags: Flags = share_a_line & (before * now < 0) & (np.abs(before) > SWAPPED) & (np.abs(now) > SWAPPED)
        return flags


def _in_position(matches: _Matches, *, is_complete: bool) -> Flags:
    """Which matches count.

    The move that most symbols share is that of the whole formula. Symbols on its level may be further to the side,
    because what precedes them is longer or shorter, as long as they keep their order. If symbols are missing or extra,
    whole parts may have moved for that reason: groups of at least MIN_BLOCK symbols that moved together count, too. If
    none are, a line (of a fraction or a root) of another length spans other symbols, so it does not count.
    """
    num_pairs = len(matches.scales)
    agreeing = [matches.agree(leader) for leader in range(num_pairs)]
    followers = np.stack([together for _, together in agreeing])
    leader = int(followers.sum(axis=1).argmax())
    counts = _in_order(matches, agreeing[leader][0], leader=leader)
    if is_complete:
        return counts & (matches.slack[:, 0] <= MOVED_ASIDE / 2)
    for _ in range(MAX_BLOCKS):
        blocks = followers & ~counts & ~counts[:, None]
        largest = int(blocks.sum(axis=1).argmax())
        if blocks[largest].sum() < MIN_BLOCK:
            break
        counts |= blocks[largest]
    return counts


def _in_order(matches: _Matches, on_level: Flags, *, leader: int) -> Flags:
    """Choose symbols on a level that keep their order, preferring those that moved sideways the least."""
    swapped = matches.swapped() & on_level & on_level[:, None]
    if not swapped.any():
        return on_level
    counts = np.zeros_like(on_level)
    moved = np.abs(matches.offsets_from(leader)[0][:, 0])
    for index in np.argsort(moved, kind="stable"):
        counts[index] = on_level[index] and not (swapped[index] & counts).any()
    return counts
