"""The formats of an answer, in the API, on the command line and in the service."""

import json
from typing import get_args

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize
from latexify.serve.formats.formats import FORMATS, Format, convert, convert_to_each
from latexify.serve.recognizer import Recognition

LATEX = r"(\frac{a}{b})^{2}=1"


def recognition(latex: str) -> Recognition:
    """An answer of a model."""
    return Recognition(latex=latex, confidence=0.5, elapsed_s=0.1)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("latex", LATEX),
        ("pretty", r"\left( \frac{a}{b} \right)^2 = 1"),
        ("display", r"\[ \left( \frac{a}{b} \right)^2 = 1 \]"),
        ("typst", "(frac(a, b))^(2) = 1"),
    ],
)
def test_an_answer_has_each_format(target: Format, text: str) -> None:
    """What `--format` promises."""
    assert recognition(LATEX).to_format(target) == text
    if target != "typst":
        assert normalize(text) == LATEX


def test_mathml_is_one_element_on_one_line() -> None:
    """It is put into a page as it is, and a line of the command is one answer."""
    text = convert(LATEX, "mathml")
    assert text.startswith("<math")
    assert text.endswith("</math>")
    assert "\n" not in text


def test_what_a_format_cannot_express_is_a_reason() -> None:
    """A box of the unknown sign, or half a formula, would be a wrong answer without a word."""
    answer = recognition(r"\ce{H2O}").to_answer(is_calibrated=True, formats=("pretty", "typst", "mathml"))
    json.dumps(answer)
    assert answer["formats"] == {"pretty": r"\ce{H2O}", "typst": None, "mathml": None}
    assert set(answer["format_errors"]) == {"typst", "mathml"}
    assert all("\n" not in reason and r"\ce" in reason for reason in answer["format_errors"].values())
    refused: tuple[Format, ...] = ("typst", "mathml")
    for target in refused:
        with pytest.raises(LatexifyError, match=r"\\ce"):
            recognition(r"\ce{H2O}").to_format(target)


def test_formats_are_there_only_on_request() -> None:
    """Clients of the service would get more than they know."""
    assert not {"formats", "format_errors"} & recognition("x").to_answer(is_calibrated=True).keys()
    assert "format_errors" not in recognition("x").to_answer(is_calibrated=True, formats=("typst",))


def test_all_formats_are_known() -> None:
    """The names of the option are those of the converters."""
    assert get_args(Format) == FORMATS
    texts, reasons = convert_to_each("x", FORMATS)
    assert list(texts) == list(FORMATS)
    assert not reasons
