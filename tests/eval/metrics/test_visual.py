"""Visual similarity: 1 for formulas that look alike, less for others, and quick to compute."""

import lzma
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.eval.metrics.rates import measure_rates
from latexify.eval.metrics.visual import VisualScorer, measure_appearance
from latexify.pipeline.latex import normalize

TOKENS = [
    *"xy12+=(){}^_&<|'",
    *(r"\frac", r"\sqrt", r"\sum", r"\left(", r"\right)", r"\begin{matrix}", r"\end{matrix}", r"\\", r"\mathbb{R}"),
    *(r"\hat", r"\alpha ", r"\unknown ", r"\phantom", r"\text", r"\boxed", r"\overline"),
]
FORMULAS = [
    r"\frac{a+b}{c}",
    r"\sum_{i=1}^{n}x_{i}",
    r"\begin{matrix}a&b\\c&d\end{matrix}",
    r"\sqrt[3]{x^{2}}+y",
    r"\hat{f}(x)=\int_{0}^{1}e^{-x}dx",
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x^2_1", "x_1^{2}"),
        (r"a\le b", r"a\leq b"),
        (r"\dfrac ab", r"\frac{a}{b}"),
        ("f'(x)", r"f^{\prime}(x)"),
        (r"a\quad b", "a b"),
        (r"\left(x\right)", "(x)"),
        (r"\sum_{i=1}^n i", r"\sum^{n}_{i=1} {i}"),
        (r"{x}^{2}", "x^2"),
        (r"\begin{pmatrix}a&b\end{pmatrix}", r"\left(\begin{matrix}a&b\end{matrix}\right)"),
    ],
)
def test_what_typesets_alike_is_alike(one: str, other: str) -> None:
    """The reason for this metric: edits of the source count differences that nobody sees."""
    scorer = VisualScorer()
    assert scorer.score(one, other) == scorer.score(other, one) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ab", "ba"),
        ("il", "li"),
        ("x_1", "x^1"),
        ("x_1y", "xy_1"),
        ("x^{123}+y", "x_{123}+y"),
        ("2x", "2^x"),
        (r"\frac{a}{b}", r"\frac{b}{a}"),
        (r"\sqrt{x}+1", r"\sqrt{x+1}"),
        (r"\frac{a}{b}c", r"\frac{a}{bc}"),
        (r"\overline{a}b", r"\overline{ab}"),
        (r"x_{a_b}", "x_{ab}"),
        (r"\begin{matrix}a&b\\c&d\end{matrix}", r"\begin{matrix}a&c\\b&d\end{matrix}"),
        ("1+1", "1+1+1"),
    ],
)
def test_what_does_not_typeset_alike_is_not(one: str, other: str) -> None:
    """The same symbols in other positions are another formula."""
    scorer = VisualScorer()
    for score in (scorer.score(one, other), scorer.score(other, one)):
        assert score is not None
        assert 0 < score < 1


@pytest.mark.parametrize(
    ("reference", "prediction", "score"),
    [
        ("abcdefghi", "abcdefgh", 16 / 17),
        ("amx", "anx", 2 / 3),
        (r"\frac{a}{b}+c", r"\frac{aaa}{b}+c", 10 / 12),
        (r"\int_0^1xdx", r"\int_0^{10}xdx", 12 / 13),
        ("e^{a+b+c}", "a+b+c", 10 / 11),
        ("a", "b", 0),
        ("x", r"\mathrm{x}", 0),
        ("x", r"\mathbf{x}", 0),
    ],
)
def test_one_mistake_costs_one_symbol(reference: str, prediction: str, score: float) -> None:
    """Symbols that an error pushes aside or up are not errors themselves."""
    assert VisualScorer().score(reference, prediction) == pytest.approx(score)


def test_formulas_that_cannot_be_typeset() -> None:
    """A prediction that cannot be typeset scores 0; one whose reference cannot be typeset has no score."""
    scorer = VisualScorer()
    assert scorer.score("a", r"\frac{a}") == 0
    assert scorer.score("a", "") == 0
    assert scorer.score(r"\unknown x", "x") is None
    assert scorer.score(r"\unknown x", r"\unknown  x") == 1
    assert scorer.score("", "") == 1


def test_references_that_cannot_be_typeset_are_left_out_whatever_the_prediction() -> None:
    """Counting only the right ones among them would make the score too good."""
    references, predictions = ["a", r"\unknown", r"\unknown", "b"], ["a", r"\unknown", "b", r"\frac{"]
    appearance = measure_appearance(references, predictions, scorer=VisualScorer())
    assert (~appearance.reference_renders).sum() == 2
    rates = measure_rates(appearance.columns(), num_resamples=100, seed=1)
    assert {name: rate["value"] for name, rate in rates.items()} == {
        "render_rate": 0.5,
        "visual": 0.5,
        "visual_exact": 0.5,
    }
    nothing = measure_appearance([""], ["a"], scorer=VisualScorer()).columns()
    assert measure_rates(nothing, num_resamples=100, seed=1)["visual"]["value"] is None


@settings(max_examples=100, deadline=None)
@given(*[st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)] * 2)
def test_any_two_texts_have_a_score(one: str, other: str) -> None:
    """One odd prediction among thousands must not break the whole score."""
    scorer = VisualScorer()
    score = scorer.score(one, other)
    assert score is None or 0 <= score <= 1
    assert scorer.score(one, one) == scorer.score(other, other) == 1
    assert scorer.score(one, other) == score


def test_a_pair_takes_less_than_20_ms() -> None:
    """Thousands of samples are scored after each training. Process time, as other work may share the machine."""
    pairs = [(one, other) for one in FORMULAS for other in FORMULAS if one != other]
    VisualScorer().score(*pairs[0])
    scorer, started = VisualScorer(), time.process_time()
    for one, other in pairs:
        VisualScorer().score(one, other)
    each_s = (time.process_time() - started) / len(pairs)
    started = time.process_time()
    for one, other in pairs:
        scorer.score(one, other)
    remembered_s = (time.process_time() - started) / len(pairs)
    assert each_s < 0.02
    assert remembered_s < each_s / 2


@pytest.mark.real
def test_predictions_of_a_file_of_wikipedia_formulas_are_alike_to_themselves(real_data: Path) -> None:
    """Agreement with exact match on formulas that were not made for this test."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as file:
        formulas = [line.rstrip("\n") for _, line in zip(range(300), file, strict=False)]
    scorer = VisualScorer()
    scores = [(scorer.score(text, normalize(text)), text) for text in formulas]
    assert all(scorer.score(text, text) == 1 for text in formulas)
    known = [(score, text) for score, text in scores if score is not None]
    assert np.mean([score for score, _ in known]) > 0.95
