"""Boxes of placed glyphs."""

import numpy as np
import pytest

from latexify.pipeline.synthesis.typeset.boxes import Box, Placed, beside, glyph_of, ink_of, on_page, overlay

SQUARE = np.array([[2.0, -1.0], [3.0, -1.0], [3.0, 0.0]])


def box(x: float = 0.0, size: float = 1.0) -> Box:
    """A box around a glyph that is one capital high and wide."""
    return Placed(glyph_of("x", [SQUARE]), x, 0.0, size, size).box


def test_a_glyph_begins_at_its_left_edge() -> None:
    """Gaps are measured between inks."""
    glyph = glyph_of("x", [SQUARE, SQUARE + np.array([1.0, 0.5])])
    assert (glyph.width, glyph.top, glyph.bottom) == (2.0, -1.0, 0.5)
    assert [stroke[0].tolist() for stroke in glyph.strokes] == [[0.0, -1.0], [1.0, -0.5]]
    assert glyph_of("x", [SQUARE], keep_left=True).points[0].tolist() == [2.0, -1.0]


def test_boxes_beside_each_other_keep_their_gaps() -> None:
    """The widths add up, and the highest box decides the ascent."""
    row = beside([box(), box(size=2.0), box()], [0.5, 0.25])
    assert [placed.x for placed in row.glyphs] == [0.0, 1.5, 3.75]
    assert (row.width, row.ascent, row.descent) == (4.75, 2.0, 0.0)


def test_an_overlay_encloses_its_parts_in_writing_order() -> None:
    """A box smaller than its ink would let neighbours overlap."""
    both = overlay((box(), 0.0, 0.0), (box(size=0.5), 2.0, 1.5))
    assert [(placed.x, placed.y) for placed in both.glyphs] == [(0.0, 0.0), (2.0, 1.5)]
    assert (both.width, both.ascent, both.descent) == (2.5, 1.0, 1.5)


def test_glyphs_turn_about_their_pivots() -> None:
    """The pivot goes to its centre, whatever the angle."""
    points, lengths = ink_of(
        box().glyphs,
        pivots=np.array([[1.0, -1.0]]),
        centres=np.array([[5.0, 7.0]]),
        scale=np.array([[2.0, 2.0]]),
        angle=np.array([np.pi / 2]),
    )
    assert lengths == [3]
    np.testing.assert_allclose(points, [[5, 5], [5, 7], [3, 7]], atol=1e-12)


def test_a_page_without_distortion_changes_nothing() -> None:
    """Variation 0 must keep the glyphs as they were written."""
    np.testing.assert_array_equal(on_page(SQUARE, (0.0, 1.0, 0.3), slant=0, aspect=1, angle=0), SQUARE)
    assert on_page(SQUARE, (0.0, 1.0, 0.3), slant=0.5, aspect=2, angle=0)[0].tolist() == pytest.approx([5.0, -1.0])
