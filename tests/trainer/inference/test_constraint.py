"""Constrained search: every answer is well formed, and what is well formed without it stays the same."""

from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.studies.wellformed import flaw_of
from latexify.eval.metrics.typeset import typeset
from latexify.pipeline.latex import join_tokens, normalize, tokenize
from tests.support.constrained_search import END_ID, TOKENS, constraint_of, random_logits, search, text_of

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(
    seed=st.integers(0, 2**32),
    left_out=st.sets(st.sampled_from(TOKENS), max_size=30),
    max_tokens=st.integers(1, 80),
    num_beams=st.integers(1, 4),
    end=st.sampled_from([-5.0, 0.0, 5.0]),
)
def test_every_answer_is_well_formed(
    seed: int, left_out: set[str], max_tokens: int, num_beams: int, end: float
) -> None:
    """With any vocabulary, at any length, for every alternative: an answer that TeX refuses is useless."""
    tokens = [token for token in TOKENS if token not in left_out]
    logits = random_logits(seed, samples=3, steps=max_tokens, vocabulary=len(tokens) + 1, end=end)
    for hypotheses in search(logits, constraint_of(tokens), num_beams=num_beams):
        assert hypotheses
        for hypothesis in hypotheses:
            text = text_of(hypothesis, tokens)
            assert len(hypothesis.ids) < max_tokens or not hypothesis.ids
            assert flaw_of(text) == ""
            assert flaw_of(normalize(text)) == ""


@pytest.mark.parametrize("tokens", [["a"], ["{", "}"], ["a", "}", "&", "]", "|"], ["a", "}", "&", "\\\\"]])
@pytest.mark.parametrize("max_tokens", [1, 2, 4])
def test_beams_are_not_filled_with_forbidden_tokens(tokens: list[str], max_tokens: int) -> None:
    """There may be more beams than allowed tokens."""
    logits = random_logits(1, samples=4, steps=max_tokens, vocabulary=len(tokens) + 1, end=-3.0)
    for hypotheses in search(logits, constraint_of(tokens), num_beams=len(tokens) + 1):
        texts = [text_of(hypothesis, tokens) for hypothesis in hypotheses]
        assert texts
        assert len(set(texts)) == len(texts)
        assert [flaw_of(text) for text in texts] == [""] * len(texts)


@SETTINGS
@given(words=st.lists(st.sampled_from(TOKENS), max_size=25), seed=st.integers(0, 2**32), room=st.integers(1, 3))
def test_well_formed_answers_stay_the_same(words: list[str], seed: int, room: int) -> None:
    """A constraint that changes right answers would do harm. Labels are well formed."""
    formula = normalize(join_tokens(words))
    if flaw_of(formula) or normalize(formula) != formula or _is_beyond(formula):
        formula = normalize("x^{2}_1")
    written = (
        tokenize(formula.replace(" ", "")) if not formula.isascii() else [t for t in tokenize(formula) if t != " "]
    )
    tokens = list(dict.fromkeys([*TOKENS, *written]))
    ids = [tokens.index(token) + 1 for token in written]
    logits = random_logits(seed, samples=1, steps=len(ids) + room, vocabulary=len(tokens) + 1, end=0)
    for step, token_id in enumerate([*ids, END_ID]):
        logits[0, step, token_id] += 50
    free, bound = search(logits, None)[0][0], search(logits, constraint_of(tokens))[0][0]
    assert free.ids == bound.ids == ids
    assert free.confidence == bound.confidence


@pytest.mark.parametrize("num_beams", [1, 3])
def test_answers_can_be_typeset(num_beams: int) -> None:
    """Not only our own parser must accept them, but an independent typesetter."""
    # it has its own limits: `<` in text, `[` behind any `\\begin`, arrays with odd rules, negated letters
    tokens = [token for token in TOKENS if token not in {"[", "<", "\\not", "\\pmod", "\\begin{array}"}]
    logits = random_logits(7, samples=60, steps=30, vocabulary=len(tokens) + 1, end=-5.0)
    for hypotheses in search(logits, constraint_of(tokens), num_beams=num_beams):
        typeset(normalize(text_of(hypotheses[0], tokens)))  # raises where it cannot
    assert [flaw_of(text_of(hypotheses[0], tokens)) for hypotheses in search(logits, None)].count("") < 10


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize(
    ("beginning", "period", "kept"),
    [
        ("x_{", "ab", "x_{ab}"),
        ("x+\\frac{", "ab", "x+"),
        ("\\begin{matrix}", "a&", "\\begin{matrix}a&\\end{matrix}"),
        ("\\sqrt[3]{", "a", "\\sqrt[3]{a}"),
    ],
)
def test_a_loop_is_cut_and_closed(beginning: str, period: str, kept: str, num_beams: int) -> None:
    """A loop becomes a well-formed answer, and no content is invented."""
    tokens = list(TOKENS)
    written = (tokenize(beginning) + tokenize(period) * 60)[:100]
    logits = torch.zeros(1, 100, len(tokens) + 1)
    for step, token in enumerate(written):
        logits[0, step, tokens.index(token) + 1] = 20
    best = search(logits, constraint_of(tokens), num_beams=num_beams)[0][0]
    assert text_of(best, tokens) == kept
    assert not best.finished


