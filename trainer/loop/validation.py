"""Validation: loss per token and CER on a fixed part of the validation inks."""

from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import torch

from latexify.common.edit_counts import edit_counts
from latexify.pipeline.grammar.allowances import STRICT, Allowances
from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.plan import batches_by_size
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.config import TrainParams
from latexify.trainer.data.collate import IGNORE_INDEX, collate
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.inference.well_formed import Vocabulary
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.model.model import LoadedModel, max_positions
from latexify.trainer.tracking.callback import Example

MAX_LENGTH_FACTOR = 1.25
"""Decoding stops at the length of the longest label times this. A model that has not learned to stop only costs time
beyond it: by then a sequence has more errors than an empty one."""
NUM_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The result of a validation."""

    loss: float  # mean per label token, without label smoothing
    cer: float  # character edits divided by reference characters
    examples: list[Example]  # a few, from short labels to long


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchScore:
    """Counts of one batch; `number` orders batches, so that sums do not depend on the number of ranks."""

    number: int
    loss_sum: float
    num_tokens: int
    num_edits: int
    num_characters: int
    example: Example  # the first sample


def allowances_of(loaded: LoadedModel) -> dict[str, Any] | None:
    """Return the JSON values of the grammar that `predict` keeps a model to; None if its tokens are pieces of text."""
    is_latex = _constraint_of(loaded, STRICT) is not None
    return (loaded.allowances or STRICT).to_dict() if is_latex else None


def describe_search(allowances: dict[str, Any] | None, loaded: LoadedModel) -> str:
    """Say in one line how validations search, and why not as `predict` does. allowances: see `Validator.keep_to`."""
    expected = allowances_of(loaded)
    kind = "unconstrained" if allowances is None else "constrained"
    line = f"train: validation is {kind} greedy search"
    if expected is None:
        return f"{line}: the model's tokens are pieces of text, not LaTeX tokens"
    if allowances != expected:
        return f"{line}, as when the run began; `predict` keeps to the grammar of the tokenizer as it is now"
    if loaded.allowances is None:
        return f"{line}, by the strict grammar: run `latexify vocab` again to learn what the labels need besides"
    return f"{line}, as `predict` by default"


def _constraint_of(loaded: LoadedModel, allowances: Allowances) -> Constraint | None:
    if not loaded.tokenizer.is_fast:
        return None
    vocabulary = Vocabulary(
        tokenizer=loaded.tokenizer.backend_tokenizer.to_str(),
        num_ids=int(loaded.model.config.decoder.vocab_size),
        end_id=int(loaded.model.config.eos_token_id),
        allowances=allowances,
    )
    return vocabulary.constraint()


class Validator:
    """Validates on the same inks every time: a random part of the split, chosen by the seed, divided among ranks."""

    def __init__(
        self, index: SplitIndex, params: TrainParams, *, seed: int, precision: Precision, ranks: Ranks
    ) -> None:
        # raw bits, since NumPy guarantees their stream for ever, unlike that of `permutation` (NEP 19)
        raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
        chosen = np.argsort(raw, kind="stable")[: params.validate_samples]
        # batches of like length have little padding, and short ones need few decoding steps
        rows = chosen[np.argsort(index.num_tokens[chosen], kind="stable")]
        size = params.micro_batch_size
        self._batches = batches_by_size(rows, index.sizes_px, size=size)
        self._limit = int(index.num_tokens[rows].max() * MAX_LENGTH_FACTOR) + 1
        self._reader = SampleReader(index)
        self._precision, self._ranks = precision, ranks
        self._constraint: Constraint | None = None

    def keep_to(self, allowances: dict[str, Any] | None, loaded: LoadedModel) -> None:
        """Keep further validations to a grammar. allowances: its JSON values; None for no constraint."""
        self._constraint = None if allowances is None else _constraint_of(loaded, Allowances.from_dict(allowances))

    def validate(self, loaded: LoadedModel) -> Validation:
        """Score the model by greedy search under the constraint of :meth:`keep_to`, as `predict` does by default.

        The result is the same on every rank. The model is left in evaluation mode.

        Raises LatexifyError, on every rank, if a rank meets a damaged sample.
        """
        loaded.model.eval()
        numbers = range(self._ranks.rank, len(self._batches), self._ranks.world_size)
        with self._ranks.share_errors():
            scores = [self._score(loaded, number) for number in numbers]
        gathered = sorted(chain.from_iterable(self._ranks.gather(scores)), key=attrgetter("number"))
        return Validation(
            loss=sum(score.loss_sum for score in gathered) / sum(score.num_tokens for score in gathered),
            cer=sum(score.num_edits for score in gathered) / sum(score.num_characters for score in gathered),
            examples=[score.example for score in gathered[:: max(len(gathered) // NUM_EXAMPLES, 1)]][:NUM_EXAMPLES],
        )

    @torch.inference_mode()
    def _score(self, loaded: LoadedModel, number: int) -> _BatchScore:
        samples = self._reader.read(self._batches[number])
        pixels, labels = collate(samples)
        # evaluation splits keep labels longer than the decoder has positions
        labels = labels[:, : max_positions(loaded.model) - 1]
        with self._precision.autocast():
            loss_sum = token_loss(loaded.model, pixels, labels).item()
            decoded = make_inference_model(loaded).generate(
                pixels.numpy(), max_tokens=self._limit, constraint=self._constraint
            )
        references = [sample.label for sample in samples]
        predictions = loaded.texts([hypotheses[0].ids for hypotheses in decoded])
        num_characters, num_edits = edit_counts(references, predictions)
        return _BatchScore(
            number=number,
            loss_sum=loss_sum,
            num_tokens=int((labels != IGNORE_INDEX).sum()),
            num_edits=int(num_edits.sum()),
            num_characters=int(num_characters.sum()),
            example=Example(references[0], predictions[0], samples[0].pixels),
        )
