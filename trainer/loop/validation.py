"""How good the model is now: loss per token and character CER on a fixed part of the validation inks."""

from dataclasses import dataclass

import jiwer
import numpy as np
import torch

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import IGNORED, collate
from latexify.trainer.inference.from_transformers import generate_ids
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.model.model import LoadedModel, max_positions

ROOM_TO_RAMBLE = 1.25
"""Decoding may go on this much longer than the longest label. Beyond, a model that does not know how to end only costs
time: by then the sequence counts more errors than an empty one."""


NUM_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What the model read, beside what is written there."""

    key: str
    reference: str
    prediction: str


@dataclass(frozen=True, kw_only=True)
class Validation:
    """loss: mean per label token, without label smoothing. cer: character edits ÷ reference characters.

    examples: a few, from short labels to long, for people to look at.
    """

    loss: float
    cer: float
    examples: list[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchScore:
    """Counts of one batch; `number` is its place among all, for adding up in an order that no rank changes."""

    number: int
    loss_sum: float
    num_tokens: int
    num_edits: int
    num_characters: int
    examples: list[Example]


class Validator:
    """Validates on the same inks every time: a random part of the split, chosen by the seed, shared out among ranks."""

    def __init__(  # noqa: PLR0913  # all but the first two are named
        self,
        index: SplitIndex,
        params: TrainParams,
        *,
        batch_size: int,
        seed: int,
        precision: Precision,
        ranks: Ranks | None = None,
    ) -> None:
        # raw bits: unlike that of `permutation`, NumPy promises their stream for ever (NEP 19)
        raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
        chosen = np.argsort(raw, kind="stable")[: params.validate_samples]
        # neighbours of like length: little padding, and few steps of decoding for the short ones
        rows = chosen[np.argsort(index.num_tokens[chosen], kind="stable")]
        self._batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        self._limit = int(index.num_tokens[rows].max() * ROOM_TO_RAMBLE) + 1
        self._reader = SampleReader(index)
        self._precision, self._ranks = precision, ranks or Ranks()

    def validate(self, loaded: LoadedModel) -> Validation:
        """Score the model as it stands, by greedy decoding; leaves it in evaluation mode. The same on every rank.

        Raises LatexifyError, on every rank, where a rank meets a damaged sample.
        """
        loaded.model.eval()
        scores: list[_BatchScore] = []
        error = None
        try:
            numbers = range(self._ranks.rank, len(self._batches), self._ranks.world_size)
            scores = [self._score(loaded, number) for number in numbers]
        except LatexifyError as damaged:
            error = damaged
        error = self._ranks.first_error(error)
        if error is not None:
            raise error
        gathered = sorted(
            (score for part in self._ranks.gather(scores) for score in part), key=lambda score: score.number
        )
        return Validation(
            loss=sum(score.loss_sum for score in gathered) / sum(score.num_tokens for score in gathered),
            cer=sum(score.num_edits for score in gathered) / sum(score.num_characters for score in gathered),
            examples=[score.examples[0] for score in gathered[:: max(len(gathered) // NUM_EXAMPLES, 1)]][:NUM_EXAMPLES],
        )

    @torch.inference_mode()
    def _score(self, loaded: LoadedModel, number: int) -> _BatchScore:
        samples = self._reader.read(self._batches[number])
        pixels, labels = collate(samples)
        # evaluation splits keep labels that are longer than the decoder has positions for
        labels = labels[:, : max_positions(loaded.model) - 1]
        with self._precision.autocast():
            loss_sum = token_loss(loaded.model, pixels, labels).item()
            decoded = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=self._limit)
        references = [sample.label for sample in samples]
        predictions = loaded.texts(decoded.ids)
        edits = jiwer.process_characters(references, predictions)
        return _BatchScore(
            number=number,
            loss_sum=loss_sum,
            num_tokens=int((labels != IGNORED).sum()),
            num_edits=edits.substitutions + edits.insertions + edits.deletions,
            num_characters=edits.hits + edits.substitutions + edits.deletions,
            examples=[
                Example(key=sample.key, reference=reference, prediction=prediction)
                for sample, reference, prediction in zip(samples, references, predictions, strict=True)
            ],
        )
