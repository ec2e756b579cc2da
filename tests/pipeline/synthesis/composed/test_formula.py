"""Labels as expression trees."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.formulas.expression import Fenced, Scripts, label
from latexify.pipeline.synthesis.formulas.generator import expression


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_tree_spells_the_label_it_was_made_of(seed: int) -> None:
    """A tree that spells something else would put a wrong label beside a composed ink."""
    text = label(expression(Random(seed), min_tokens=1, max_tokens=25, max_depth=3))
    assert label(tree_of(text)) == normalize(text)


def test_leaves_follow_the_label_and_lines_their_baselines() -> None:
    """Symbols would be measured against the wrong baseline if brackets and radicals began lines of their own."""
    label_leaves = leaves(tree_of("\\sqrt[3]{x_{1}}(a+\\frac{b}{c})^{2}"))
    assert [leaf.token for leaf in label_leaves] == [
        "\\sqrt",
        "3",
        "x",
        "1",
        "(",
        "a",
        "+",
        "\\frac",
        "b",
        "c",
        ")",
        "2",
    ]
    lines = {leaf.token: leaf.line for leaf in label_leaves}
    assert {lines[token] for token in ("\\sqrt", "x", "(", "a", "+", "\\frac", ")")} == {0}
    assert len({lines[token] for token in ("x", "3", "1", "b", "c", "2")}) == 6


def test_script_of_a_bracket_belongs_to_the_pair() -> None:
    """An exponent would be raised by the height of the bracket alone, however tall what it encloses."""
    tree = tree_of("(a+b)^{2}")
    assert isinstance(tree, Scripts)
    assert isinstance(tree.base, Fenced)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\\hat{x}", "the command"),
        ("\\mbox{if } x", "text|command"),
        ("{}^{2}", "script"),
        ("\\frac{}{2}", "empty"),
        ("x&y", "stray"),
        ("", "empty"),
        ("{" * 60 + "x_{1}" + "}" * 60 + "^{2" * 60 + "}" * 60, "deep"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_reason(text: str, why: str) -> None:
    """A formula of a list that cannot be set must be counted, not end the run, nor lose a part."""
    with pytest.raises(UnsupportedFormulaError, match=why):
        tree_of(text)
