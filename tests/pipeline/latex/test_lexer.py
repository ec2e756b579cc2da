r"""The lexer: MathWriting's tokens, for any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.latex import join_tokens, tokenize

# MathWriting's own definition, as its readme gives it
OFFICIAL = re.compile(r"\\(mathbb{[a-zA-Z]}|begin{[a-z]+}|end{[a-z]+}|operatorname\*|[a-zA-Z]+|.)")


def official_tokens(text: str) -> list[str]:
    """Split as MathWriting's notebook does: the command at the front, or else one character."""
    tokens = []
    while text:
        match = OFFICIAL.match(text)
        tokens.append(match[0] if match else text[0])
        text = text[len(tokens[-1]) :]
    return tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (r"\frac{a}{2}", [r"\frac", "{", "a", "}", "{", "2", "}"]),
        (r"\mathbb{R} x", [r"\mathbb{R}", " ", "x"]),
        (r"\mathbb{RP}", [r"\mathbb", "{", "R", "P", "}"]),
        (r"\begin{Bmatrix}\end{pmatrix*}", [r"\begin{Bmatrix}", r"\end{pmatrix*}"]),
        (r"\operatorname*{x}", [r"\operatorname*", "{", "x", "}"]),
        (r"\{\|\ é", [r"\{", r"\|", "\\ ", "é"]),
        ("a\\", ["a", "\\"]),
        ("\\\n", ["\\\n"]),
        ("", []),
    ],
)
def test_tokens_of_known_text(text: str, tokens: list[str]) -> None:
    """Token error rates would be counted in other units than in published results."""
    assert tokenize(text) == tokens


@given(st.text(alphabet=st.sampled_from("\\ {}mathbgindeoprtRx*^_12")))
def test_tokens_are_mathwritings(text: str) -> None:
    """Our token error rate must be comparable with published ones."""
    if not text.endswith("\\"):
        starred = re.search(r"\\(begin|end)\{[a-zA-Z]*([A-Z]|\*)", text)
        assert starred or tokenize(text) == official_tokens(text)


@given(st.text() | st.text(alphabet="\\{} \nab*"))
def test_no_character_is_lost(text: str) -> None:
    """A label would be cut short silently."""
    assert "".join(tokenize(text)) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([r"\alpha", "b"], r"\alpha b"),
        ([r"\alpha", "2"], r"\alpha2"),
        ([r"\alpha", r"\beta", "é"], r"\alpha\betaé"),
        ([r"\mathbb{R}", "x"], r"\mathbb{R}x"),
        ([r"\{", "x", "y"], r"\{xy"),
        ([], ""),
    ],
)
def test_join_puts_a_space_only_where_it_is_needed(tokens: list[str], text: str) -> None:
    r"""Without the space ``\alpha b`` would become the unknown command ``\alphab``."""
    assert join_tokens(tokens) == text
