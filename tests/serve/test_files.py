"""Answers of files: those of pictures that hold no formula are doubtful."""

from pathlib import Path

import pytest

from latexify.common.package_data import default_model
from latexify.serve.files import FileAnswer, answer_files
from latexify.serve.recognizer import Recognizer
from tests.support.no_formulas import NO_FORMULAS


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The shipped model, which is calibrated."""
    recognizer = Recognizer(default_model(), num_threads=1)
    assert recognizer.is_calibrated
    return recognizer


@pytest.mark.parametrize("num_beams", [1, 3])
def test_pictures_without_a_formula_are_named(tmp_path: Path, recognizer: Recognizer, num_beams: int) -> None:
    """A page of print gave a line of nonsense, as if it were an answer."""
    for name, draw in NO_FORMULAS.items():
        draw().save(tmp_path / f"{name}.png")
    files = sorted(map(str, tmp_path.iterdir()))
    answers = list(answer_files(recognizer, files, num_beams=num_beams))
    assert len(answers) == len(NO_FORMULAS) > 12
    for answer in answers:
        assert isinstance(answer, FileAnswer)
        assert answer.is_doubtful, (answer.name, answer.recognition.confidence)
