r"""How alike two formulas look when they are set, symbol by symbol.

In the spirit of CDM (Wang et al., "CDM: A Reliable Metric for Fair and Accurate Formula Recognition Evaluation",
arXiv:2409.03643): the symbols of both are matched one to one, a match counts where its place agrees with the other
matches, and the score is the F1 of what was matched. Unlike CDM it needs no TeX, takes no random samples, and gives 1
only where nothing is out of its place. docs/reference/metrics.md has the definition and the differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from latexify.eval.metrics.assignment import assign
from latexify.eval.metrics.layout import Layout, lay_out
from latexify.eval.metrics.typeset import UnsettableError
from latexify.pipeline.latex import tokenize

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

POSITION_WEIGHT, ORDER_WEIGHT = 0.05, 0.15
"""Of a match, CDM's: `cost_position` and `cost_order` of its HungarianMatcher."""
MOVED_UP_OR_DOWN = 0.25
"""In em of the symbol: a script and its base are 0.4 em apart or more, what shifts by larger neighbours much less."""
MOVED_ASIDE = 0.3
SWAPPED = 0.1
"""In em: symbols of a line that are so far apart and change their order are out of place; letters are wider."""
OTHER_SIZE = 1.1
"""Ratio of sizes from which a symbol is larger or smaller; a script is by 1 / 0.7."""
MIN_BLOCK, MAX_BLOCKS = 3, 2
"""Symbols that must have moved together to be taken for a part that was moved, and how many such parts there may be."""
MAX_LAYOUTS = 100_000


@dataclass(slots=True)
class VisualJudge:
    """Compares formulas and remembers how those it met are laid out: references come again, in file after file."""

    _layouts: dict[str, Layout | str] = field(default_factory=dict)

    def layout(self, latex: str) -> Layout | str:
        """Where the symbols of a formula stand, or why it cannot be set."""
        found = self._layouts.get(latex)
        if found is None:
            try:
                found = lay_out(latex)
            except UnsettableError as error:
                found = str(error)
            if len(self._layouts) >= MAX_LAYOUTS:
                del self._layouts[next(iter(self._layouts))]
            self._layouts[latex] = found
        return found

    def score(self, reference: str, prediction: str) -> float | None:
        """From 0 to 1; 1 for the same tokens, spaces left out, whether or not they can be set.

        0 where only the prediction cannot be set; None where only the reference can be blamed.
        """
        if reference == prediction or _symbols(reference) == _symbols(prediction):
            return 1.0
        wanted = self.layout(reference)
        if isinstance(wanted, str):
            return None
        given = self.layout(prediction)
        return 0.0 if isinstance(given, str) else likeness(wanted, given)


def likeness(wanted: Layout, given: Layout) -> float:
    """F1 of the symbols that are matched and in their place; 1 only if all are, in both."""
    rows, columns = match_symbols(wanted, given)
    if not len(rows):
        return 0.0
    is_complete = len(rows) == len(wanted) == len(given)
    num_right = int(np.count_nonzero(_in_place(_Moves.of(wanted, rows, given, columns), is_complete=is_complete)))
    return 2 * num_right / (len(wanted) + len(given))


def match_symbols(wanted: Layout, given: Layout) -> tuple[Indices, Indices]:
    """Pair equal symbols, as many as there are, those near each other in place and order first: indices of both.

    Where only equal symbols may be paired, the assignment falls apart into one for each symbol.
    """
    places_wanted, places_given = (_places(layout) for layout in (wanted, given))
    length = max(len(wanted), len(given))
    rows: list[int] = []
    columns: list[int] = []
    for name, here in _where(wanted).items():
        there = _where(given).get(name)
        if there is None:
            continue
        if len(here) == len(there) == 1:
            rows += here
            columns += there
            continue
        apart = np.abs(places_wanted[here][:, None] - places_given[there][None]).mean(axis=2)
        orders = np.abs(np.array(here)[:, None] - np.array(there)[None]) / length
        chosen_here, chosen_there = assign(POSITION_WEIGHT * apart + ORDER_WEIGHT * orders)
        rows += [here[index] for index in chosen_here]
        columns += [there[index] for index in chosen_there]
    order = np.argsort(rows)
    return np.array(rows, dtype=np.int64)[order], np.array(columns, dtype=np.int64)[order]


def _where(layout: Layout) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, name in enumerate(layout.names):
        places.setdefault(name, []).append(index)
    return places


