"""Typeset formulas for the page: the drawing, and the text in each format, of LaTeX that a person may have edited."""

import json
import xml.etree.ElementTree as ET
from typing import Any

from latexify.pipeline.latex import normalize
from latexify.serve.formats.formats import Format, convert_to_each
from latexify.serve.http.http_errors import malformed, too_large

MAX_FORMULAS = 10  # as many as a recognition has
MAX_CHARS = 2_000  # of one formula; the longest answers have about 1,000
FORMATS: tuple[Format, ...] = ("pretty", "display", "mathml", "typst")


def parse_formulas(body: bytes) -> list[str]:
    """Return the formulas of a body ``{"latex": ["x", …]}``.

    Raises:
        HttpError: 400 if it is something else, 413 if there are too many formulas or one is too long.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed('the body is not JSON: send {"latex": ["x^2"]}') from None
    formulas = content.get("latex") if isinstance(content, dict) else None
    if not isinstance(formulas, list) or not all(isinstance(formula, str) for formula in formulas):
        raise malformed('expected an object with a list of formulas: send {"latex": ["x^2"]}')
    if len(formulas) > MAX_FORMULAS:
        raise too_large(f"{len(formulas)} formulas, the limit is {MAX_FORMULAS}: send several requests")
    if any(len(formula) > MAX_CHARS for formula in formulas):
        raise too_large(f"a formula is longer than {MAX_CHARS} characters: send a part of it")
    return formulas


def typeset_formula(latex: str) -> dict[str, Any]:
    """Return the normal form, the drawing and the texts of a formula, as JSON values.

    ``svg`` is an SVG file without references to others, null if the formula cannot be typeset; ``reason`` then says
    why. ``formats`` and ``format_errors`` are those of `Recognition.to_answer`.
    """
    from latexify.eval.metrics.typeset import Typesetter  # noqa: PLC0415  # takes a tenth of a second to import

    normal = normalize(latex)
    typesetter = Typesetter()
    drawing = typesetter.draw(normal)
    texts, reasons = convert_to_each(normal, FORMATS)
    svg = None if drawing.svg is None else _stand_alone(drawing.svg, typesetter.glyphs_used())
    return {"latex": normal, "svg": svg, "reason": drawing.reason, "formats": texts, "format_errors": reasons}


def _stand_alone(svg: str, glyphs: list[ET.Element]) -> str:
    """Put the glyphs that a drawing refers to into it."""
    root = ET.fromstring(svg)  # noqa: S314  # made by the typesetter
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root[:0] = glyphs
    return ET.tostring(root, encoding="unicode")
