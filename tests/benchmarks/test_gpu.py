"""The script for a GPU must run when one is had at last: here on the CPU, with a small model."""

import json
from pathlib import Path

import torch

from benchmarks.studies import gpu_all
from benchmarks.studies.gpu import Result, main, peak_flops, table


def test_it_trains_and_tells_on_a_cpu() -> None:
    """It cannot be tried out on the day; a typing error would cost the lent hour."""
    options = {
        "--device": "cpu",
        "--precisions": "fp32",
        "--preset": "tiny",
        "--height-px": "32",
        "--width-px": "64",
        "--vocabulary": "60",
        "--global-batch": "4",
        "--micro-batch": "2",
        "--workers": "0",
        "--steps": "2",
        "--peak-tflops": "1",
    }
    text = main(["--gradient-checkpointing", *(word for option in options.items() for word in option)])
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
    report = gpu_all.main(["--tiny", "--out", str(tmp_path), "--rows", *rows])
    assert (tmp_path / "report.md").read_text() == report + "\n"
    cells = {line.split("|")[1].strip(): line.split("|") for line in report.splitlines() if line.startswith("| small")}
    assert list(cells) == rows
    calls = [int(cells[row][9]) for row in rows]
    assert calls[1] < calls[0] < calls[2], "fused attention takes fewer calls, the extras take more"
    traces = sorted(tmp_path.glob("*.json"))
    assert len(traces) == 3
    assert json.loads(traces[0].read_text())["traceEvents"]
    assert "8 inks read in" in report
    late = gpu_all.main(["--tiny", "--out", str(tmp_path), "--minutes", "0", "--rows", "small", "small, before"])
    assert "left out for want of time: small, small, before" in late
