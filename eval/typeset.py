"""LaTeX formulas as pictures for the report, without TeX and without trusting what the formulas say.

The text comes from strangers and from a model. Nothing in it is executed: latex2mathml only translates, commands that
define other commands are refused (they could expand without end), and of the drawing only outlines of glyphs and
rectangles are kept, never a colour, a link or any other text that the formula brought along.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from latex2mathml import exceptions as latex2mathml_errors
from ziamath.escapes import unescape
from ziamath.tex import tex2mml
from ziamath.zmath import Math

MAX_CHARS = 2000
MAX_EFFORT = 10_000
"""About a second. ziamath lays out the contents of a row twice, so every level of nesting doubles the work."""
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
"""Elements of a drawing that are kept, each with the attributes that are kept."""

# What latex2mathml and ziamath raise for formulas that they cannot set, found by feeding them damaged CROHME labels.
# latex2mathml's own errors have no common base. A StopIteration inside a generator surfaces as RuntimeError, of which
# RecursionError (nested too deep) is a kind; ParseError: the label held bits of XML.
_FAILURES = (
    latex2mathml_errors.DenominatorNotFoundError,
    latex2mathml_errors.DoubleSubscriptsError,
    latex2mathml_errors.DoubleSuperscriptsError,
    latex2mathml_errors.ExtraLeftOrMissingRightError,
    latex2mathml_errors.InvalidAlignmentError,
    latex2mathml_errors.InvalidStyleForGenfracError,
    latex2mathml_errors.InvalidWidthError,
    latex2mathml_errors.LimitsMustFollowMathOperatorError,
    latex2mathml_errors.MissingEndError,
    latex2mathml_errors.MissingSuperScriptOrSubscriptError,
    latex2mathml_errors.NoAvailableTokensError,
    latex2mathml_errors.NumeratorNotFoundError,
    ET.ParseError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    StopIteration,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A formula as it can be shown: `svg` (markup safe to embed) or, where that is None, the `reason` why not."""

    svg: str | None
    reason: str = ""


@dataclass(slots=True)
class Typesetter:
    """Draws formulas that share one set of glyphs.

    The drawings refer to glyphs by id: put :meth:`glyphs` once into the page that shows them.
    """

    _symbols: dict[str, ET.Element] = field(default_factory=dict)

    def draw(self, latex: str) -> Formula:
        """Set a formula (without dollars). Never raises for the formula's sake: the reason says what was wrong."""
        refusal = _refusal(latex)
        if refusal:
            return Formula(svg=None, reason=refusal)
        try:
            mathml = ET.fromstring(unescape(tex2mml(latex)))  # noqa: S314  # our own translation; expat has no network
            unknown = _unknown_command(mathml)
            if unknown:
                return Formula(svg=None, reason=f"unknown command {unknown}")
            if _effort(mathml) > MAX_EFFORT:
                return Formula(svg=None, reason="nested too deep")
            drawing = Math(mathml, size=FONT_SIZE_PX, margin=2.0).svgxml()
        except _FAILURES as error:
            return Formula(svg=None, reason=_describe(error))
        return Formula(svg=ET.tostring(self._cleaned(drawing, alt=latex), encoding="unicode"))

    def glyphs(self) -> str:
        """An invisible SVG element with every glyph that the drawings so far refer to."""
        root = ET.Element("svg", {"width": "0", "height": "0", "aria-hidden": "true", "class": "glyphs"})
        root.extend(self._symbols[name] for name in sorted(self._symbols))
        return ET.tostring(root, encoding="unicode")

    def _cleaned(self, drawing: ET.Element, *, alt: str) -> ET.Element:
        kept = {name: drawing.attrib[name] for name in ("width", "height", "viewBox")}
        root = ET.Element("svg", {**kept, "role": "img", "aria-label": alt, "class": "formula"})
        self._copy_into(root, drawing)
        return root

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
        name = _glyph_id(element.attrib["id"])
        if name not in self._symbols:
            symbol = ET.Element("symbol", {"id": name, "viewBox": element.attrib["viewBox"]})
            for path in element.iter("path"):
                ET.SubElement(symbol, "path", {"d": path.attrib["d"]})
            self._symbols[name] = symbol


def _refusal(latex: str) -> str:
    """Why a formula is not even tried; empty where it may be."""
    if not latex.strip():
        return "empty"
    if len(latex) > MAX_CHARS:
        return f"longer than {MAX_CHARS} characters"
    definition = _DEFINITION.search(latex)
    return f"{definition.group()} is not allowed" if definition else ""


def _effort(element: ET.Element, *, weight: int = 1) -> int:
    """How many times ziamath will lay out a symbol, over all symbols of the formula."""
    if len(element) == 0:
        return weight
    inner = 2 * weight if element.tag.rpartition("}")[2] == "mrow" else weight
    return sum(_effort(child, weight=inner) for child in element)


def _unknown_command(mathml: ET.Element) -> str:
    """latex2mathml passes a command that it does not know through as an identifier; the first of them, or nothing."""
    texts = (element.text or "" for element in mathml.iter() if element.tag.rpartition("}")[2] in {"mi", "mo"})
    return next((text for text in texts if re.match(r"\\[a-zA-Z]", text)), "")


def _glyph_id(name: str) -> str:
    """The name that ziafont gives a glyph, with nothing in it but letters, digits, `_` and `-`."""
    return "glyph-" + re.sub(r"[^\w-]", "", name.removeprefix("#"), flags=re.ASCII)


def _describe(error: BaseException) -> str:
    """latex2mathml's errors speak through their names: ``DoubleSubscriptsError`` -> ``double subscripts``."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, latex2mathml_errors.NoAvailableTokensError | AssertionError):
        return "an argument is missing"  # ziamath asserts the number of arguments
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error").replace("Script", "script"))
    known = isinstance(error, _FAILURES[: _FAILURES.index(ET.ParseError)])
    return words.lower() if known else f"the typesetter failed ({words.lower()})"
