"""Imaginary writers; their layout is tested in `typeset/test_layout.py`."""

import numpy as np

from latexify.pipeline.synthesis.fonts.hand import ImaginaryWriter


def test_the_forms_of_a_writer_do_not_depend_on_the_order_of_writing() -> None:
    """Otherwise an ink would depend on the number of jobs."""
    first, second = ImaginaryWriter(1, 7), ImaginaryWriter(1, 7)
    first.glyph("a", 0.9)
    for one, other in zip(first.glyph("b", 0.9).strokes, second.glyph("b", 0.9).strokes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_writers_differ() -> None:
    """Many equal writers would make the dataset look like that of one."""
    assert vars(ImaginaryWriter(1, 7).style) != vars(ImaginaryWriter(1, 8).style)
    shapes = {ImaginaryWriter(1, number).glyph("a", 0.9).strokes[0].tobytes() for number in range(20)}
    assert len(shapes) == 20