def test_an_answer_that_is_closed_at_the_length_limit_is_unfinished() -> None:
    """Otherwise it could not be told from one that the model ended itself."""
    tokens = list(TOKENS)
    logits = torch.zeros(1, 9, len(tokens) + 1)
    logits[:, :, tokens.index("\\frac") + 1] = 9
    logits[:, :, tokens.index("a") + 1] = 8
    best = search(logits, constraint_of(tokens))[0][0]
    assert text_of(best, tokens).startswith("\\frac")
    assert len(best.ids) == 8
    assert not best.finished


def test_other_samples_change_nothing_under_a_constraint() -> None:
    """Rows are dropped and reordered; each must keep its own state."""
    tokens = list(TOKENS)
    logits = random_logits(3, samples=12, steps=40, vocabulary=len(tokens) + 1, end=2.0)
    constraint = constraint_of(tokens)
    for num_beams in (1, 4):
        together = search(logits, constraint, num_beams=num_beams)
        alone = [search(one[None], constraint, num_beams=num_beams)[0] for one in logits]
        assert [[h.ids for h in hypotheses] for hypotheses in together] == [[h.ids for h in one] for one in alone]
        assert len({len(hypotheses[0].ids) for hypotheses in together}) > 3


def test_confidence_is_the_models_own() -> None:
    """A token that is chosen because the likely one is forbidden has a low probability."""
    tokens = list(TOKENS)
    logits = torch.zeros(1, 3, len(tokens) + 1)
    logits[0, 0, tokens.index("}") + 1] = 20
    logits[0, 1:, END_ID] = 20
    best = search(logits, constraint_of(tokens))[0][0]
    assert best.confidence < 0.01


@pytest.mark.parametrize("by_torch", [True, False])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (r"\begin{matrix}a&b", r"\begin{matrix}a&b\end{matrix}"),
        ("x_{a", "x_{a}"),
        (r"a+\frac", "a+"),
        ("a+b", "a+b"),
    ],
)
def test_greedy_search_stops_where_the_model_wants_to_end(written: str, expected: str, *, by_torch: bool) -> None:
    """A model that may not end writes hundreds of tokens more: what it has written is closed instead."""
    tokens = list(TOKENS)
    words = tokenize(written)
    logits = torch.zeros(1, 90, len(tokens) + 1)
    logits[0, :, tokens.index("a") + 1] = 5
    for step, word in enumerate(words):
        logits[0, step, tokens.index(word) + 1] = 20
    logits[0, len(words) :, END_ID] = 20
    best = search(logits, constraint_of(tokens), by_torch=by_torch)[0][0]
    assert text_of(best, tokens) == expected
    assert best.finished
    # what was closed is less certain: the model wanted to write nothing more
    assert (best.confidence > 0.99) == (written == expected)


def test_a_stopped_sample_changes_no_other() -> None:
    """The row of a sample that was stopped stays in the batch for some steps."""
    tokens = list(TOKENS)
    logits = random_logits(5, samples=16, steps=40, vocabulary=len(tokens) + 1, end=4.0)
    constraint = constraint_of(tokens)
    together = search(logits, constraint)
    alone = [search(one[None], constraint)[0] for one in logits]
    assert [[h.ids for h in hypotheses] for hypotheses in together] == [[h.ids for h in one] for one in alone]
    assert [h.confidence for (h,) in together] == pytest.approx([h.confidence for (h,) in alone])
    free = [hypothesis.ids for (hypothesis,) in search(logits, None)]
    assert 3 < sum(hypothesis.ids != ids for (hypothesis,), ids in zip(together, free, strict=True)) < 16
    assert [flaw_of(text_of(hypothesis, tokens)) for (hypothesis,) in together] == [""] * 16


def _is_beyond(text: str) -> bool:
    r"""Whether the grammar forbids it, but the parser allows it: a row at the beginning, `%` in text, odd columns."""
    words = tokenize(text)
    return "%" in words or any(
        first.startswith("\\begin{") and (second == "\\\\" or (first == "\\begin{array}" and second != "{"))
        for first, second in pairwise(words)
    )
