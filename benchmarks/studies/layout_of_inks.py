"""Measures how people space what they write: the quantiles that the habits of composed inks are based on.

``python -m benchmarks.studies.layout_of_inks --source data/source`` in a project whose dataset has trace groups and
MathML, such as CROHME. Training inks only. Lengths are in capital heights of the line, ratios as they are.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from latexify.artifacts.names import COMPOSED_NAME
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.source.stage import read_plan
from latexify.pipeline.synthesis.composed.filling import align, measured, pieces_of
from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.gathering import TrainingInk, gather
from latexify.pipeline.synthesis.composed.hand import BIG, INTEGRALS, LIMITS
from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Lines,
    Matrix,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
)
from latexify.pipeline.synthesis.typeset.layout import atoms_of


class Part(NamedTuple):
    """The ink of a part of a formula, and size and baseline of the line that it begins on; None if unknown."""

    left: float
    top: float
    right: float
    bottom: float
    line: tuple[float, float] | None


class Ruler:
    """Measures the parts of inks."""

    def __init__(self) -> None:
        self.measures: dict[str, list[float]] = defaultdict(list)
        self._boxes: list[Part] = []
        self._next = 0

    def measure(self, ink: TrainingInk, lines: dict[int, tuple[float, float]]) -> None:
        """Measure an ink; inks with a leaf without a symbol are skipped."""
        try:
            tree = tree_of(ink.label)
        except UnsupportedFormulaError:
            return
        label_leaves = leaves(tree)
        self._boxes = []
        for leaf, index in zip(label_leaves, align(label_leaves, ink.symbols), strict=True):
            if index is None:
                return
            points = np.concatenate(ink.symbols[index].strokes)
            (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
            self._boxes.append(Part(left, top, right, bottom, lines.get(leaf.line)))
        self._next = 0
        self._part(tree)

    def _note(self, name: str, value: float, line: tuple[float, float] | None) -> None:
        if line is not None:
            self.measures[name].append(value / line[0])

    def _ratio(self, name: str, part: Part, whole: Part) -> None:
        if part.line is not None and whole.line is not None:
            self.measures[name].append(part.line[0] / whole.line[0])

    def _leaf(self) -> Part:
        self._next += 1
        return self._boxes[self._next - 1]

    def _part(self, node: Node) -> Part:  # noqa: PLR0911 (one for each kind of node)
        match node:
            case Symbol():
                return self._leaf()
            case Row(items):
                return self._row(items)
            case Scripts():
                return self._scripts(node)
            case Fraction():
                return self._fraction(node)
            case Root(radicand, index):
                return self._root(radicand, index)
            case Fenced(_, body, _):
                left, inner, right = self._leaf(), self._part(body), self._leaf()
                self._note("bracket_gap", inner.left - left.right, left.line)
                self._note("bracket_gap", right.left - inner.right, left.line)
                return _around([left, inner, right])
            case Matrix(rows) | Lines(_, rows):
                return _around([self._part(cell) for cells in rows for cell in cells if cell is not None])

    def _row(self, items: tuple[Node, ...]) -> Part:
        parts = [self._part(item) for item in items]
        for (before, after), sides in zip(pairwise(parts), pairwise(atoms_of(items)), strict=True):
            self._note("gap " + " ".join(atom.name.lower() for atom in sides), after.left - before.right, parts[0].line)
        return _around(parts)

    def _scripts(self, node: Scripts) -> Part:
        base = self._part(node.base)
        token = node.base.token if isinstance(node.base, Symbol) else ""
        kind = next((n for n, s in (("sum", BIG), ("integral", INTEGRALS), ("limit", LIMITS)) if token in s), "script")
        parts = [base]
        for side, script in (("sub", node.sub), ("super", node.sup)):
            if script is None:
                continue
            part = self._part(script)
            parts.append(part)
            self._ratio(f"{kind} {side} scale", part, base)
            self._note(f"{kind} {side} gap", part.left - base.right, base.line)
            if base.line is not None:
                edge = part.top if side == "sub" else part.bottom
                self._note(f"{kind} {side} edge from baseline", edge - base.line[1], base.line)
        return _around(parts)

    def _fraction(self, node: Fraction) -> Part:
        bar, top, bottom = self._leaf(), self._part(node.numerator), self._part(node.denominator)
        self._ratio("fraction scale", top, bar)
        self._note("numerator gap", bar.top - top.bottom, bar.line)
        self._note("denominator gap", bottom.top - bar.bottom, bar.line)
        self._note("bar overhang, left", min(top.left, bottom.left) - bar.left, bar.line)
        self._note("bar overhang, right", bar.right - max(top.right, bottom.right), bar.line)
        if bar.line is not None:
            self._note("axis", bar.line[1] - (bar.top + bar.bottom) / 2, bar.line)
        return _around([bar, top, bottom])

    def _root(self, radicand: Node, index: Node | None) -> Part:
        sign = self._leaf()
        small = [] if index is None else [self._part(index)]
        body = self._part(radicand)
        self._note("radical lead", body.left - sign.left, sign.line)
        self._note("radical above", body.top - sign.top, sign.line)
        self._note("radical below", sign.bottom - body.bottom, sign.line)
        self._note("radical right", sign.right - body.right, sign.line)
        return _around([sign, *small, body])


def _around(parts: Sequence[Part]) -> Part:
    """The box around all parts, on the line of the first."""
    left, top = np.min([part[:2] for part in parts], axis=0)
    right, bottom = np.max([part[2:4] for part in parts], axis=0)
    return Part(left, top, right, bottom, parts[0].line)


def line_measures(inks: Sequence[TrainingInk]) -> Iterator[tuple[TrainingInk, dict[int, tuple[float, float]]]]:
    """Yield each ink that has symbols, with size and baseline of its sound lines, in units of its file.

    Lines are numbered as in `formula.leaves`.
    """
    pieces, _, spans = pieces_of(inks)
    _, measures, _ = measured(pieces)
    for ink, span in spans:
        sound = [line for line in span if line < len(measures.sound) and measures.sound[line]]
        sizes = {line - span.start: (float(measures.size[line]), float(measures.baseline[line])) for line in sound}
        yield ink, sizes


def main(
    source: Annotated[Path, typer.Option(help="Folder that `latexify source` wrote.")] = Path("data/source"),
    least: Annotated[int, typer.Option(help="Least number of values of a measure.")] = 60,
) -> None:
    """Print a table of quantiles."""
    plan = read_plan(source)
    plan = plan.model_copy(update={"inputs": [item for item in plan.inputs if item.name != COMPOSED_NAME]})
    material = gather(plan, base=source, divisions={}, engine=Engine(jobs=2))
    ruler = Ruler()
    for ink, lines in line_measures(material.inks):
        ruler.measure(ink, lines)
    print("| measure | seen | 5 % | 25 % | 50 % | 75 % | 95 % |\n|---|---|---|---|---|---|---|")
    for name, values in sorted(ruler.measures.items()):
        if len(values) >= least:
            print(
                f"| {name} | {len(values)} | " + " | ".join(f"{q:.2f}" for q in np.quantile(values, QUANTILES)) + " |"
            )


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

if __name__ == "__main__":
    typer.run(main)
