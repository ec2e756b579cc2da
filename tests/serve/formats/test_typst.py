"""Typst of a formula: it says the same, and Typst compiles it."""

import json

import pytest
import typst
from hypothesis import given, settings

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize
from latexify.serve.formats.mathml import to_mathml
from latexify.serve.formats.rare_signs import RARE_SIGNS
from latexify.serve.formats.typst import to_typst
from tests.support.formulas import FORMULAS
from tests.support.repository import REPOSITORY


def compiles(formula: str) -> bytes:
    """The drawing that Typst makes of a formula; an error if it does not know a name, or a warning."""
    source = f"#set page(width: auto, height: auto, margin: 2pt)\n$ {formula} $\n".encode()
    drawing, warnings = typst.compile_with_warnings(source, format="svg")
    assert not warnings, warnings
    return bytes(drawing)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("ab+12.5x", "a b + 12.5 x"),
        (r"\frac{a+b}{c}", "frac(a + b, c)"),
        (r"\sqrt[3]{x}\sqrt{2}", "root(3, x) sqrt(2)"),
        ("x_{1}^{2}", "x_(1)^(2)"),
        (r"f^{\prime}(x)", "f' (x)"),
        (r"f_{1}^{\prime2}", "f'_(1)^(2)"),
        ("{}_{2}F_{1}", '""_(2) F_(1)'),
        ("{a+b}^{2}", "attach(a + b, t: 2)"),
        (r"\sin x\ne y", "sin x ≠ y"),
        ("[0,1)", "[ 0, 1)"),
        (r"\frac{(}{1,2}", r"frac(\(, 1 \, 2)"),
        ("a/b", r"a \/ b"),
        (r"(\begin{matrix}a&b\\c&d\end{matrix})^{2}", 'mat(delim: "(", a, b; c, d)^(2)'),
        (r"\{\begin{matrix}a&b\\c&d\end{matrix}", "cases(a & quad b, c & quad d)"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"a & = b \ c & = d"),
        (r"|\frac{a}{b}|", "lr(| frac(a, b) |)"),
        (r"\|x,y\|^{2}", "lr(‖ x, y ‖)^(2)"),
        (r"f_{1}^{\prime}", "f'_(1)"),
        (r"\{\begin{aligned}a&=b\\c&=d\end{aligned}", "cases(a & = b, c & = d)"),
        (r"\mathrm{erf}(x)\mathbb{R}", '"erf" (x) bb(R)'),
        (r"\text{if~so}", '"if so"'),
        (r"\not{\equiv}", "≢"),
    ],
)
def test_formulas_are_written_as_typst(latex: str, expected: str) -> None:
    """Read by eye against Typst's reference."""
    assert normalize(latex) == latex
    assert to_typst(latex) == expected
    compiles(expected)


def test_every_token_of_the_shipped_model_is_known() -> None:
    """An answer of the model that ships would have no Typst."""
    vocabulary = json.loads((REPOSITORY / "models/crohme-small/tokenizer.json").read_text(encoding="utf-8"))
    structure = {"<s>", "<pad>", "</s>", "<unk>", "{", "}", "^", "_", "&", r"\\", r"\frac", r"\sqrt", r"\mathrm"}
    names = ("matrix", "aligned", "gathered", "cases")
    structure |= {f"\\{side}{{{name}}}" for side in ("begin", "end") for name in names}
    tokens = [token for token in vocabulary["model"]["vocab"] if token not in structure]
    assert len(tokens) > 200
    written = {token: to_typst(token) for token in tokens}
    compiles(" ".join(written.values()))
    for token, text in written.items():
        compiles(to_typst(rf"\frac{{{token}}}{{2}}"))
        assert compiles(f"a {text} b") != compiles("a b"), token


def test_every_rare_sign_is_known_in_typst_and_mathml() -> None:
    """A model of someone else may write signs that the shipped one does not."""
    assert len(RARE_SIGNS) > 50
    for token, sign in RARE_SIGNS.items():
        assert compiles(f"a {to_typst(token)} b") != compiles("a b"), token
        assert sign in to_mathml(token), token


def test_different_tokens_are_drawn_differently() -> None:
    """Two signs with one name in Typst would be a wrong answer."""
    vocabulary = json.loads((REPOSITORY / "models/crohme-small/tokenizer.json").read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    alike = []
    for token in vocabulary["model"]["vocab"]:
        if token[0] == "\\" and token[1:].isalpha() and token not in {r"\frac", r"\sqrt", r"\mathrm"}:
            other = names.setdefault(to_typst(token), token)
            if other != token:
                alike.append((other, token))
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


@settings(max_examples=150, deadline=None)
@given(FORMULAS)
def test_any_formula_compiles(latex: str) -> None:
    """A comma or a bracket in the wrong place ends a function."""
    compiles(to_typst(latex))


@pytest.mark.parametrize(
    "latex",
    [r"\ce{H2O}", r"\foo{a}", r"\begin{foo}a\end{foo}", r"\not{\alpha\beta}", "x^", r"\sideset{a}{b}", r"\Join"],
)
def test_what_typst_has_no_name_for_is_one_line(latex: str) -> None:
    """A guess would be a wrong formula."""
    with pytest.raises(LatexifyError) as raised:
        to_typst(latex)
    assert "\n" not in str(raised.value)
