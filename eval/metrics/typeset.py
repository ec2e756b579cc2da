"""Typesetting of untrusted LaTeX formulas without TeX: as SVG, or as a layout to compare.

Labels come from strangers, predictions from a model. Nothing in them is executed: latex2mathml only translates,
commands that define other commands are refused (they could expand without end), and only outlines of glyphs and
rectangles are kept of the drawing, never a colour, a link or other text of the formula.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from latex2mathml import exceptions as translation_errors
from ziamath.escapes import unescape
from ziamath.operators import names as NAMES  # noqa: N812  # a constant there too
from ziamath.tex import tex2mml
from ziamath.zmath import Math

from latexify.eval.metrics.parallel import for_each_formula
from latexify.pipeline.latex import tokenize

MAX_CHARS = 2000
MAX_EFFORT = 10_000
"""Takes about a second. ziamath lays out the contents of a row twice, so each level of nesting doubles the work."""
FONT_SIZE_PX = 20.0

_DEFINITION = re.compile(
    r"\\(?:re)?(?:newcommand|newenvironment)|\\providecommand|\\DeclareMathOperator|\\[gex]?def(?![a-zA-Z])|\\let(?![a-zA-Z])"
)
_GEOMETRY = {
    "path": {"d"},
    "rect": {"x", "y", "width", "height"},
    "line": {"x1", "y1", "x2", "y2", "stroke-width"},
    "use": {"x", "y", "width", "height"},
    "g": set[str](),
}
"""Elements of a drawing to keep, each with the attributes to keep."""

# latex2mathml's own errors have no common base class
_TRANSLATION_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(translation_errors).values() if isinstance(error, type) and issubclass(error, Exception)
)
# What latex2mathml and ziamath raise for formulas that they cannot typeset, found by giving them damaged CROHME labels.
# A StopIteration inside a generator surfaces as RuntimeError, which is the base of RecursionError (nested too deep).
# ParseError: the label contained pieces of XML.
_FAILURES: tuple[type[Exception], ...] = (
    *_TRANSLATION_ERRORS,
    *(ET.ParseError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, StopIteration),
)


class TypesetError(Exception):
    """A formula cannot be typeset; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypesetFormula:
    """A drawn formula."""

    svg: str | None  # markup that is safe to embed
    reason: str = ""  # why there is no `svg`


@dataclass(slots=True)
class Typesetter:
    """Draws formulas that share one set of glyphs.

    The drawings refer to glyphs by id, so the page that shows them must include :meth:`glyphs` once.
    """

    _symbols: dict[str, ET.Element] = field(default_factory=dict)  # those of the formulas drawn so far
    _prepared: dict[str, tuple[TypesetFormula, list[ET.Element]]] = field(default_factory=dict)
    num_glyph_bytes: int = 0  # of their markup

    def prepare(self, formulas: Iterable[str], *, jobs: int) -> None:
        """Typeset formulas in `jobs` processes, so that :meth:`draw` only has to look them up."""
        missing = [latex for latex in formulas if latex not in self._prepared]
        self._prepared |= for_each_formula(_draw_each, missing, jobs=jobs)

    def draw(self, latex: str) -> TypesetFormula:
        """Typeset a formula (without dollar signs). Never raises because of the formula; failures have a `reason`."""
        if latex not in self._prepared:
            return self._draw(latex)
        formula, symbols = self._prepared[latex]
        for symbol in symbols:
            self._add(symbol)
        return formula

    def _draw(self, latex: str) -> TypesetFormula:
        try:
            drawing = typeset(latex).svgxml()
        except TypesetError as error:
            return TypesetFormula(svg=None, reason=str(error))
        except _FAILURES as error:
            return TypesetFormula(svg=None, reason=_reason(error))
        kept = {name: drawing.attrib[name] for name in ("width", "height", "viewBox")}
        cleaned = ET.Element("svg", {**kept, "role": "img", "aria-label": latex, "class": "formula"})
        self._copy_into(cleaned, drawing)
        return TypesetFormula(svg=ET.tostring(cleaned, encoding="unicode"))

    def glyphs(self) -> str:
        """Return an invisible SVG element with every glyph that the drawings so far refer to."""
        root = ET.Element("svg", {"width": "0", "height": "0", "aria-hidden": "true", "class": "glyphs"})
        root.extend(self._symbols[name] for name in sorted(self._symbols))
        return ET.tostring(root, encoding="unicode")

    def _copy_into(self, target: ET.Element, source: ET.Element) -> None:
        for element in source:
            if element.tag == "symbol":
                self._keep_symbol(element)
            elif element.tag in _GEOMETRY:
                kept = {name: element.attrib[name] for name in _GEOMETRY[element.tag] & element.attrib.keys()}
                if element.tag == "use":
                    kept["href"] = "#" + _glyph_id(element.attrib["href"])
                if element.tag == "line":
                    kept["stroke"] = "currentColor"
                if element.get("fill") == "none":
                    kept["fill"] = "none"
                self._copy_into(ET.SubElement(target, element.tag, dict(sorted(kept.items()))), element)

    def _keep_symbol(self, element: ET.Element) -> None:
        symbol = ET.Element("symbol", {"id": _glyph_id(element.attrib["id"]), "viewBox": element.attrib["viewBox"]})
        for path in element.iter("path"):
            ET.SubElement(symbol, "path", {"d": path.attrib["d"]})
        self._add(symbol)

    def _add(self, symbol: ET.Element) -> None:
        name = symbol.attrib["id"]
        if name not in self._symbols:
            self._symbols[name] = symbol
            self.num_glyph_bytes += len(ET.tostring(symbol, encoding="unicode"))

    def glyphs_used(self) -> list[ET.Element]:
        """Return the elements of all glyphs that the drawings so far refer to."""
        return list(self._symbols.values())


