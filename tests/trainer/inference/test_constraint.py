"""Constrained search: every answer is well formed, and what is well formed without it stays the same."""

import lzma
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.studies.wellformed import flaw_of
from latexify.eval.metrics.typeset import typeset
from latexify.pipeline.grammar.kinds import END, kind_of
from latexify.pipeline.grammar.latex import grammar_of
from latexify.pipeline.latex import join_tokens, normalize, tokenize
from latexify.trainer.inference.beams import beam_search
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.decoder import TorchScorer
from latexify.trainer.inference.onnx.runtime import NumpyScorer
from latexify.trainer.inference.runtime import Floats, Ints, Scorer
from latexify.trainer.inference.search import Hypothesis, Search, greedy_search

TOKENS = (
    *"abclrxyz0123+-=(),.|*<'~",
    *("{", "}", "[", "]", "_", "^", "&", "\\\\"),
    *("\\alpha", "\\sum", "\\mathbb{R}", "\\prime", "\\%", "\\sin"),
    *("\\frac", "\\sqrt", "\\hat", "\\overset", "\\mathrm", "\\not", "\\pmod"),
    *("\\text", "\\textbf"),
    *(f"\\{side}{{{name}}}" for name in ("matrix", "cases", "array", "aligned") for side in ("begin", "end")),
    # what no label has, and no answer may have
    *("\\left", "\\right", "\\over", "\\rm", "\\,", "$", "%", "\\begin{matrix*}", "\\end{matrix*}"),
)
START_ID = END_ID = 0
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Rows:
    """The cache of :class:`FixedDecoder`: the sample of each row, and its number of tokens."""

    sample: Ints
    length: int = 0

    def keep_samples(self, _: Ints, *, rows: Ints) -> None:
        self.keep_rows(rows)

    def keep_rows(self, rows: Ints) -> None:
        self.sample = self.sample[rows]


class FixedDecoder:
    """A decoder with given logits for each sample and step, whatever the tokens before."""

    max_positions = 1000

    def __init__(self, logits: torch.Tensor, *, by_torch: bool) -> None:
        """logits: float32 [samples, steps, vocabulary]."""
        self._logits, self._by_torch = logits.numpy(), by_torch

    def start(self, encoded: Floats) -> Rows:
        return Rows(sample=np.arange(len(encoded)))

    def step(self, rows: Rows, _: Ints) -> Any:
        rows.length += 1
        logits = self._logits[rows.sample, rows.length - 1]
        return torch.from_numpy(logits) if self._by_torch else logits

    def scorer(self, penalties: Floats | None) -> Scorer:
        if not self._by_torch:
            return NumpyScorer(penalties)
        return TorchScorer(None if penalties is None else torch.from_numpy(penalties))


def search(
    logits: torch.Tensor, constraint: Constraint | None, *, num_beams: int = 1, by_torch: bool = True
) -> list[list[Hypothesis]]:
    """Search with given logits; sequences have at most as many tokens as there are steps."""
    samples, steps, _ = logits.shape
    how = Search(
        start_id=START_ID,
        end_id=END_ID,
        max_tokens=steps,
        num_beams=num_beams,
        num_best=num_beams,
        constraint=constraint,
    )
    find: Any = greedy_search if num_beams == 1 else beam_search
    decoder = FixedDecoder(logits, by_torch=by_torch)
    hypotheses: list[list[Hypothesis]] = find(decoder, np.zeros((samples, 1, 1), np.float32), how)
    return hypotheses


def constraint_of(tokens: list[str]) -> Constraint:
    """Make the constraint for a vocabulary of the end token and `tokens`."""
    return Constraint(grammar_of([END, *map(kind_of, tokens)]))


def text_of(hypothesis: Hypothesis, tokens: list[str]) -> str:
    """Return the text, as the tokenizer would."""
    return join_tokens([tokens[token_id - 1] for token_id in hypothesis.ids])


def random_logits(seed: int, *, samples: int, steps: int, vocabulary: int, end: float) -> torch.Tensor:
    """Return random logits. end: Added to the end token's."""
    logits = 3 * torch.randn(samples, steps, vocabulary, generator=torch.Generator().manual_seed(seed))
    logits[:, :, END_ID] += end
    return logits


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
    assert _is_sentence(constraint_of(list(TOKENS)), formula, list(TOKENS)) == is_one


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("constrained", [True, False])
def test_numpy_and_torch_choose_the_same_tokens(num_beams: int, *, constrained: bool) -> None:
    """Without torch the answers must be those that it gives, with the same confidence."""
    tokens = list(TOKENS)
    logits = random_logits(11, samples=20, steps=40, vocabulary=len(tokens) + 1, end=1.0)
    constraint = constraint_of(tokens) if constrained else None
    expected, results = (
        list(chain.from_iterable(search(logits, constraint, num_beams=num_beams, by_torch=by_torch)))
        for by_torch in (True, False)
    )
    assert [best.ids for best in results] == [best.ids for best in expected]
    assert [best.confidence for best in results] == pytest.approx([best.confidence for best in expected], rel=1e-5)


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


@pytest.mark.real
def test_human_written_labels_are_sentences(real_data: Path) -> None:
    """The model must be allowed to predict every well-formed label that it is trained on."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as lines:
        labels = [normalize(line) for line in islice(lines, 3000)]
    labels = [label for label in labels if flaw_of(label) == ""]
    tokens = sorted({token for label in labels for token in tokenize(label)} - {" "})
    constraint = constraint_of(tokens)
    assert len(labels) > 2900
    assert [label for label in labels if not _is_sentence(constraint, label, tokens)] == []


def _is_sentence(constraint: Constraint, label: str, tokens: list[str]) -> bool:
    stack = constraint.start
    for token_id in [*(tokens.index(token) + 1 for token in tokenize(label) if token != " "), END_ID]:
        if constraint.table[constraint.case_of(stack, 1000), token_id] < 0:
            return False
        stack = constraint.after(stack, token_id)
    return stack is None


def _is_beyond(text: str) -> bool:
    r"""Whether the grammar forbids it, but the parser allows it: a row at the beginning, `%` in text, odd columns."""
    words = tokenize(text)
    return "%" in words or any(
        first.startswith("\\begin{") and (second == "\\\\" or (first == "\\begin{array}" and second != "{"))
        for first, second in pairwise(words)
    )
