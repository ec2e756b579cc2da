"""The layout of the embedded dataset: which glyph stands above which."""

from itertools import pairwise
from random import Random
from typing import NamedTuple

import numpy as np
import pytest

from latexify.pipeline.synthesis.fonts.hand import FontHand, ImaginaryWriter
from latexify.pipeline.synthesis.formulas.expression import Fenced, Fraction, Matrix, Node, Root, Scripts, Symbol, row
from latexify.pipeline.synthesis.formulas.generator import expression
from latexify.pipeline.synthesis.typeset.boxes import Box, Placed
from latexify.pipeline.synthesis.typeset.layout import typeset

WRITERS = [ImaginaryWriter(3, number) for number in range(12)]


class Extent(NamedTuple):
    """Bounding box of some ink, y downward."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> float:
        """Height of the middle."""
        return (self.top + self.bottom) / 2


def extent(*glyphs: Placed) -> Extent:
    """Bounding box of the ink of these glyphs."""
    points = np.concatenate(
        [stroke * [p.scale_x, p.scale_y] + [p.x, p.y] for p in glyphs for stroke in p.glyph.strokes]
    )
    return Extent(*points.min(axis=0), *points.max(axis=0))


def extents(node: Node, writer: ImaginaryWriter) -> dict[str, Extent]:
    """Bounding box of every glyph by token; tokens in these tests occur once."""
    return {p.glyph.token: extent(p) for p in typeset(node, FontHand(writer, Random(1))).glyphs}


def symbols(text: str) -> Node:
    """A row of one-letter symbols."""
    return row(*map(Symbol, text))


each_writer = pytest.mark.parametrize("writer", WRITERS, ids=map(str, range(len(WRITERS))))


@each_writer
def test_numerator_bar_denominator_from_top_to_bottom(writer: ImaginaryWriter) -> None:
    """A fraction whose parts overlap or swap has another label."""
    at = extents(Fraction(symbols("ab"), symbols("nk")), writer)
    assert max(at["a"].bottom, at["b"].bottom) < at["\\frac"].top < min(at["n"].top, at["k"].top)
    assert at["\\frac"].left <= min(at["a"].left, at["n"].left)
    assert at["\\frac"].right >= max(at["b"].right, at["k"].right)


@each_writer
def test_fractions_are_written_top_bar_bottom(writer: ImaginaryWriter) -> None:
    """Models that read stroke order learn the usual one."""
    names = [p.glyph.token for p in typeset(Fraction(Symbol("a"), Symbol("b")), FontHand(writer, Random(1))).glyphs]
    assert names == ["a", "\\frac", "b"]


@each_writer
def test_scripts_shrink_and_shift(writer: ImaginaryWriter) -> None:
    """A superscript at the baseline reads as a factor."""
    at = extents(Scripts(Symbol("M"), sub=Symbol("2"), sup=Symbol("3")), writer)
    base, sub, sup = at["M"], at["2"], at["3"]
    assert sup.middle < base.middle < sub.middle
    assert sup.bottom < sub.top
    assert min(sub.left, sup.left) > base.right
    assert sup.bottom - sup.top < 0.8 * (base.bottom - base.top)


@each_writer
def test_radical_covers_its_content(writer: ImaginaryWriter) -> None:
    """A root that ends early leaves part of the radicand outside."""
    at = extents(Root(symbols("ab"), index=Symbol("3")), writer)
    root = at["\\sqrt"]
    assert root.top < min(at["a"].top, at["b"].top)
    assert root.bottom > max(at["a"].bottom, at["b"].bottom)
    assert root.left < at["a"].left
    assert root.right > at["b"].right
    assert at["3"].right < at["a"].left
    assert at["3"].bottom < root.bottom


@each_writer
@pytest.mark.parametrize(("left", "right"), [("(", ")"), ("[", "]"), ("\\{", "\\}"), ("\\lfloor", "\\rfloor")])
def test_delimiters_grow_with_their_content(writer: ImaginaryWriter, left: str, right: str) -> None:
    """Brackets smaller than a fraction belong to one of its parts."""
    at = extents(Fenced(left, Fraction(symbols("ab"), symbols("nk")), right), writer)
    for delimiter in (at[left], at[right]):
        assert delimiter.top < at["a"].top
        assert delimiter.bottom > at["n"].bottom
    assert at[left].right < at["\\frac"].left
    assert at[right].left > at["\\frac"].right


@each_writer
def test_limits_stand_below_and_above_or_beside_as_scripts(writer: ImaginaryWriter) -> None:
    """The limits of a sum must be nearer to it than to its term."""
    node = row(Scripts(Symbol("\\sum"), sub=symbols("i=1"), sup=Symbol("n")), Symbol("x"))
    at = extents(node, writer)
    operator = at["\\sum"]
    assert at["n"].middle < operator.middle < at["i"].middle
    assert max(at["n"].right, at["1"].right) < at["x"].left
    if writer.style.limits_beside:
        assert min(at["n"].left, at["i"].left) > operator.right
    else:
        assert at["n"].bottom < operator.top
        assert at["i"].top > operator.bottom


def test_both_places_of_limits_occur() -> None:
    """The test above must see both."""
    assert {writer.style.limits_beside for writer in WRITERS} == {False, True}


@each_writer
def test_matrices_are_grids(writer: ImaginaryWriter) -> None:
    """A matrix whose rows touch cannot be read."""
    at = extents(Fenced("(", Matrix(((Symbol("a"), Symbol("b")), (Symbol("c"), Symbol("d")))), ")"), writer)
    assert max(at["a"].bottom, at["b"].bottom) < min(at["c"].top, at["d"].top)
    assert max(at["a"].right, at["c"].right) < min(at["b"].left, at["d"].left)
    assert at["("].top < at["a"].top
    assert at["("].bottom > at["c"].bottom


@each_writer
def test_rows_run_from_left_to_right_without_overlap(writer: ImaginaryWriter) -> None:
    """Glyphs on top of each other are illegible."""
    at = extents(symbols("a+b=7c"), writer)
    order = [at[name] for name in "a+b=7c"]
    assert all(left.right < right.left for left, right in pairwise(order))
    assert at["+"].left - at["a"].right > at["c"].left - at["7"].right


def test_a_sign_without_left_operand_stands_close() -> None:
    """The minus of `-x` belongs to x; that of `a-x` stands between."""
    writer = WRITERS[0]
    unary, binary = extents(symbols("-x"), writer), extents(symbols("a-x"), writer)
    assert unary["x"].left - unary["-"].right < binary["x"].left - binary["-"].right


@pytest.mark.parametrize("number", range(150))
def test_boxes_hold_their_ink(number: int) -> None:
    """A box smaller than its ink makes neighbours overlap, in any combination of structures."""
    tree = expression(Random(number), min_tokens=1, max_tokens=40, max_depth=3)
    box: Box = typeset(tree, FontHand(WRITERS[number % len(WRITERS)], Random(number)))
    ink = extent(*box.glyphs)
    assert ink.left > -0.01
    assert ink.right < box.width + 0.15
    assert ink.top > -box.ascent - 0.01
    assert ink.bottom < box.descent + 0.01
