"""All that is to be known of training on one GPU, in under nine minutes: `python -m benchmarks.studies.gpu_all`.

Each row of the table is one setting of `benchmarks.studies.gpu`: TrOCR-base at 384x384 and `small` at 64x256, with the
decoder's attention of transformers and batches prepared when they are needed (before), with fused attention and batches
prepared ahead (after), with augmentation, dropout and EMA, compiled, and by CUDA graphs. The last line is validation by
greedy search. Traces of one step of each go to `--out`, and the report after each row. Rows that do not fit into
`--minutes` are left out and named; a row that fails is named with its error, and the exit code is 1. `--tiny` rehearses
all of it on a CPU, where nothing is compiled.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.studies import gpu
from latexify.common.errors import first_line
from latexify.trainer.config import ModelParams
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.loop.precision import choose_device, choose_precision
from latexify.trainer.model.model import make_model

BASE = "--precisions bf16 --workers 8 --steps 15"
SMALL = (
    "--precisions bf16 --workers 8 --steps 40 --preset small --height-px 64 --width-px 256 --vocabulary 310 "
    "--global-batch 1024 --micro-batch 1024"
)
TINY = (
    "--device cpu --precisions fp32 --workers 0 --steps 2 --preset tiny --height-px 32 --width-px 64 --vocabulary 60 "
    "--global-batch 4 --micro-batch 2 --peak-tflops 1"
)
BEFORE = "--plain-attention --no-lookahead"
ROWS = {
    "small, before": (SMALL, BEFORE),
    "small": (SMALL, ""),
    "small with augmentation, dropout, EMA": (SMALL, "--extras"),
    "TrOCR-base, before": (BASE, BEFORE),
    "TrOCR-base": (BASE, ""),
    "TrOCR-base, 128 a step": (BASE, "--global-batch 128 --micro-batch 128"),
    "small, CUDA graphs": (SMALL, "--compile reduce-overhead"),
    "small, CUDA graphs with augmentation, dropout, EMA": (SMALL, "--compile reduce-overhead --extras"),
    "small compiled": (SMALL, "--compile"),
    "TrOCR-base compiled": (BASE, "--compile"),
}
"""Settings by name, the most telling first."""


def main(arguments: list[str]) -> tuple[str, bool]:
    """Measure all rows that fit into the time; returns the report, and whether no row failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-traces"), help="folder for the traces and the report")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--tiny", action="store_true", help="a rehearsal on the CPU; its figures mean nothing")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    started, longest_s = time.monotonic(), 0.0
    report = Report(options.out / "report.md")
    report.add(read(num_pictures=8) if options.tiny else read(num_pictures=10_000))
    for number, name in enumerate(options.rows):
        row_started = time.monotonic()
        if row_started - started + longest_s > options.minutes * 60:
            report.left_out.append(name)
            continue
        trace = options.out / f"{number}-{name.replace(' ', '-').replace(',', '')}.json"
        try:
            report.add_row(name, measure(name, trace=trace, tiny=options.tiny))
        except Exception as error:  # noqa: BLE001  # the card is lent for minutes, and other rows may be measured
            traceback.print_exc()
            report.failed.append(f"{name} ({first_line(error)})")
        longest_s = max(longest_s, time.monotonic() - row_started)
    report.add(f"{time.monotonic() - started:.0f} s")
    return report.text, not report.failed


def measure(name: str, *, trace: Path, tiny: bool) -> list[str]:
    """Measure a row; returns the lines of :func:`benchmarks.studies.gpu.main`."""
    settings, change = ROWS[name]
    words = [*(TINY if tiny else settings).split(), *_only_switches(change, tiny=tiny)]
    return gpu.main([*words, "--trace", str(trace)]).splitlines()


class Report:
    """What was measured so far, kept in a file: the machine may be taken away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head: list[str] = []
        self._rows: list[str] = []
        self._notes: list[str] = []
        self.left_out: list[str] = []
        self.failed: list[str] = []

    @property
    def text(self) -> str:
        """Markdown."""
        notes = list(self._notes)
        notes += [f"left out for want of time: {', '.join(self.left_out)}"] if self.left_out else []
        notes += [f"failed: {', '.join(self.failed)}"] if self.failed else []
        return "\n\n".join("\n".join(block) for block in ([*self._head, *self._rows], notes) if block)

    def add(self, note: str) -> None:
        """Add a line below the table."""
        self._notes.append(note)
        self._write()

    def add_row(self, name: str, lines: list[str]) -> None:
        """Add a row. lines: machine, nothing, the table's head in two lines, a row."""
        self._head = self._head or [lines[0].partition(" --")[0], "", f"| setting {lines[2]}", f"|---{lines[3]}"]
        self._rows.append(f"| {name} {lines[4]}")
        self._write()

    def _write(self) -> None:
        self._path.write_text(f"{self.text}\n", encoding="utf-8")


def read(*, num_pictures: int, batch: int = 256, num_tokens: int = 32) -> str:
    """Time the greedy search of a `small` model that has learned nothing, so that every answer has `num_tokens`."""
    device = choose_device(None)
    tokenizer = gpu.make_tokenizer(310)
    options = {"tokenizer": tokenizer, "height_px": 64, "width_px": 256, "dropout": 0.0, "seed": 1}
    model = make_model(ModelParams(base="scratch", preset="small"), **options).to(device).eval()
    loaded: Any = SimpleNamespace(model=model)
    pixels = np.random.default_rng(1).integers(0, 256, (num_pictures, 64, 256), dtype=np.uint8)
    precision = choose_precision("auto", device=device)
    started = time.perf_counter()
    with torch.inference_mode(), precision.autocast():
        reader = make_inference_model(loaded)
        for first in range(0, num_pictures, batch):
            reader.generate(pixels[first : first + batch], max_tokens=num_tokens)
    elapsed_s = time.perf_counter() - started
    return f"{num_pictures:,} inks read in {elapsed_s:.1f} s ({num_tokens} tokens each, {precision.name})"


def _only_switches(change: str, *, tiny: bool) -> list[str]:
    """Return the words of a change; in a rehearsal without sizes, and not compiled, which takes minutes on a CPU."""
    words = change.split()
    return [word for word in words if word in {"--plain-attention", "--no-lookahead", "--extras"}] if tiny else words


if __name__ == "__main__":
    text, passed = main(sys.argv[1:])
    print(text)
    sys.exit(not passed)
