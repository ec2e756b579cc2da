"""The visual figure: one for what looks alike, less for what does not, and quick."""

import lzma
import time
import unicodedata
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from latexify.eval.metrics.appearance import judge_appearance, summarize_appearance
from latexify.eval.metrics.assignment import assign

from latexify.eval.metrics.layout import lay_out
from latexify.eval.metrics.typeset import UnsettableError
from latexify.eval.metrics.visual import VisualJudge
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
    """The reason for this figure: edits of the source count differences that nobody sees."""
    judge = VisualJudge()
    assert judge.score(one, other) == judge.score(other, one) == 1.0


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
    """The same symbols at other places are another formula."""
    judge = VisualJudge()
    for score in (judge.score(one, other), judge.score(other, one)):
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
    """What is pushed aside or up by a mistake is not itself mistaken."""
    assert VisualJudge().score(reference, prediction) == pytest.approx(score)


def test_what_cannot_be_set() -> None:
    """A prediction that shows nothing shows nothing of the reference; a reference's fault is not the prediction's."""
    judge = VisualJudge()
    assert judge.score("a", r"\frac{a}") == 0
    assert judge.score("a", "") == 0
    assert judge.score(r"\unknown x", "x") is None
    assert judge.score(r"\unknown x", r"\unknown  x") == 1
    assert judge.score("", "") == 1


def test_references_that_cannot_be_set_are_left_out_whatever_the_prediction() -> None:
    """To count them where they are right, and not where they are wrong, would flatter."""
    references, predictions = ["a", r"\unknown", r"\unknown", "b"], ["a", r"\unknown", "b", r"\frac{"]
    appearance = judge_appearance(references, predictions, judge=VisualJudge())
    result = summarize_appearance(appearance, num_resamples=100, seed=1)
    assert result["num_unset_references"] == 2
    assert (result["visual"]["value"], result["visual_exact"]["value"]) == (0.5, 0.5)
    assert result["render_rate"]["value"] == 0.5
    nothing = judge_appearance([""], ["a"], judge=VisualJudge())
    assert summarize_appearance(nothing, num_resamples=100, seed=1)["visual"]["value"] is None


@settings(max_examples=100, deadline=None)
@given(*[st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)] * 2)
def test_any_two_texts_have_a_score(one: str, other: str) -> None:
    """One odd prediction among thousands must not cost the whole score; and swapping the two changes nothing much."""
    judge = VisualJudge()
    score = judge.score(one, other)
    assert score is None or 0 <= score <= 1
    assert judge.score(one, one) == judge.score(other, other) == 1
    assert judge.score(one, other) == score


@pytest.mark.parametrize(
    ("formula", "symbols"),
    [
        (FORMULAS[0], ["a", "+", "b", "c", "horizontal line"]),
        (FORMULAS[1], ["∑", "i", "=", "1", "n", "x", "i"]),
        (FORMULAS[2], ["a", "b", "c", "d"]),
        (FORMULAS[3], ["3", "√", "x", "2", "+", "y"]),
        (r"\boxed{x}\cancel{y}", ["box", "x", "diagonal", "y"]),
        (r"\phantom{a}b", ["b"]),
    ],
)
def test_a_layout_has_every_symbol_once(formula: str, symbols: list[str]) -> None:
    """A symbol left out could be wrong unseen."""
    layout = lay_out(formula)
    # a letter in its style is another character, compatible with the plain one
    names = [unicodedata.normalize("NFKC", name) for name in layout.names]
    assert sorted(names) == sorted(symbols)
    assert len(layout) == len(layout.centres) == len(layout.extents) == len(layout.sizes)
    assert (layout.extents > 0).all()
    assert layout.sizes.max() == 1


def test_symbols_are_where_a_reader_finds_them() -> None:
    """The numerator is above the bar, the denominator below it, the bar between: y points down."""
    layout = lay_out(r"\frac{a}{b}")
    above, below, bar = layout.centres[:, 1]
    assert above < bar < below
    script = lay_out("x^2")
    assert script.sizes[1] < script.sizes[0]
    assert script.centres[1, 0] > script.centres[0, 0]


@pytest.mark.parametrize("nothing", [r"\phantom{x}", "{}", r"\frac{a}", "}"])
def test_what_shows_nothing_has_no_layout(nothing: str) -> None:
    """It must be counted as not readable rather than as alike to anything."""
    with pytest.raises(UnsettableError):
        lay_out(nothing)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.integers(0, 6).map(float))
    )
)
def test_assignments_are_the_cheapest(costs: np.ndarray) -> None:
    """Compared with every way to pair: a dearer one would call symbols misplaced that are not."""
    rows, columns = assign(costs)
    assert len(rows) == min(costs.shape)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == len(columns)
    wide = costs if costs.shape[0] <= costs.shape[1] else costs.T
    ways = permutations(range(wide.shape[1]), wide.shape[0])
    assert costs[rows, columns].sum() == min(sum(wide[row, column] for row, column in enumerate(way)) for way in ways)


def test_large_assignments_are_no_dearer_than_greedy_ones() -> None:
    """Where rows compete, and there are too many ways to try them all."""
    costs = np.random.default_rng(1).random((40, 60))
    costs[:, 0] = 0
    rows, columns = assign(costs)
    assert len(set(columns.tolist())) == 40
    swapped = costs[rows[:, None], columns] + costs[rows, columns[:, None]]
    now = costs[rows, columns]
    assert (swapped >= now[:, None] + now[None] - 1e-12).all()


def test_a_pair_takes_less_than_20_ms() -> None:
    """Thousands of samples are judged after each training. Process time, since other work may share the machine."""
    pairs = [(one, other) for one in FORMULAS for other in FORMULAS if one != other]
    VisualJudge().score(*pairs[0])
    judge, started = VisualJudge(), time.process_time()
    for one, other in pairs:
        VisualJudge().score(one, other)
    each_s = (time.process_time() - started) / len(pairs)
    started = time.process_time()
    for one, other in pairs:
        judge.score(one, other)
    remembered_s = (time.process_time() - started) / len(pairs)
    assert each_s < 0.02
    assert remembered_s < each_s / 2


@pytest.mark.real
def test_predictions_of_a_file_of_wikipedia_formulas_are_alike_to_themselves(real_data: Path) -> None:
    """Agreement with exact match, on formulas that nobody made for this test."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as file:
        formulas = [line.rstrip("\n") for _, line in zip(range(300), file, strict=False)]
    judge = VisualJudge()
    scores = [(judge.score(text, normalize(text)), text) for text in formulas]
    assert all(judge.score(text, text) == 1 for text in formulas)
    known = [(score, text) for score, text in scores if score is not None]
    assert np.mean([score for score, _ in known]) > 0.95
