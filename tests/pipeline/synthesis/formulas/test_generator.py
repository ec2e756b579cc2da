"""The grammar of the embedded dataset."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Lines,
    Matrix,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
    label,
    row,
    tokens,
)
from latexify.pipeline.synthesis.formulas.generator import SHORT_SHARE, expression
from latexify.pipeline.synthesis.formulas.symbols import TERMINALS


def parts(node: Node) -> tuple[Node, ...]:  # noqa: PLR0911 (one for each kind of node)
    """The children of a node."""
    match node:
        case Symbol():
            return ()
        case Row(items):
            return items
        case Scripts(base, sub, sup):
            return tuple(part for part in (base, sub, sup) if part is not None)
        case Fraction(numerator, denominator):
            return numerator, denominator
        case Root(radicand, index):
            return (radicand,) if index is None else (radicand, index)
        case Fenced(_, body, _):
            return (body,)
        case Matrix(rows) | Lines(_, rows):
            return tuple(cell for cells in rows for cell in cells if cell is not None)


def nesting(node: Node) -> int:
    """How deep fractions, roots, scripts and matrices nest in a tree; the base of scripts is not inside them."""
    inner = max((nesting(part) for part in parts(node)), default=0)
    if isinstance(node, Scripts):
        scripts = [nesting(part) for part in (node.sub, node.sup) if part is not None]
        return max(nesting(node.base), 1 + max(scripts))
    return inner + isinstance(node, Fraction | Root | Matrix)


def sample(count: int, **limits: int) -> list[Node]:
    """So many expressions."""
    return [expression(Random(f"{number}"), **limits) for number in range(count)]


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(0, 60), st.integers(0, 4))
def test_length_and_nesting_stay_within_their_limits(seed: int, least: int, spare: int, depth: int) -> None:
    """A label longer than `max_tokens` would be cut or rejected later; a deeper one would be illegibly small."""
    tree = expression(Random(seed), min_tokens=least, max_tokens=least + spare, max_depth=depth)
    assert least <= len(tokens(tree)) <= least + spare
    assert nesting(tree) <= depth


@pytest.mark.parametrize(("max_tokens", "depth"), [(3, 0), (12, 2), (40, 3)])
def test_labels_are_already_normalised(max_tokens: int, depth: int) -> None:
    """A label that the normaliser changes would count as an error against a prediction that is right."""
    trees = sample(1500, min_tokens=1, max_tokens=max_tokens, max_depth=depth)
    assert [t for t in trees if normalize(label(t)) != label(t)] == []


def test_tokens_are_those_of_the_lexer() -> None:
    """`max_tokens` must mean the same here as in the tokenizer and the score."""
    for tree in sample(1500, min_tokens=1, max_tokens=20, max_depth=3):
        assert [token for token in tokenize(label(tree)) if not token.isspace()] == tokens(tree)


def test_every_terminal_and_structure_occurs() -> None:
    """A symbol that never occurs would be in nobody's vocabulary."""
    seen = {token for tree in sample(12000, min_tokens=1, max_tokens=12, max_depth=2) for token in tokens(tree)}
    structure = {"\\frac", "\\sqrt", "_", "^", "\\begin{matrix}", "\\\\", "&"}
    assert (set(TERMINALS) | structure) - seen == set()


def test_short_expressions_have_their_share_and_lengths_spread() -> None:
    """Without isolated symbols a recogniser fails on the shortest inputs; without long ones, on real formulas."""
    lengths = [len(tokens(tree)) for tree in sample(3000, min_tokens=1, max_tokens=12, max_depth=2)]
    assert sum(length <= 3 for length in lengths) / len(lengths) == pytest.approx(SHORT_SHARE, abs=0.03)
    assert set(lengths) == set(range(1, 13))


def test_the_same_seed_gives_the_same_expression() -> None:
    """Otherwise no two builds of the dataset would agree."""
    assert sample(50, min_tokens=1, max_tokens=30, max_depth=2) == sample(50, min_tokens=1, max_tokens=30, max_depth=2)


def test_numbers_never_follow_factors() -> None:
    """`x2` and `2 3` are written like `x_{2}` and `23`: nobody could read the label back."""
    digits = set("0123456789")
    for tree in sample(4000, min_tokens=1, max_tokens=14, max_depth=2):
        items = tree.items if isinstance(tree, Row) else ()
        for left, right in pairwise(items):
            if isinstance(right, Symbol) and right.token in digits and isinstance(left, Symbol):
                assert left.token in digits or not left.token.isalpha(), label(tree)


def test_labels_spell_every_structure() -> None:
    """The label is what the model learns to write."""
    x, n = Symbol("x"), Symbol("n")
    assert label(Scripts(x, sub=n, sup=Symbol("2"))) == "x_{n}^{2}"
    assert label(row(Fraction(x, row(n, x)), Root(x, index=n))) == "\\frac{x}{nx}\\sqrt[n]{x}"
    assert label(row(Symbol("\\alpha"), x, Symbol("\\pi"), Symbol("2"))) == "\\alpha x\\pi2"
    assert label(Fenced("[", Matrix(((x, n), (n, x))), "]")) == "[\\begin{matrix}x&n\\\\n&x\\end{matrix}]"
