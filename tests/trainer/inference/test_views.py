"""Views of a picture that vote for an answer."""

import numpy as np
import pytest

from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.inference.views import VIEWS, view_of, vote


def picture(width_px: int) -> np.ndarray:
    """A frame with a diagonal, which fills the canvas up to 2 px: uint8 [1, 32, width]."""
    pixels = np.full((1, 32, width_px), 255, np.uint8)
    pixels[0, 2:30, [2, 3, width_px - 4, width_px - 3]] = 0
    pixels[0, [2, 3, 28, 29], 2 : width_px - 2] = 0
    columns = np.arange(2, width_px - 2)
    pixels[0, 2 + (columns - 2) * 27 // (width_px - 5), columns] = 0
    return pixels


@pytest.mark.parametrize("number", range(len(VIEWS)))
@pytest.mark.parametrize("width_px", [32, 128])
def test_no_view_cuts_ink_off(number: int, width_px: int) -> None:
    """A view without a fraction bar or a bracket would vote for another formula."""
    pixels = picture(width_px)
    view = view_of(pixels, number)
    assert view.shape == pixels.shape
    assert view.dtype == np.uint8
    edges = view.copy()
    edges[0, 1:-1, 1:-1] = 255
    assert edges.min() > 128, "the ink ends inside the picture"
    assert 0.6 < (255 - view).sum() / (255 - pixels).sum() < 1.4


def test_views_differ_and_the_first_is_the_picture_itself() -> None:
    """Equal views would vote for the same mistake."""
    pixels = picture(64)
    views = [view_of(pixels, number) for number in range(len(VIEWS))]
    assert np.array_equal(views[0], pixels)
    assert len({view.tobytes() for view in views}) == len(VIEWS)


def test_empty_paper_stays_empty() -> None:
    """A damaged or blank picture must not stop the others of its batch."""
    pixels = np.full((2, 16, 32), 255, np.uint8)
    assert np.array_equal(view_of(pixels, 3), pixels)


def found(**confidences: float) -> list[Hypothesis]:
    """Hypotheses of one picture: a letter is a token."""
    return [Hypothesis(ids=[*map(ord, ids)], confidence=c, finished=c > 0) for ids, c in confidences.items()]


def test_the_answer_of_most_views_wins() -> None:
    """One sure mistake must not outvote two views that agree."""
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
