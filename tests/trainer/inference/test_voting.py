"""Drawings of a picture that vote for an answer."""

import numpy as np
import pytest

from latexify.eval.config import MAX_DRAWINGS
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.inference.voting import DRAWINGS, redraw, vote


def picture(width_px: int) -> np.ndarray:
    """A frame with a diagonal, which fills the canvas up to 2 px: uint8 [1, 32, width]."""
    pixels = np.full((1, 32, width_px), 255, np.uint8)
    pixels[0, 2:30, [2, 3, width_px - 4, width_px - 3]] = 0
    pixels[0, [2, 3, 28, 29], 2 : width_px - 2] = 0
    columns = np.arange(2, width_px - 2)
    pixels[0, 2 + (columns - 2) * 27 // (width_px - 5), columns] = 0
    return pixels


@pytest.mark.parametrize("number", range(len(DRAWINGS)))
@pytest.mark.parametrize("width_px", [32, 128])
def test_no_drawing_cuts_ink_off(number: int, width_px: int) -> None:
    """A drawing without a fraction bar or a bracket would vote for another formula."""
    pixels = picture(width_px)
    drawing = redraw(pixels, number, size_px=(32, width_px))
    assert drawing.shape == pixels.shape
    assert drawing.dtype == np.uint8
    edges = drawing.copy()
    edges[0, 1:-1, 1:-1] = 255
    assert edges.min() > 128, "the ink ends inside the picture"
    assert 0.6 < (255 - drawing).sum() / (255 - pixels).sum() < 1.4


def test_drawings_differ_and_the_first_is_the_picture_itself() -> None:
    """Equal drawings would vote for the same mistake."""
    pixels = picture(64)
    drawings = [redraw(pixels, number, size_px=(32, 64)) for number in range(len(DRAWINGS))]
    assert np.array_equal(drawings[0], pixels)
    assert len({drawing.tobytes() for drawing in drawings}) == len(DRAWINGS)


def test_empty_paper_stays_empty() -> None:
    """A damaged or blank picture must not stop the others of its batch."""
    pixels = np.full((2, 16, 32), 255, np.uint8)
    assert np.array_equal(redraw(pixels, 3, size_px=(16, 32)), pixels)
    assert np.array_equal(redraw(pixels, 3, size_px=(32, 48)), np.full((2, 32, 48), 255))


@pytest.mark.parametrize("number", range(1, len(DRAWINGS)))
def test_ink_keeps_its_size_where_the_drawing_has_room(number: int) -> None:
    """Pictures are cut to their ink: turned ink that had to shrink was read worse than the picture itself."""
    roomy = redraw(picture(64), number, size_px=(64, 128))
    assert roomy.shape == (1, 64, 128)
    rows, columns = np.nonzero(roomy[0] < 192)
    expected = np.abs(np.array(DRAWINGS[number])) @ [60, 28]
    assert [np.ptp(columns) + 1, np.ptp(rows) + 1] == pytest.approx(expected, abs=2.5)


def found(**confidences: float) -> list[Hypothesis]:
    """Hypotheses of one picture: a letter is a token."""
    return [Hypothesis(ids=[*map(ord, ids)], confidence=c, finished=c > 0) for ids, c in confidences.items()]


def test_the_answer_of_most_drawings_wins() -> None:
    """One sure mistake must not outvote two drawings that agree."""
    [ranked] = vote([[found(a=0.9, b=0.3)], [found(b=0.8)], [found(b=0.7, a=0.2)]])
    assert [chr(each.ids[0]) for each in ranked] == ["b", "a"]
    assert [each.confidence**2 for each in ranked] == pytest.approx([(0.09 + 0.64 + 0.49) / 3, (0.81 + 0.04) / 3])


def test_probabilities_of_all_answers_add_up_to_one_at_most() -> None:
    """The answers exclude each other."""
    [ranked] = vote([[found(a=0.9, bc=0.5)], [found(bc=0.9, d=0.4)]])
    assert sum(each.confidence ** (len(each.ids) + 1) for each in ranked) <= 1


def test_what_did_not_finish_comes_last() -> None:
    """A loop that was cut off is no answer."""
    unfinished = Hypothesis(ids=[1, 2], confidence=0.99, finished=False)
    [ranked] = vote([[[unfinished]], [found(a=0.1)]])
    assert [each.finished for each in ranked] == [True, False]


def test_there_are_as_many_drawings_as_the_parameter_allows() -> None:
    """The parameters are checked without NumPy and Pillow, so the number stands in two places."""
    assert len(DRAWINGS) == MAX_DRAWINGS
