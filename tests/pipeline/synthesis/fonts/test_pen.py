"""Recording the strokes of the embedded dataset."""

from copy import copy

import numpy as np

from latexify.pipeline.synthesis.fonts.hand import ImaginaryWriter
from latexify.pipeline.synthesis.fonts.pen import record
from latexify.pipeline.synthesis.typeset.boxes import Placed

WRITER = ImaginaryWriter(1, 3)
GLYPHS = [Placed(WRITER.glyph(token, 0.9), x, 0.0, 1.0, 1.0) for x, token in ((0.0, "a"), (1.0, "+"), (2.0, "b"))]


def test_every_stroke_is_sampled_in_writing_order() -> None:
    """Lost or merged strokes would make another symbol."""
    samples, lengths = record(GLYPHS, WRITER.style, np.random.default_rng(1))
    assert len(lengths) == sum(len(placed.glyph.stroke_lengths) for placed in GLYPHS)
    assert lengths.sum() == len(samples)
    assert lengths.min() >= 2
    lefts = [stroke[:, 0].min() for stroke in np.split(samples, np.cumsum(lengths)[:-1])]
    assert lefts[0] == min(lefts)


def test_times_rise_and_the_pen_pauses_between_strokes() -> None:
    """Times are whole milliseconds; lifting the pen takes longer than a sample."""
    samples, lengths = record(GLYPHS, WRITER.style, np.random.default_rng(1))
    steps = np.diff(samples[:, 2])
    assert (samples[:, 2] == np.rint(samples[:, 2])).all()
    assert steps.min() > 0
    assert steps[np.cumsum(lengths)[:-1] - 1].min() > 2 * np.median(steps)


def test_size_and_unsteadiness_follow_the_style() -> None:
    """Without noise, the ink is the glyph, scaled to the writer's size in pixels."""
    steady = copy(WRITER.style)
    vars(steady).update(
        capital_px=50, aspect=1, unsteadiness=0, tremor=0, drift=0, slant=0, rotation_rad=0, hesitation=0
    )
    samples, _ = record(GLYPHS[:1], steady, np.random.default_rng(1))
    glyph = GLYPHS[0].glyph
    width, height = np.ptp(samples[:, :2], axis=0)
    assert abs(height / 50 - (glyph.bottom - glyph.top)) < 0.1
    assert abs(width / 50 - glyph.width) < 0.15
    assert samples[:, :2].min() > 0