def _places(layout: Layout) -> Floats:
    """Corners of each symbol's box as shares of the whole formula's width and height: float64 [num_symbols, 4]."""
    low, high = layout.centres - layout.extents / 2, layout.centres + layout.extents / 2
    origin = low.min(axis=0)
    size = high.max(axis=0) - origin
    return np.concatenate([(low - origin) / size, (high - origin) / size], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moves:
    """Matched symbols, one a row: where they were wanted, where they were given, and what may be between.

    slack: float64 [num_pairs, 2], half of the boxes' difference in width and height: a sign that is stretched further
    has another centre. scales: float64 [num_pairs], of the font.
    """

    wanted: Floats
    given: Floats
    wanted_heights: Floats
    slack: Floats
    scales: Floats
    sizes: Floats

    @classmethod
    def of(cls, wanted: Layout, rows: Indices, given: Layout, columns: Indices) -> "_Moves":
        scales = given.sizes[columns] / wanted.sizes[rows]
        return cls(
            wanted=wanted.centres[rows],
            given=given.centres[columns],
            wanted_heights=wanted.extents[rows, 1],
            slack=np.abs(given.extents[columns] - scales[:, None] * wanted.extents[rows]) / 2,
            scales=scales,
            sizes=given.sizes[columns],
        )

    def after(self, leader: int) -> tuple[Floats, Flags]:
        """How far each symbol is from where it would be, had all moved and grown as `leader` did.

        Returns the distance to the right and down, float64 [num_pairs, 2], and whether it is of the size it would have.
        """
        scale = self.scales[leader]
        shift = self.given[leader] - scale * self.wanted[leader]
        ratios = self.scales / scale
        return self.given - scale * self.wanted - shift, np.maximum(ratios, 1 / ratios) < OTHER_SIZE

    def agree(self, leader: int) -> tuple[Flags, Flags]:
        """Which symbols moved as `leader` did: upward or downward and in size; and aside too."""
        distances, is_same_size = self.after(leader)
        excess = np.maximum(np.abs(distances) - self.slack, 0)
        on_level = is_same_size & (excess[:, 1] <= MOVED_UP_OR_DOWN * self.sizes)
        return on_level, on_level & (excess[:, 0] <= MOVED_ASIDE)

    def swapped(self) -> Flags:
        """Which pairs of symbols on one line have changed their order from left to right: [num_pairs, num_pairs]."""
        before = self.wanted[:, None, 0] - self.wanted[None, :, 0]
        now = self.given[:, None, 0] - self.given[None, :, 0]
        apart = np.abs(self.wanted[:, None, 1] - self.wanted[None, :, 1])
        share_a_line = apart < (self.wanted_heights[:, None] + self.wanted_heights[None]) / 2
        flags: Flags = share_a_line & (before * now < 0) & (np.abs(before) > SWAPPED) & (np.abs(now) > SWAPPED)
        return flags


def _in_place(moves: _Moves, *, is_complete: bool) -> Flags:
    """Which matches stand.

    The move that most symbols share is that of the formula. On its level, a symbol may be further aside, because what
    is before it is longer or shorter, as long as symbols keep their order. Where something is missing or surplus, parts
    of the formula may be elsewhere for that reason: a few symbols or more that moved together stand too. Where nothing
    is, a line (of a fraction, a root) that is longer or shorter is about something else.
    """
    num_pairs = len(moves.scales)
    agreeing = [moves.agree(leader) for leader in range(num_pairs)]
    followers = np.stack([together for _, together in agreeing])
    leader = int(followers.sum(axis=1).argmax())
    stands = _in_order(moves, agreeing[leader][0], leader=leader)
    if is_complete:
        return stands & (moves.slack[:, 0] <= MOVED_ASIDE / 2)
    for _ in range(MAX_BLOCKS):
        blocks = followers & ~stands & ~stands[:, None]
        largest = int(blocks.sum(axis=1).argmax())
        if blocks[largest].sum() < MIN_BLOCK:
            break
        stands |= blocks[largest]
    return stands


def _in_order(moves: _Moves, on_level: Flags, *, leader: int) -> Flags:
    """Of the symbols on a level, as many as keep their order, those that moved the least aside first."""
    swapped = moves.swapped() & on_level & on_level[:, None]
    if not swapped.any():
        return on_level
    stands = np.zeros_like(on_level)
    moved = np.abs(moves.after(leader)[0][:, 0])
    for index in np.argsort(moved, kind="stable"):
        stands[index] = on_level[index] and not (swapped[index] & stands).any()
    return stands


def _symbols(text: str) -> Sequence[str]:
    """Tokens without spaces."""
    return [token for token in tokenize(text) if not token.isspace()]
