"""The history of a training: one row per logging interval, the same after any number of interruptions."""

import csv
import io
import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from latexify.artifacts.files import write_atomically
from latexify.artifacts.names import HISTORY_LINES_NAME, HISTORY_NAME
from latexify.trainer.loop.step import StepResult

COLUMNS = (
    "step",
    "epoch",
    "train_loss",
    "learning_rate",
    "grad_norm",
    "valid_loss",
    "valid_cer",
    "samples_per_s",
    "tokens_per_s",
    "data_wait_share",
    "padding_waste",
    "memory_mib",
    "seconds",
)
CLOCK_COLUMNS = ("samples_per_s", "tokens_per_s", "data_wait_share", "memory_mib", "seconds")
"""Columns that depend on the machine; all others depend on inputs and parameters alone."""

HistoryRow = dict[str, int | float | None]


@dataclass(kw_only=True)
class RowWindow:
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
        """Count one global batch. A skipped one counts too, except for its norm, which is infinite."""
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


def make_row(window: RowWindow, *, seconds_before: float, device: torch.device, **columns: float | None) -> HistoryRow:
    """Make a row of a window and the other columns; its `memory_mib` is the peak of this process, or GPU, so far."""
    return columns | {
        "train_loss": window.train_loss,
        "grad_norm": window.grad_norm_sum / max(window.num_steps, 1),
        "samples_per_s": round(window.num_samples / window.elapsed_s, 2),
        "tokens_per_s": round(window.num_tokens / window.elapsed_s, 1),
        "data_wait_share": round(window.wait_s / window.elapsed_s, 4),
        "padding_waste": 1 - window.num_tokens / window.num_slots,
        "memory_mib": round(peak_bytes(device) / 2**20),
        "seconds": round(seconds_before + window.elapsed_s, 2),
    }


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory of this process, or of its GPU, so far."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def write_history(folder: Path, rows: list[HistoryRow]) -> None:
    """Write all rows as CSV and as JSON lines, atomically; a value that was not measured is empty, or null."""
    write_curve(folder / HISTORY_NAME, rows)
    lines = [json.dumps({column: row.get(column) for column in COLUMNS}) + "\n" for row in rows]
    write_atomically(folder / HISTORY_LINES_NAME, "".join(lines).encode())


def write_curve(path: Path, rows: list[HistoryRow]) -> None:
    """Write all rows as CSV, atomically; a value that was not measured is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
