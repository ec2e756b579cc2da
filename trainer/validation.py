"""How good the model is now: loss per token and character CER on a fixed part of the validation inks."""

from dataclasses import dataclass

import jiwer
import numpy as np
import torch

from shards.index import SplitIndex
from shards.reader import SampleReader
from trainer.batches import IGNORED, collate
from trainer.decoding import generate_ids
from trainer.model import LoadedModel, max_positions
from trainer.precision import Precision
from trainer.step import token_loss

ROOM_TO_RAMBLE = 1.25
"""Decoding may go on this much longer than the longest label. Beyond, a model that does not know how to end only costs
time: by then the sequence counts more errors than an empty one."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """loss: mean per label token, without label smoothing. cer: character edits ÷ reference characters."""

    loss: float
    cer: float


class Validator:
    """Validates on the same inks every time: a random part of the split, chosen by the seed."""

    def __init__(
        self, index: SplitIndex, *, num_samples: int, batch_size: int, seed: int, precision: Precision
    ) -> None:
        # raw bits: unlike that of `permutation`, NumPy promises their stream for ever (NEP 19)
        raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
        chosen = np.argsort(raw, kind="stable")[:num_samples]
        # neighbours of like length: little padding, and few steps of decoding for the short ones
        rows = chosen[np.argsort(index.num_tokens[chosen], kind="stable")]
        self._batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        self._limit = int(index.num_tokens[rows].max() * ROOM_TO_RAMBLE) + 1
        self._reader = SampleReader(index)
        self._precision = precision

    @torch.inference_mode()
    def validate(self, loaded: LoadedModel) -> Validation:
        """Score the model as it stands, by greedy decoding; leaves it in evaluation mode."""
        loaded.model.eval()
        loss_sum, num_tokens = 0.0, 0
        references: list[str] = []
        predictions: list[str] = []
        for rows in self._batches:
            samples = self._reader.read(rows)
            pixels, labels = collate(samples)
            # evaluation splits keep labels that are longer than the decoder has positions for
            labels = labels[:, : max_positions(loaded.model) - 1]
            num_tokens += int((labels != IGNORED).sum())
            with self._precision.autocast():
                loss_sum += token_loss(loaded.model, pixels, labels).item()
                decoded = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=self._limit)
            references += [sample.label for sample in samples]
            predictions += loaded.texts(decoded.ids)
        return Validation(loss=loss_sum / num_tokens, cer=float(jiwer.cer(references, predictions)))
