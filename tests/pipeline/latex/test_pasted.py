r"""Signs that are pasted or typed on other keyboards: what is drawn the same has one token."""

# ruff: noqa: RUF001  # the signs are what is tested

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.latex.pasted import SIGNS, script, spelling
from latexify.pipeline.latex.tables import ARITY, SYMBOLS


@pytest.mark.parametrize(
    ("pasted", "canonical"),
    [
        ("x²", "x^{2}"),
        ("x⁻¹⁰", "x^{-10}"),
        ("x₁²", "x_{1}^{2}"),
        ("aₙ₊₁", "a_{n+1}"),
        ("x^²", "x^{2}"),
        ("x'²", r"x^{\prime2}"),
        ("²", "{}^{2}"),
        ("½", r"\frac{1}{2}"),
        ("2¾x", r"2\frac{3}{4}x"),
        ("x^½", r"x^{\frac{1}{2}}"),
        ("90°", r"90^{\circ}"),
        (r"90\degree", r"90^{\circ}"),
        (r"90^\circ", r"90^{\circ}"),
        (r"90^{\circ}", r"90^{\circ}"),
        (r"90^\degree", r"90^{\circ}"),
        (r"90^{\degree}", r"90^{\circ}"),
        ("90^°", r"90^{\circ}"),
        ("20℃", r"20^{\circ}C"),
        (r"25\,\text{ °C}", r"25^{\circ}C"),
        (r"180 \text{º}", r"180^{\circ}"),
        (r"5\mbox{℃}", r"5^{\circ}C"),
        (r"5\text{° and more}", r"5^{\circ}\text{and~more}"),
        ("5°30′", r"5^{\circ}30^{\prime}"),
        ("x∈ℝ", r"x\in\mathbb{R}"),
        ("p⇒q⇔r", r"p\Rightarrow q\Leftrightarrow r"),
        ("a−b–c‐d", "a-b-c-d"),
        ("a∥b", r"a\parallel b"),
        ("‖x‖", r"\|x\|"),
        ("ϵ≠ε", r"\epsilon\ne\varepsilon"),
        ("a∗b", "a*b"),
        ("ΑΒΓ", r"AB\Gamma"),
        ("２＋３×（ｘ－１）＝５", r"2+3\times(x-1)=5"),
        ("［０，１）", "[0,1)"),
        ("｛ｘ｜ｘ＞０｝", r"\{x|x>0\}"),
        ("５０％", r"50\%"),
        ("𝐱+𝑥", r"\mathbf{x}+x"),
        ("𝛼𝒜𝔽𝔤", r"\alpha\mathcal{A}\mathbb{F}\mathfrak{g}"),
        ("\u2126\u212b", r"\Omega\AA"),
        (r"\left（x\right）", "(x)"),
        ("√2", r"\sqrt{2}"),
        ("a\u3000b", "ab"),
    ],
)
def test_pasted_signs_become_commands(pasted: str, canonical: str) -> None:
    """The vocabulary would double, and right answers would count as errors."""
    assert normalize(pasted) == canonical
    assert normalize(canonical) == canonical


@pytest.mark.parametrize("sign", ["—", "。", "漢", "ª", "™", "ⅆ", "Ⅱ", "€", "𝓐", "é"])
def test_signs_that_look_like_no_command_stay(sign: str) -> None:
    """A long dash is no minus, a bold script A none that is not bold."""
    assert normalize(sign) == sign


def test_text_keeps_its_signs() -> None:
    """Prose is no mathematics."""
    assert normalize(r"\text{für – €}") == r"\text{für~–~€}"


def test_every_command_of_the_table_is_one() -> None:
    """A slip of the pen would make a token that nobody else writes."""
    assert {command for command in SIGNS if command not in SYMBOLS} == {r"\sqrt"}
    assert r"\sqrt" in ARITY


def test_no_two_commands_have_one_sign() -> None:
    """Two signs that are drawn differently would become the same label."""
    signs = [sign for sign in SIGNS.values() if spelling(sign) is not None]
    assert len(signs) == len(set(signs)) == len(SIGNS)
    assert all(spelling(sign) == (command,) for command, sign in SIGNS.items())


@given(st.characters())
def test_any_character_has_at_most_one_spelling(character: str) -> None:
    """Whatever is typed gives tokens of LaTeX, or stays itself."""
    spelt, raised = spelling(character), script(character)
    assert spelt is None or raised is None
    tokens = [*(spelt or ()), *(raised[1] if raised else ())]
    assert all(tokenize(token) == [token] and token.isascii() for token in tokens)
    once = normalize("a" + character + "b")
    assert normalize(once) == once


def test_letters_of_other_alphabets_are_not_merged_with_plain_ones() -> None:
    """Only the italic letters are the plain ones of mathematics."""
    for code in range(0x1D400, 0x1D800):
        name = unicodedata.name(chr(code), "")
        spelt = spelling(chr(code))
        if spelt is not None and len(spelt) == 1:
            assert name.startswith("MATHEMATICAL ITALIC"), name
