"""`/typeset`: formulas drawn and written in each format, for the page; anything else is one line."""

import json
import xml.etree.ElementTree as ET

import pytest

from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.typesetting import MAX_CHARS, MAX_FORMULAS, parse_formulas, typeset_formula


def test_a_formula_is_drawn_and_written_in_each_format() -> None:
    """What a person types need not be in the normal form."""
    formula = typeset_formula(r"\left( \frac ab \right)")
    assert formula["latex"] == r"(\frac{a}{b})"
    assert formula["formats"]["pretty"] == r"\left( \frac{a}{b} \right)"
    assert formula["formats"]["display"] == r"\[ \left( \frac{a}{b} \right) \]"
    assert formula["formats"]["mathml"].startswith("<math")
    assert "a" in formula["formats"]["typst"]
    assert (formula["reason"], formula["format_errors"]) == ("", {})


def test_a_drawing_stands_alone() -> None:
    """It is saved as a file, and drawn on a canvas, where nothing else can be referred to."""
    root = ET.fromstring(typeset_formula("x^2+x")["svg"])  # noqa: S314  # our own
    names = {element.get("id") for element in root.iter() if element.tag.endswith("symbol")}
    used = {element.attrib["href"].removeprefix("#") for element in root.iter() if element.tag.endswith("use")}
    assert used
    assert used <= names
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize(
    "latex", [r"\foo{x}", r"{x", r"\def\x{\x}\x", "", "<script>alert(1)</script>", "\\sqrt{" * 400]
)
def test_what_cannot_be_typeset_has_a_reason(latex: str) -> None:
    """A person is in the middle of typing it; markup must not come through."""
    formula = typeset_formula(latex)
    assert formula["svg"] is None or "<script" not in formula["svg"]
    assert (formula["svg"] is None) == bool(formula["reason"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 10_000, 400),
        (b'{"latex": "x"}', 400),
        (b'{"latex": [1]}', 400),
        (b"[]", 400),
        (json.dumps({"latex": ["x"] * (MAX_FORMULAS + 1)}).encode(), 413),
        (json.dumps({"latex": ["x" * (MAX_CHARS + 1)]}).encode(), 413),
    ],
)
def test_other_bodies_are_refused(body: bytes, status: int) -> None:
    """The route is open to everyone who reaches the service."""
    with pytest.raises(HttpError) as caught:
        parse_formulas(body)
    assert caught.value.status == status
