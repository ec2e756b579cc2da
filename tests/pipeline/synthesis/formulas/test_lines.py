"""Formulas of several lines: labels with one form for what a picture shows."""

from collections import Counter
from random import Random

import pytest

from latexify.eval.metrics.structure import num_lines
from latexify.pipeline.grammar.allowances import Allowances, learn_grammar
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.formulas.expression import Fenced, Lines, Node, Row, Symbol, label, row
from latexify.pipeline.synthesis.formulas.generator import expression
from latexify.pipeline.synthesis.formulas.lines import COUNTS, KINDS, divided, several_lines


def formulas(count: int) -> list[Node]:
    """Formulas of lines that the grammar of the synthetic dataset makes."""
    made = []
    for seed in range(count):
        rng = Random(seed)
        made.append(
            several_lines(rng, lambda rng=rng: expression(rng, min_tokens=1, max_tokens=12, max_depth=2))  # type: ignore[misc]
        )
    return made


def test_labels_are_in_normal_form() -> None:
    r"""Otherwise a model would learn another label than it is scored on: ``\\`` may take what follows as an option."""
    for tree in formulas(300):
        assert normalize(label(tree)) == label(tree)


def test_the_strict_grammar_writes_them() -> None:
    """A model that was trained on them can write them, without relaxing anything."""
    labels = [label(tree) for tree in formulas(300)]
    learnt = learn_grammar(labels, vocabulary={token for text in labels for token in tokenize(text)})
    assert learnt.allowances == Allowances()
    assert not learnt.refused


def test_every_kind_and_number_of_lines_occurs() -> None:
    """Aligned equations, stacked lines, systems, cases and matrices, of two to four lines."""
    labels = [label(tree) for tree in formulas(400)]
    found = Counter(
        name for name in ("aligned", "gathered", "cases", "matrix") for text in labels if f"{{{name}}}" in text
    )
    assert all(found[name] > 20 for name in ("aligned", "gathered", "cases", "matrix"))
    assert any(r"\begin{cases}" in text and "&" not in text for text in labels)
    assert any(r"\begin{aligned}" in text and r"\\&" in text for text in labels)
    assert {num_lines(text) for text in labels} == set(COUNTS)
    assert len(KINDS) == 6


def test_a_line_is_aligned_only_at_a_relation() -> None:
    """Two labels of one picture would teach a model to guess: `&` stands before a relation, and nowhere else."""
    for tree in formulas(300):
        if isinstance(tree, Lines) and tree.environment == "aligned":
            assert all(len(cells) == 2 for cells in tree.rows)
            for number, (left, right) in enumerate(tree.rows):
                assert right is not None
                assert divided(row(Symbol("x"), right)) is not None
                assert left is not None or number
        if isinstance(tree, Lines) and tree.environment == "gathered":
            assert not any(label(cells[0] or Symbol("x")).startswith(("=", "<", ">")) for cells in tree.rows)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("a=b", ("a", "=b")),
        ("a+b<c=d", ("a+b", "<c=d")),
        ("ab", None),
        ("=b", None),
        ("a=", None),
    ],
)
def test_a_line_is_divided_before_its_first_relation(items: str, expected: tuple[str, str] | None) -> None:
    """A relation at an end has nothing to be aligned to."""
    parts = divided(row(*map(Symbol, items)))
    assert (parts and tuple(map(label, parts))) == expected


def test_brackets_around_a_relation_are_not_divided() -> None:
    """Half a bracket in each cell would be no formula."""
    fenced = Fenced("(", row(Symbol("a"), Symbol("="), Symbol("b")), ")")
    assert divided(Row((Symbol("f"), fenced))) is None
