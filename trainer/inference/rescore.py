"""The probability of hypotheses from right to left, by a model that has learned both directions."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.trainer.inference.runtime import C, Floats, TokenDecoder
from latexify.trainer.inference.search import Hypothesis


def rescore(
    decoder: TokenDecoder[C], encoded: Any, found: Sequence[list[Hypothesis]], *, start_id: int, end_id: int
) -> list[list[Hypothesis]]:
    """Order hypotheses by the mean of their log-probabilities in both directions, best first.

    The confidence becomes the geometric mean of both. For the arguments, see :func:`backward_scores`.
    """
    sequences = [[hypothesis.ids for hypothesis in hypotheses] for hypotheses in found]
    scores = backward_scores(decoder, encoded, sequences, start_id=start_id, end_id=end_id)
    results = []
    for hypotheses, of_sample in zip(found, scores, strict=True):
        rescored = [
            replace(each, confidence=math.sqrt(each.confidence * math.exp(min(0.0, score / (len(each.ids) + 1)))))
            for each, score in zip(hypotheses, of_sample.tolist(), strict=True)
        ]
        results.append(sorted(rescored, key=lambda each: -each.confidence))
    return results


def backward_scores(
    decoder: TokenDecoder[C],
    encoded: Any,
    hypotheses: Sequence[Sequence[list[int]]],
    *,
    start_id: int,
    end_id: int,
) -> list[Floats]:
    """Compute the log-probability of every hypothesis, read from right to left.

    Args:
        decoder: A decoder that has learned both directions.
        encoded: Pictures, floating [samples, ...], from the decoder's runtime.
        hypotheses: Token ids without start, end and padding of the hypotheses of each sample, at least one.
        start_id: What a sequence from right to left begins with.
        end_id: What it ends with.

    Returns:
        For each sample, float32 [hypotheses], the sum over all tokens, end token included.
    """
    width = max(map(len, hypotheses))
    # every sample needs as many rows; what is missing repeats the first hypothesis
    rows = [list(sample) + [sample[0]] * (width - len(sample)) for sample in hypotheses]
    targets = [[*reversed(ids), end_id] for sample in rows for ids in sample]
    longest = max(map(len, targets))
    table = np.full((len(targets), longest), end_id)
    for row, target in zip(table, targets, strict=True):
        row[: len(target)] = target
    lengths = np.array([len(target) for target in targets])
    cache = decoder.start(encoded)
    first = _log_softmax(np.asarray(decoder.step(cache, np.full(len(rows), start_id))))
    cache.keep_rows(np.repeat(np.arange(len(rows)), width))
    sums: npt.NDArray[np.float64] = np.repeat(first, width, axis=0)[np.arange(len(table)), table[:, 0]]
    for step in range(1, longest):
        logits = _log_softmax(np.asarray(decoder.step(cache, table[:, step - 1])))
        sums += np.where(step < lengths, logits[np.arange(len(table)), table[:, step]], 0)
    scores = sums.astype(np.float32).reshape(len(rows), width)
    return [row[: len(sample)] for row, sample in zip(scores, hypotheses, strict=True)]


def _log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """float32 [rows, vocabulary] to float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
