"""MathML of a formula: well formed, complete, or refused."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from ziamath.zmath import Math

from latexify.common.errors import LatexifyError
from latexify.eval.metrics import layout
from latexify.eval.metrics.typeset import FONT_SIZE_PX
from latexify.eval.metrics.visual import similarity
from latexify.pipeline.latex import normalize
from latexify.pipeline.latex.tables import OPERATORS
from latexify.serve.formats.mathml import to_mathml
from latexify.serve.formats.pretty import to_pretty
from tests.support.formulas import FORMULAS
from tests.support.repository import REPOSITORY


def parsed(latex: str) -> ET.Element:
    """The MathML of a formula."""
    return ET.fromstring(to_mathml(latex))  # noqa: S314  # our own


def outline(latex: str) -> str:
    """The elements and texts of a formula's MathML, without attributes and rows of one element."""

    def of(element: ET.Element) -> str:
        name, inner = element.tag.rpartition("}")[2], [of(child) for child in element]
        if name == "mrow" and len(inner) == 1:
            return inner[0]
        return f"{name}({' '.join(inner) or (element.text or '')})"

    inside = [of(element) for element in parsed(latex)]
    return inside[0] if len(inside) == 1 else f"mrow({' '.join(inside)})"


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{a}{b}", "mfrac(mi(a) mi(b))"),
        ("x_{1}^{2}", "msubsup(mi(x) mn(1) mn(2))"),
        (r"\sqrt{2}", "msqrt(mn(2))"),
        (r"\sqrt[3]{x}", "mroot(mi(x) mn(3))"),
        (r"f^{\prime}", "msup(mi(f) mo(\N{PRIME}))"),
        (r"\sin x", "mrow(mi(sin) mspace() mi(x))"),
        ("a<b", "mrow(mi(a) mo(<) mi(b))"),
        (r"\lim_{n}a", "mrow(munder(mi(lim) mi(n)) mspace() mi(a))"),
        (r"\sum_{i}^{n}", "munderover(mo(\N{N-ARY SUMMATION}) mi(i) mi(n))"),
        (r"\int_{0}^{1}", "msubsup(mo(\N{INTEGRAL}) mn(0) mn(1))"),
        ("{}_{2}F", "mrow(msub(mrow() mn(2)) mi(F))"),
        ("{a+b}^{2}", "msup(mrow(mi(a) mo(+) mi(b)) mn(2))"),
        (r"(\frac{a}{b})^{2}", "msup(mrow(mo(() mfrac(mi(a) mi(b)) mo())) mn(2))"),
        (r"\begin{matrix}a&b\end{matrix}", "mtable(mtr(mtd(mi(a)) mtd(mi(b))))"),
        (r"\begin{aligned}a&=b\\c&\end{aligned}", "mtable(mtr(mtd(mi(a)) mtd(mo(=) mi(b))) mtr(mtd(mi(c)) mtd()))"),
        (r"a\\b", "mtable(mtr(mtd(mi(a))) mtr(mtd(mi(b))))"),
        (r"\tilde{x}", "mover(mi(x) mo(~))"),
    ],
)
def test_formulas_are_written_as_mathml(latex: str, expected: str) -> None:
    """The structure is what a screen reader speaks."""
    assert outline(latex) == expected


def test_every_sign_of_the_shipped_model_is_written() -> None:
    """An answer of the model that ships would have no MathML, or the name of a command in it."""
    vocabulary = json.loads((REPOSITORY / "models/crohme-small/tokenizer.json").read_text(encoding="utf-8"))
    structure = {"<s>", "<pad>", "</s>", "<unk>", "{", "}", "^", "_", "&", r"\\", r"\frac", r"\sqrt", r"\mathrm"}
    names = ("matrix", "aligned", "gathered", "cases")
    structure |= {f"\\{side}{{{name}}}" for side in ("begin", "end") for name in names}
    signs = [token for token in vocabulary["model"]["vocab"] if token not in structure]
    assert len(signs) > 200
    texts: dict[str, str] = {}
    alike = []
    for token in signs:
        text = "".join(parsed(token).itertext())
        assert text == token[1:] if token in OPERATORS else len(text.removesuffix("\u0338")) == 1, token
        if texts.setdefault(text, token) != token:
            alike.append((texts[text], token))
    assert sorted(alike) == [
        (r"\cdot", r"\centerdot"),
        (r"\emptyset", r"\varnothing"),
        (r"\frown", r"\smallfrown"),
        (r"\gneqq", r"\gvertneqq"),
        (r"\lneqq", r"\lvertneqq"),
        (r"\nparallel", r"\nshortparallel"),
        (r"\parallel", r"\shortparallel"),
        (r"\propto", r"\varpropto"),
        (r"\setminus", r"\smallsetminus"),
        (r"\sim", r"\thicksim"),
        (r"\smile", r"\smallsmile"),
        (r"\supsetneqq", r"\varsupsetneqq"),
        (r"\triangle", r"\bigtriangleup"),
        (r"\triangledown", r"\bigtriangledown"),
    ]


LOOKS = [
    *(r"\frac{a}{b}", r"x_{1}^{2}", r"\sqrt[3]{x}", r"\sqrt{2}", "-x+y=-2", r"\sum_{i=1}^{n}i", r"\int_{0}^{1}xdx"),
    *(r"(\frac{a}{b})^{2}", r"|\frac{a}{b}|", r"(a+b)^{2}", "{a+b}^{2}", "{}_{2}F_{1}", r"\lim_{n\rightarrow\infty}a"),
    *(r"(\begin{matrix}a&b\\c&d\end{matrix})", r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"\mathbb{R}\mathbf{x}"),
    *(r"\alpha\le\beta", "12.5", "a<b", r"\binom{n}{k}", r"\begin{cases}a&b\\c&d\end{cases}"),
]


@pytest.mark.parametrize("latex", LOOKS)
def test_mathml_looks_like_the_latex(latex: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn by another program: ziamath, once from the LaTeX and once from our MathML."""
    expected = layout.lay_out(to_pretty(latex))
    drawn = Math(parsed(latex), size=FONT_SIZE_PX)
    monkeypatch.setattr(layout, "typeset", lambda _: drawn)
    assert similarity(expected, layout.lay_out(latex)) == 1


@settings(max_examples=200, deadline=None)
@given(FORMULAS)
def test_any_formula_is_well_formed(latex: str) -> None:
    """A page with broken markup shows nothing behind it."""
    assert parsed(latex).tag.endswith("math")


@pytest.mark.parametrize("latex", [r"\ce{H2O}", r"\foo{a}", "x^", r"\frac{1}"])
def test_what_mathml_cannot_say_is_one_line(latex: str) -> None:
    """The name of a command among the variables would be a wrong formula."""
    with pytest.raises(LatexifyError) as raised:
        to_mathml(normalize(latex))
    assert "\n" not in str(raised.value)
