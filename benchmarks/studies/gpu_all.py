"""All that is to be known of training on one GPU, in under nine minutes: `python -m benchmarks.studies.gpu_all`.

Each row of the table is one setting of `benchmarks.studies.gpu`: TrOCR-base at 384x384 and `small` at 64x256, with the
decoder's attention of transformers (before) and the fused one (after), with augmentation, dropout and EMA, and
compiled. The last rows are validation by greedy search. Traces of one step of each go to `--out`. Rows that do not fit
into `--minutes` are left out and named. `--tiny` rehearses all of it on a CPU.
"""

import argparse
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.studies import gpu
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
ROWS = {
    "small, before": (SMALL, "--plain-attention"),
    "small": (SMALL, ""),
    "small with augmentation, dropout, EMA": (SMALL, "--extras"),
    "TrOCR-base, before": (BASE, "--plain-attention"),
    "TrOCR-base": (BASE, ""),
    "TrOCR-base, 128 a step": (BASE, "--global-batch 128 --micro-batch 128"),
    "small compiled": (SMALL, "--compile"),
    "small compiled with augmentation, dropout, EMA": (SMALL, "--compile --extras"),
    "TrOCR-base compiled": (BASE, "--compile"),
}
"""Settings by name, the most telling first."""


def main(arguments: list[str]) -> str:
    """Measure all rows that fit into the time; returns the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-traces"), help="folder for the traces and the report")
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--tiny", action="store_true", help="a rehearsal on the CPU; its figures mean nothing")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    started, longest_s, left_out = time.monotonic(), 0.0, []
    lines: list[str] = []
    for number, name in enumerate(options.rows):
        row_started = time.monotonic()
        if row_started - started + longest_s > options.minutes * 60:
            left_out.append(name)
            continue
        settings, change = ROWS[name]
        trace = options.out / f"{number}-{name.replace(' ', '-').replace(',', '')}.json"
        words = [*(TINY if options.tiny else settings).split(), *_only_switches(change, tiny=options.tiny)]
        text = gpu.main([*words, "--trace", str(trace)]).splitlines()
        lines = lines or [text[0].partition(" --")[0], "", f"| setting {text[2]}", f"|---{text[3]}"]
        lines.append(f"| {name} {text[4]}")
        longest_s = max(longest_s, time.monotonic() - row_started)
    lines += ["", read(num_pictures=8) if options.tiny else read(num_pictures=10_000)]
    lines += ["", f"{time.monotonic() - started:.0f} s"]
    lines += [f"left out for want of time: {', '.join(left_out)}"] if left_out else []
    report = "\n".join(lines)
    (options.out / "report.md").write_text(report + "\n", encoding="utf-8")
    return report


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
    return [word for word in words if word in {"--plain-attention", "--extras"}] if tiny else words


if __name__ == "__main__":
    print(main(sys.argv[1:]))
