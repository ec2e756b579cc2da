"""The recogniser: the same answers however pictures come together, and confidences that mean something."""

from typing import Any

import numpy as np
import pytest
import torch

from latexify.common.errors import LatexifyError
from latexify.serve import recognizer as recognizer_module
from latexify.serve.recognizer import Recognizer
from tests.support.handwriting import inkml, strokes
from tests.support.reading_models import export_folder, make_loaded


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A model with random weights, which gives varied answers, loaded."""
    scratch = tmp_path_factory.mktemp("model")
    torch.set_num_threads(1)
    return Recognizer(export_folder(make_loaded("hybrid", scratch), scratch / "out"), device="cpu")


@pytest.mark.parametrize("num_beams", [1, 3])
def test_other_pictures_change_no_answer(recognizer: Recognizer, num_beams: int) -> None:
    """Each formula of a page gets the answer that it gets alone, every time."""
    generator = np.random.default_rng(2)
    pictures = [recognizer.draw([generator.random((8, 2)), generator.random((5, 2)) + 1]) for _ in range(20)]
    alone = [recognizer.read([picture], num_beams=num_beams)[0] for picture in pictures]
    for _ in range(2):
        together = recognizer.read(pictures, num_beams=num_beams)
        assert [answer.latex for answer in together] == [answer.latex for answer in alone]
        assert [answer.confidence for answer in together] == pytest.approx(
            [answer.confidence for answer in alone], abs=1e-4
        )
        assert [len(answer.alternatives) for answer in together] == [len(answer.alternatives) for answer in alone]
    assert recognizer.read([]) == []


def test_strokes_and_their_file_are_the_same_ink(recognizer: Recognizer) -> None:
    """From Python or from a file: the model sees the same."""
    assert np.array_equal(recognizer.draw(strokes()), recognizer.picture_of(inkml()))
    assert np.array_equal(recognizer.draw([stroke.tolist() for stroke in strokes()]), recognizer.draw(strokes()))
    nothings: list[Any] = [[], [[]]]
    for nothing in nothings:
        with pytest.raises(LatexifyError, match="nothing to draw"):
            recognizer.draw(nothing)
    wrongs: list[Any] = [[[1, 2, 3]], [[[1, 2, 3]]], [[[1, "x"]]], [[[1, 2], [3]]], [[{}]]]
    for wrong in wrongs:
        with pytest.raises(LatexifyError, match="stroke 0"):
            recognizer.draw(wrong)
    with pytest.raises(LatexifyError, match="finite"):
        recognizer.draw([np.array([[0, np.nan]])])


@pytest.mark.parametrize("num_drawings", [1, 3])
def test_the_confidences_of_a_picture_are_at_most_1_together(recognizer: Recognizer, num_drawings: int) -> None:
    """They exclude each other; they are shown side by side, the best first."""
    [answer] = recognizer.read([recognizer.draw(strokes())], num_beams=8, num_drawings=num_drawings)
    confidences = [answer.confidence, *(other.confidence for other in answer.alternatives)]
    assert len(confidences) > 1
    assert sum(confidences) <= 1
    assert confidences == sorted(confidences, reverse=True)


def test_an_unfinished_answer_has_confidence_0(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are most confident in loops."""
    monkeypatch.setattr(recognizer_module, "MAX_TOKENS", 1)
    answer = recognizer.read([recognizer.draw(strokes())])[0]
    assert answer.confidence == 0 or answer.latex == ""
