"""The protocol by which a training tells others what it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HistoryRow = Mapping[str, int | float | None]


class Example(NamedTuple):
    """A validation ink, and how the model reads it."""

    reference: str
    prediction: str
    pixels: npt.NDArray[np.uint8]  # [height, width], 0 = ink, 255 = paper


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The run that a callback is told of."""

    fingerprint: str
    folder: Path  # of its checkpoints
    params: Mapping[str, Any]  # of its manifest: sections `train` and `model`, `seed`, `geometry`


class Callback:
    """Is called by the training, on rank 0 only. Subclasses override what they need.

    The calls wait for each other, so a slow callback makes the training slow. An exception turns the callback off for
    the rest of the session and is one line of the log; the training goes on.
    """

    def on_start(self, run: RunFacts, rows: Sequence[HistoryRow]) -> None:
        """A session begins. rows: the history so far, which is not empty where the run resumes."""

    def on_step(self, step: int, *, loss: float, learning_rate: float) -> None:
        """An optimizer step was made. loss: mean per label token of its global batch."""

    def on_row(self, row: HistoryRow) -> None:
        """The history has a new row (docs/guide/training.md), every `log_steps` steps and at every validation."""

    def on_validation(self, step: int, *, loss: float, cer: float, is_best: bool, examples: Sequence[Example]) -> None:
        """The model was validated. cer: character error rate. is_best: whether no validation before was as good."""

    def on_checkpoint(self, step: int, path: Path) -> None:
        """A checkpoint was written."""

    def on_end(self, *, is_finished: bool) -> None:
        """The session ends. is_finished: whether the run does, too; else it can resume."""
