"""Example inks of formulas that people know, for the pages: `scripts/example_inks.py` makes them.

The symbols were written by hand by the author of MathNote (Apache-2.0), and composed to formulas by this project.
"""

import json
from dataclasses import dataclass
from pathlib import Path

EXAMPLES_PATH = Path(__file__).resolve().parent / "examples.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleInk:
    """An ink of a formula. strokes: lists of [x, y], y downward."""

    name: str  # what the formula is called
    latex: str  # normalised
    strokes: list[list[list[int]]]


def example_inks() -> list[ExampleInk]:
    """Return the examples, from easy to hard."""
    return [ExampleInk(**each) for each in json.loads(EXAMPLES_PATH.read_text(encoding="utf-8"))]
