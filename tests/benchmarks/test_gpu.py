"""The script for a GPU must run when one is had at last: here on the CPU, with a small model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.studies import gpu, gpu_all
from benchmarks.studies.gpu import Result, main, peak_flops, table
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.step import Stepper


def test_it_trains_and_tells_on_a_cpu() -> None:
    """It cannot be tried out on the day; a typing error would cost the lent hour."""
    text = main(["--gradient-checkpointing", *gpu_all.TINY.split()])
    row = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert row[0] == "fp32"
    assert float(row[1]) > 0
    assert 0 < float(row[4].rstrip("%")) < 100
    assert float(row[6]) > 50
    assert int(row[7]) > 100


def test_a_share_needs_a_known_peak() -> None:
    """A utilisation of an assumed peak would be a made-up figure."""
    assert peak_flops(torch.device("cpu"), tflops=None) is None
    result = Result(precision="bf16", samples_per_s=1, step_s=1, flops=5e11, wait_share=0, peak_mib=1)
    assert "unknown" in table([result], peak=None)
    assert "50.0%" in table([result], peak=1e12)


def test_the_script_for_the_card_is_rehearsed(tmp_path: Path) -> None:
    """Before and after, with the extras, traces and a report; what does not fit into the time is named."""
    rows = ["small, before", "small", "small with augmentation, dropout, EMA"]
    report, passed = gpu_all.main(["--tiny", "--out", str(tmp_path), "--rows", *rows])
    assert passed
    assert (tmp_path / "report.md").read_text() == report + "\n"
    cells = {line.split("|")[1].strip(): line.split("|") for line in report.splitlines() if line.startswith("| small")}
    assert list(cells) == rows
    calls = [int(cells[row][9]) for row in rows]
    assert calls[1] < calls[0] < calls[2], "fused attention takes fewer calls, the extras take more"
    traces = sorted(tmp_path.glob("*.json"))
    assert len(traces) == 3
    assert json.loads(traces[0].read_text())["traceEvents"]
    assert "8 inks read in" in report
    late, _ = gpu_all.main(["--tiny", "--out", str(tmp_path), "--minutes", "0", "--rows", "small", "small, before"])
    assert "left out for want of time: small, small, before" in late


def test_a_row_that_fails_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What only a card can show may break on the first one; the minutes with it are few, and it may be taken away."""
    measured, seen = gpu_all.measure, []

    def breaks(name: str, **options: Any) -> list[str]:
        seen.append((tmp_path / "report.md").read_text())
        if "CUDA graphs" in name:
            raise RuntimeError("no graph today\nsecond line")
        return measured(name, **options)

    monkeypatch.setattr(gpu_all, "measure", breaks)
    rows = ["small", "small, CUDA graphs", "small, before"]
    report, passed = gpu_all.main(["--tiny", "--out", str(tmp_path), "--rows", *rows])
    assert not passed
    assert "failed: small, CUDA graphs (no graph today)" in report
    assert "second line" in capsys.readouterr().err, "the traceback"
    assert [line.split(" | ")[0] for line in report.splitlines() if line.startswith("| small")] == [
        "| small",
        "| small, before",
    ]
    assert "| small |" not in seen[0]
    assert "| small |" in seen[1], "written before the next row"


@pytest.mark.parametrize(
    ("words", "how"),
    [([], False), (["--compile"], True), (["--compile", "reduce-overhead"], "reduce-overhead")],
)
def test_what_is_compiled_is_warm_before_the_clock_starts(
    monkeypatch: pytest.MonkeyPatch, *, words: list[str], how: bool | str
) -> None:
    """A compilation in a timed step would make the faster way look slower."""
    found, passes = [], []
    train = gpu.train

    def make(model: Any, params: TrainParams, **options: Any) -> Stepper:
        found.append(params.compile)
        return Stepper(model, params.model_copy(update={"compile": False}), **options)

    def one_pass(*arguments: Any, **options: Any) -> Any:
        passes.append(1)
        return train(*arguments, **options)

    monkeypatch.setattr(gpu, "Stepper", make)
    monkeypatch.setattr(gpu, "train", one_pass)
    main([*gpu_all.TINY.split(), *words])
    assert found == [how]
    assert len(passes) == (gpu.COMPILED_PASSES + 1 if words else 1)
