"""Spacing of human-written formulas: how it varies between writers and within an ink.

Each `middle` is the median over CROHME's training inks, and the spreads reproduce about their quartiles, as measured by
``python -m benchmarks.studies.layout_of_inks``. Lengths are in capital heights of their line.
"""

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Habit:
    """A measure: its median, and its spread between writers and within an ink.

    If `relative`, the measure varies by factors, otherwise by addition.
    """

    middle: float
    between_writers: float
    within: float
    relative: bool = True


HABITS = {
    # gaps between neighbours
    "letter_gap": Habit(0.25, 0.07, 0.10, relative=False),
    "binary_gap": Habit(0.42, 0.35, 0.35),
    "relation_gap": Habit(0.53, 0.40, 0.40),
    "function_gap": Habit(0.40, 0.25, 0.30),
    "comma_gap": Habit(0.34, 0.25, 0.35),
    "nested_gap": Habit(0.38, 0.25, 0.35),
    "bracket_gap": Habit(0.16, 0.07, 0.11, relative=False),
    "cell_gap": Habit(0.90, 0.25, 0.20),
    "bracket_reach": Habit(0.12, 0.10, 0.10, relative=False),
    # scripts
    "superscript_scale": Habit(0.52, 0.20, 0.18),
    "subscript_scale": Habit(0.49, 0.20, 0.20),
    "superscript_gap": Habit(0.12, 0.06, 0.10, relative=False),
    "subscript_gap": Habit(0.13, 0.06, 0.10, relative=False),
    "superscript_lift": Habit(0.0, 0.10, 0.11, relative=False),
    "subscript_drop": Habit(0.0, 0.08, 0.11, relative=False),
    # limits
    "limit_scale": Habit(0.55, 0.20, 0.20),
    "limit_gap": Habit(0.20, 0.06, 0.09, relative=False),
    "limit_shift": Habit(0.03, 0.05, 0.08, relative=False),
    # fractions; gap and overhang in units of the line, whose parts are smaller
    "fraction_scale": Habit(0.69, 0.22, 0.15),
    "numerator_gap": Habit(0.19, 0.06, 0.07, relative=False),
    "denominator_gap": Habit(0.23, 0.06, 0.07, relative=False),
    "bar_overhang": Habit(0.16, 0.09, 0.15, relative=False),
    "axis": Habit(0.39, 0.06, 0.05, relative=False),
    # roots
    "radical_lead": Habit(1.00, 0.20, 0.20),
    "radical_above": Habit(0.50, 0.20, 0.25),
    "radical_below": Habit(0.06, 0.08, 0.12, relative=False),
    "radical_right": Habit(0.28, 0.15, 0.20, relative=False),
    "index_scale": Habit(0.48, 0.12, 0.12),
    # rows of a matrix
    "row_gap": Habit(0.45, 0.25, 0.15),
    # shift of a symbol from its line
    "wobble": Habit(0.0, 0.0, 0.035, relative=False),
}


class Habits:
    """The measures of one writer in one ink. variation: 0 gives medians, 1 the variation of people."""

    def __init__(self, writer: Random, ink: Random, *, variation: float) -> None:
        self._ink, self._variation = ink, variation
        self._own = {name: writer.gauss(0, habit.between_writers) for name, habit in HABITS.items()}
        self.limits_beside = writer.random() < 0.12
        self.integral_limits_beside = writer.random() < 0.6
        self.bar_first = writer.random() < 0.4

    def __getitem__(self, name: str) -> float:
        habit = HABITS[name]
        # more than two standard deviations would be a slip of the pen
        here = min(2.0, max(-2.0, self._ink.gauss(0, 1))) * habit.within
        change = self._variation * (self._own[name] + here)
        return habit.middle * math.exp(change) if habit.relative else habit.middle + change
