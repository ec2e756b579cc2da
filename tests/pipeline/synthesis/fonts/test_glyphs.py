"""The stroke glyphs of the embedded dataset."""

import numpy as np
import pytest

from latexify.pipeline.synthesis.fonts.glyphs import STEP, resample, rounded, variants
from latexify.pipeline.synthesis.formulas.symbols import (
    ATOMS,
    CLOSINGS,
    DIGITS,
    LATIN_UPPER,
    NAMED,
    OPENINGS,
    TERMINALS,
    Atom,
)

WRITTEN = [token for token in TERMINALS if token not in NAMED]


@pytest.mark.parametrize("token", WRITTEN)
def test_every_terminal_has_glyphs_that_can_be_seen(token: str) -> None:
    """Inks with a terminal without strokes would lack a symbol of their label."""
    for glyph in variants(token):
        points = np.concatenate(glyph.strokes)
        assert np.isfinite(points).all()
        assert all(len(stroke) >= 2 for stroke in glyph.strokes)
        assert points[:, 0].min() == pytest.approx(0)
        assert (points[:, 1].min(), points[:, 1].max()) == pytest.approx((glyph.top, glyph.bottom))
        assert 0.05 <= max(glyph.width, glyph.bottom - glyph.top) < 1.7


@pytest.mark.parametrize("token", NAMED)
def test_words_are_written_with_letters(token: str) -> None:
    """The name of a function is spelled, so each of its letters needs a glyph."""
    assert all(variants(letter) for letter in token[1:])


def test_an_unknown_token_is_refused() -> None:
    """A missing glyph must not be drawn as an empty one."""
    with pytest.raises(KeyError, match="@"):
        variants("@")


@pytest.mark.parametrize("token", [*DIGITS, *sorted(set(LATIN_UPPER) - set("JQY"))])
def test_digits_and_capitals_stand_on_the_baseline(token: str) -> None:
    """A digit that floats or is small reads as a script."""
    for glyph in variants(token):
        assert glyph.bottom == pytest.approx(0, abs=0.08)
        assert glyph.top == pytest.approx(-1, abs=0.12)


@pytest.mark.parametrize("token", [t for t in WRITTEN if ATOMS.get(t) in (Atom.BINARY, Atom.RELATION) and t != ":"])
def test_operators_are_centred_on_the_axis(token: str) -> None:
    """A minus off the axis reads as a bar or an underscore."""
    for glyph in variants(token):
        assert (glyph.top + glyph.bottom) / 2 == pytest.approx(-0.38, abs=0.06)


@pytest.mark.parametrize("token", [*OPENINGS, *CLOSINGS, "|"])
def test_delimiters_reach_above_capitals_and_below_the_baseline(token: str) -> None:
    """A short bracket reads as a letter."""
    for glyph in variants(token):
        assert glyph.top < -0.95
        assert glyph.bottom > 0.15


def test_small_x_is_curved_and_times_is_straight() -> None:
    """Two straight bars are a product sign: `x` must differ from it as in handwriting."""

    def bend(token: str) -> list[float]:
        ways = []
        for glyph in variants(token):
            lengths = [np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in glyph.strokes]
            chords = [np.hypot(*(stroke[-1] - stroke[0])) for stroke in glyph.strokes]
            ways.append(sum(lengths) / sum(chords))
        return ways

    assert min(bend("x")) > 1.15
    assert max(bend("\\times")) < 1.01


def test_rounding_keeps_the_ends_and_cuts_the_corner() -> None:
    """Strokes that shrink would no longer meet (the bar of a plus, the legs of an A)."""
    corner = resample(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    smooth = rounded(corner, 0.08)
    np.testing.assert_allclose(smooth[[0, -1]], corner[[0, -1]], atol=1e-12)
    assert 0.02 < np.hypot(*(smooth - [1.0, 0.0]).T).min() < 0.12


def test_resampling_spaces_points_evenly_and_keeps_the_ends() -> None:
    """Uneven points would make the rounding depend on how a glyph happened to be digitised."""
    line = resample(np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(np.diff(line[:, 0]), 1 / (len(line) - 1))
    assert len(line) == round(1 / STEP) + 1
