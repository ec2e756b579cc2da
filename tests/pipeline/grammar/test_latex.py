"""The grammar of a vocabulary: which texts are sentences."""

import lzma
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.studies.wellformed import flaw_of
from latexify.pipeline.latex import normalize, tokenize
from tests.support.constrained_search import TOKENS, constraint_of, is_sentence


@pytest.mark.parametrize(
    ("formula", "is_one"),
    [
        (r"\sqrt[{}]{x}", False),
        (r"\sqrt[{}_{1}]{x}", True),
        (r"\sqrt[{a]}]{x}", True),
        (r"\frac{{}}{x}", False),
        (r"\frac{{a}}{x}", True),
        (r"\frac{{}_{1}^{2}x}{{a+b}^{2}}", True),
        (r"x_{{}}", False),
        (r"\text{~}", False),
        ("", True),
    ],
)
def test_what_is_in_braces_counts_and_braces_alone_do_not(formula: str, is_one: bool) -> None:  # noqa: FBT001
    """Braces alone are not an argument; braces around a base are part of the normal form."""
    assert is_sentence(constraint_of(list(TOKENS)), formula, list(TOKENS)) == is_one


@pytest.mark.real
def test_human_written_labels_are_sentences(real_data: Path) -> None:
    """The model must be allowed to predict every well-formed label that it is trained on."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as lines:
        labels = [normalize(line) for line in islice(lines, 3000)]
    labels = [label for label in labels if flaw_of(label) == ""]
    tokens = sorted({token for label in labels for token in tokenize(label)} - {" "})
    constraint = constraint_of(tokens)
    assert len(labels) > 2900
    assert [label for label in labels if not is_sentence(constraint, label, tokens)] == []
