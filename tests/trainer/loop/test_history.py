"""The history: sums of a window, and files that other programs read."""

import csv
import json
from pathlib import Path

import pytest
import torch

from latexify.trainer.loop.history import COLUMNS, RowWindow, make_row, write_history
from latexify.trainer.loop.step import StepResult


def result_of(loss_sum: float, *, grad_norm: float, applied: bool = True) -> StepResult:
    """A step of 4 samples with 10 label tokens in 20 slots."""
    return StepResult(
        loss_sum=loss_sum, num_tokens=10, num_samples=4, num_slots=20, grad_norm=grad_norm, applied=applied
    )


def test_a_row_is_the_mean_of_its_window() -> None:
    """A skipped step has an infinite norm, which would make the whole column useless."""
    window = RowWindow()
    window.add(result_of(30.0, grad_norm=2.0), wait_s=0.5, elapsed_s=1.0)
    window.add(result_of(10.0, grad_norm=float("inf"), applied=False), wait_s=0.5, elapsed_s=3.0)
    row = make_row(window, seconds_before=6.0, device=torch.device("cpu"), step=2, valid_cer=None)
    assert row["train_loss"] == pytest.approx(2.0)
    assert row["grad_norm"] == pytest.approx(2.0)
    assert row["padding_waste"] == pytest.approx(0.5)
    assert (row["samples_per_s"], row["tokens_per_s"], row["data_wait_share"]) == (2.0, 5.0, 0.25)
    assert row["seconds"] == 10.0
    assert row.keys() <= set(COLUMNS)


def test_both_files_hold_the_same_rows(tmp_path: Path) -> None:
    """People plot the CSV, machines read the lines; a value that was not measured is empty, or null."""
    write_history(tmp_path, [{"step": 1, "train_loss": 0.5, "valid_cer": None}])
    (row,) = csv.DictReader((tmp_path / "history.csv").read_text().splitlines())
    assert (row["step"], row["train_loss"], row["valid_cer"]) == ("1", "0.5", "")
    line = json.loads((tmp_path / "history.jsonl").read_text())
    assert list(line) == list(COLUMNS)
    assert line["valid_cer"] is None
