"""The curve of a training: one row per logging interval, the same after any number of interruptions."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from shards.files import write_atomically
from trainer.step import StepResult

HISTORY_NAME = "history.csv"
COLUMNS = (
    "step",
    "epoch",
    "train_loss",
    "learning_rate",
    "grad_norm",
    "valid_loss",
    "valid_cer",
    "samples_per_s",
    "data_wait_share",
    "padding_waste",
    "seconds",
)
CLOCK_COLUMNS = ("samples_per_s", "data_wait_share", "seconds")
"""Depend on the machine; all others on inputs and parameters alone."""

Row = dict[str, int | float | None]


@dataclass(kw_only=True)
class Window:
    """Sums since the last row. Part of a checkpoint, so that a row may span an interruption."""

    loss_sum: float = 0.0
    num_tokens: int = 0
    num_samples: int = 0
    num_slots: int = 0
    grad_norm_sum: float = 0.0
    num_steps: int = 0
    wait_s: float = 0.0
    elapsed_s: float = 0.0

    def add(self, result: StepResult, *, wait_s: float, elapsed_s: float) -> None:
        """Count one global batch. A skipped one counts too, but its norm, which is infinite, does not."""
        self.loss_sum += result.loss_sum
        self.num_tokens += result.num_tokens
        self.num_samples += result.num_samples
        self.num_slots += result.num_slots
        if result.applied:
            self.grad_norm_sum += result.grad_norm
            self.num_steps += 1
        self.wait_s += wait_s
        self.elapsed_s += elapsed_s

    @property
    def train_loss(self) -> float:
        """Mean loss per label token."""
        return self.loss_sum / self.num_tokens

    def row(self, *, seconds_before: float) -> Row:
        """The columns that this window fills. seconds_before: time spent training before it."""
        return {
            "train_loss": self.train_loss,
            "grad_norm": self.grad_norm_sum / max(self.num_steps, 1),
            "samples_per_s": round(self.num_samples / self.elapsed_s, 2),
            "data_wait_share": round(self.wait_s / self.elapsed_s, 4),
            "padding_waste": 1 - self.num_tokens / self.num_slots,
            "seconds": round(seconds_before + self.elapsed_s, 2),
        }


def write_history(path: Path, rows: list[Row]) -> None:
    """Write all rows as CSV, atomically; a value that was not measured at a row is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