def _draw_each(formulas: Sequence[str]) -> dict[str, tuple[TypesetFormula, list[ET.Element]]]:
    """Typeset formulas (runs in a worker); each comes with the glyphs that it refers to."""
    drawn = {}
    for latex in formulas:
        typesetter = Typesetter()
        drawn[latex] = typesetter.draw(latex), typesetter.glyphs_used()
    return drawn


def typeset(latex: str) -> Math:
    """Lay out a formula (without dollar signs) at FONT_SIZE_PX.

    Raises only TypesetError because of the formula: if it cannot be typeset.
    """
    if refusal := _refusal(latex):
        raise TypesetError(refusal)
    try:
        mathml = ET.fromstring(unescape(tex2mml(latex)))  # noqa: S314  # our own translation; expat has no network
        _unwrap(mathml)
        if unknown := _unknown_command(mathml):
            raise TypesetError(f"unknown command {unknown}")
        if _effort(mathml) > MAX_EFFORT:
            raise TypesetError("nested too deep")
        return Math(mathml, size=FONT_SIZE_PX, margin=2.0)
    except _FAILURES as error:
        raise TypesetError(_reason(error)) from None


def _refusal(latex: str) -> str:
    """Why a formula is refused without trying; empty if it is not."""
    if not latex.strip():
        return "empty"
    if len(latex) > MAX_CHARS:
        return f"longer than {MAX_CHARS} characters"
    if definition := _DEFINITION.search(latex):
        return f"{definition.group()} is not allowed"
    return "" if _is_balanced(latex) else "unbalanced braces"


def _is_balanced(latex: str) -> bool:
    """Whether all braces are balanced: latex2mathml accepts unbalanced ones, TeX does not."""
    depth = 0
    for token in tokenize(latex):
        depth += (token == "{") - (token == "}")
        if depth < 0:
            return False
    return depth == 0


def _unwrap(mathml: ET.Element) -> None:
    """Remove rows with a single child: as in TeX, `x^{2}` then looks like `x^2`, and takes half the time.

    Operators keep their row because `{+}` has no space around it. Rows with line breaks (`mspace`) are also kept.
    """
    for element in list(mathml.iter()):
        for i, child in enumerate(list(element)):
            while _is_row(child) and len(child) == 1 and not _is_operator(child[0]):
                child = child[0]  # noqa: PLW2901  # the inner element replaces its row
            element[i] = child
    if len(mathml) == 1 and _is_row(mathml[0]) and not any(_tag(child) == "mspace" for child in mathml[0]):
        mathml[:] = list(mathml[0])


def _is_row(element: ET.Element) -> bool:
    return _tag(element) == "mrow" and not element.attrib


def _is_operator(element: ET.Element) -> bool:
    """Whether ziamath treats it as an operator, as it does with some identifiers."""
    return _tag(element) in {"mo", "mspace"} or (element.text or "").strip() in NAMES


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _effort(element: ET.Element, *, weight: int = 1) -> int:
    """Total number of symbol layouts that ziamath will compute for the formula."""
    if len(element) == 0:
        return weight
    inner = 2 * weight if _tag(element) == "mrow" else weight
    return sum(_effort(child, weight=inner) for child in element)


def _unknown_command(mathml: ET.Element) -> str:
    """The first unknown command, or nothing: latex2mathml passes those through as identifiers."""
    texts = (element.text or "" for element in mathml.iter() if _tag(element) in {"mi", "mo"})
    return next((text for text in texts if re.match(r"\\[a-zA-Z]", text)), "")


def _glyph_id(name: str) -> str:
    """Ziafont's name of a glyph, reduced to letters, digits, `_` and `-`."""
    return "glyph-" + re.sub(r"[^\w-]", "", name.removeprefix("#"), flags=re.ASCII)


def _reason(error: BaseException) -> str:
    """A message from the name of latex2mathml's error: ``DoubleSubscriptsError`` -> ``double subscripts``."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, translation_errors.NoAvailableTokensError | AssertionError):
        return "an argument is missing"  # ziamath asserts the number of arguments
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error").replace("Script", "script"))
    return words.lower() if isinstance(error, _TRANSLATION_ERRORS) else f"the typesetter failed ({words.lower()})"
