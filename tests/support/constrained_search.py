"""Searches with given logits, as a decoder would give them, under the constraint of a vocabulary."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latexify.pipeline.grammar.kinds import END, kind_of
from latexify.pipeline.grammar.latex import grammar_of
from latexify.pipeline.latex import join_tokens, tokenize
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


def is_sentence(constraint: Constraint, label: str, tokens: list[str]) -> bool:
    """Whether the constraint lets a search write a label."""
    stack = constraint.start
    for token_id in [*(tokens.index(token) + 1 for token in tokenize(label) if token != " "), END_ID]:
        if constraint.table[constraint.case_of(stack, 1000), token_id] < 0:
            return False
        stack = constraint.after(stack, token_id)
    return stack is None
