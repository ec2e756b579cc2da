"""Lines one under another: where each is written."""

from itertools import pairwise
from random import Random

import pytest

from latexify.pipeline.synthesis.fonts.hand import FontHand, ImaginaryWriter
from latexify.pipeline.synthesis.formulas.expression import Lines, Node, Symbol, row
from latexify.pipeline.synthesis.typeset.boxes import Placed
from latexify.pipeline.synthesis.typeset.layout import typeset
from tests.pipeline.synthesis.typeset.test_layout import Extent, extent

WRITERS = [ImaginaryWriter(3, number) for number in range(12)]
each_writer = pytest.mark.parametrize("writer", WRITERS, ids=map(str, range(len(WRITERS))))


def symbols(text: str) -> Node:
    """A row of one-letter symbols."""
    return row(*map(Symbol, text))


def written(tree: Node, writer: ImaginaryWriter) -> list[Placed]:
    """The glyphs, in writing order."""
    return list(typeset(tree, FontHand(writer, Random(1))).glyphs)


def lines_of(glyphs: list[Placed], *, size: int) -> list[list[Placed]]:
    """Divide glyphs into lines of `size` each."""
    return [glyphs[start : start + size] for start in range(0, len(glyphs), size)]


@each_writer
@pytest.mark.parametrize("environment", ["gathered", "cases", "aligned"])
def test_lines_do_not_touch_and_are_in_order(writer: ImaginaryWriter, environment: str) -> None:
    """Lines that overlap could be read as fractions or scripts of each other."""
    tree = Lines(environment, tuple((symbols("ax"), symbols("=b")) for _ in range(4)))
    glyphs = written(tree, writer)
    if environment == "cases":
        glyphs = glyphs[1:]
    extents = [extent(*line) for line in lines_of(glyphs, size=4)]
    assert len(extents) == 4
    assert all(above.bottom < below.top for above, below in pairwise(extents))


@each_writer
def test_relations_of_aligned_lines_stand_below_each_other(writer: ImaginaryWriter) -> None:
    """That is what `&` in the label means."""
    tree = Lines("aligned", ((symbols("abcd"), symbols("=x")), (symbols("a"), symbols("=xyz")), (None, symbols("=k"))))
    relations = [extent(placed) for placed in written(tree, writer) if placed.glyph.token == "="]
    lefts = [relation.left for relation in relations]
    assert len(lefts) == 3
    assert max(lefts) - min(lefts) < 0.7
    first = extent(written(tree, writer)[3])
    assert first.right < max(lefts)


@each_writer
def test_a_brace_spans_the_lines_of_cases(writer: ImaginaryWriter) -> None:
    """One brace for all lines, to their left."""
    tree = Lines("cases", ((symbols("a"), symbols("x<1")), (symbols("b"), symbols("x>1"))))
    brace, *others = written(tree, writer)
    around, inside = extent(brace), extent(*others)
    assert brace.glyph.token == "\\{"
    assert around.right < inside.left
    assert around.top < inside.top + 0.3
    assert around.bottom > inside.bottom - 0.3


def test_stacked_lines_begin_at_the_left_or_are_centred() -> None:
    """People do both. The label is the same."""
    tree = Lines("gathered", ((symbols("abcdefgh"),), (symbols("k"),)))
    shares = []
    for writer in WRITERS:
        glyphs = written(tree, writer)
        whole: Extent = extent(*glyphs[:8])
        short = extent(glyphs[8])
        shares.append((short.left - whole.left) / (whole.right - whole.left))
    assert min(shares) < 0.1
    assert max(shares) > 0.3
