"""torch and onnxruntime read the same pictures in turn: `python -m benchmarks.bench.engines --model … --shards …`.

Exports the model into a scratch folder, then lets both engines, in one process and on as many threads, read pictures of
the test split one after the other, so that a noisy machine is noisy for both. Every comparison is the median of the
ratios, picture by picture or batch by batch.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.bench.machine import describe
from latexify.serve.recognizer import MAX_TOKENS
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.collate import collate
from latexify.trainer.inference.backend import Engine
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.inference.reader import Reader, open_reader

ENGINES: tuple[Engine, Engine] = ("torch", "onnx")
BATCH_SIZE = 16
NUM_BEAMS = 3
NUM_STARTS = 5
FIRST_ANSWER = (
    "import sys, torch; from pathlib import Path; from latexify.trainer.inference.reader import open_reader; "
    "torch.set_num_threads(1); reader = open_reader(Path(sys.argv[1]), device=torch.device('cpu')).reader; "
    "size = tuple(map(int, sys.argv[2:])); "
    "reader.read(torch.full((1, *size), 255, dtype=torch.uint8), max_tokens=4)"
)
"""What a process does that reads one picture."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One quantity by both engines. ratios: torch's over onnxruntime's, turn by turn; above 1, the latter is better."""

    name: str
    unit: str
    torch: float
    onnx: float
    ratios: Sequence[float]

    def __str__(self) -> str:
        low, _, high = statistics.quantiles(self.ratios, n=4) if len(self.ratios) > 1 else (self.ratios * 3)
        ratio = statistics.median(self.ratios)
        return (
            f"| {self.name} | {self.torch:.4g} {self.unit} | {self.onnx:.4g} {self.unit} | "
            f"{ratio:.2f} ({low:.2f} to {high:.2f}) |"
        )


def in_turn(name: str, work: Callable[[Engine, int], object], *, turns: int, unit: str = "ms") -> Row:
    """Time the work of both engines in each turn, after one that does not count; the first changes places."""
    found: dict[Engine, list[float]] = {engine: [] for engine in ENGINES}
    for turn in range(-1, turns):
        for engine in ENGINES if turn % 2 else reversed(ENGINES):
            started = time.perf_counter()
            work(engine, max(turn, 0))
            if turn >= 0:
                found[engine].append(1000 * (time.perf_counter() - started))
    ratios = [a / b for a, b in zip(found["torch"], found["onnx"], strict=True)]
    medians = {engine: statistics.median(values) for engine, values in found.items()}
    return Row(name=name, unit=unit, torch=medians["torch"], onnx=medians["onnx"], ratios=ratios)


def compare_reading(readers: Mapping[Engine, Reader], pixels: torch.Tensor) -> list[Row]:
    """Latencies of one picture and of batches. pixels: uint8 [pictures, height, width], a multiple of the batch."""
    batches = pixels.split(BATCH_SIZE)

    def one(engine: Engine, turn: int, *, num_beams: int = 1) -> None:
        readers[engine].read(pixels[turn % len(pixels)][None], max_tokens=MAX_TOKENS, num_beams=num_beams)

    def many(engine: Engine, turn: int) -> None:
        readers[engine].read(batches[turn % len(batches)], max_tokens=MAX_TOKENS)

    def encode(engine: Engine, turn: int) -> None:
        with torch.inference_mode():
            readers[engine].encode(pixels[turn % len(pixels)][None])

    return [
        in_turn("one picture, greedy", one, turns=len(pixels)),
        in_turn("of which the encoder", encode, turns=len(pixels)),
        in_turn(f"one picture, {NUM_BEAMS} beams", lambda e, t: one(e, t, num_beams=NUM_BEAMS), turns=len(pixels)),
        in_turn(f"{BATCH_SIZE} pictures together, greedy", many, turns=2 * len(batches)),
    ]


def compare_loading(folders: Mapping[Engine, Path], pixels: torch.Tensor) -> list[Row]:
    """Opening a folder in a process that has done it before, and a new process up to its first answer."""
    size = [str(side) for side in pixels.shape[1:]]

    def load(engine: Engine, turn: int) -> None:
        del turn
        open_reader(folders[engine], device=torch.device("cpu"))

    def start(engine: Engine, turn: int) -> None:
        del turn
        command = [sys.executable, "-c", FIRST_ANSWER, str(folders[engine]), *size]
        subprocess.run(command, check=True)  # noqa: S603  # ourselves

    return [
        in_turn("opening the folder", load, turns=2 * NUM_STARTS),
        in_turn("new process to first answer", start, turns=NUM_STARTS),
    ]


def compare_answers(readers: Mapping[Engine, Reader], pixels: torch.Tensor) -> str:
    """How many pictures both read alike."""
    said = []
    for num_beams in (1, NUM_BEAMS):
        torchs, onnxs = (
            [
                found[0].ids
                for part in pixels.split(BATCH_SIZE)
                for found in readers[engine].read(part, max_tokens=MAX_TOKENS, num_beams=num_beams)
            ]
            for engine in ENGINES
        )
        alike = sum(a == b for a, b in zip(torchs, onnxs, strict=True))
        said.append(f"{alike} of {len(torchs)} with {num_beams} beam{'s' if num_beams > 1 else ''}")
    return f"Pictures of which both give the same tokens: {', '.join(said)}."


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4 * BATCH_SIZE, help=f"a multiple of {BATCH_SIZE}")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    index = open_split(options.shards, "test")
    step = max(1, len(index) // options.pictures)
    with SampleReader(index) as samples:
        pixels, _ = collate(samples.read([step * number for number in range(options.pictures)]))
    with tempfile.TemporaryDirectory() as scratch:
        done = export_onnx(options.model, out=Path(scratch) / "onnx")
        folders: dict[Engine, Path] = {"torch": options.model, "onnx": done.folder}
        readers = {engine: open_reader(folders[engine], device=torch.device("cpu")).reader for engine in ENGINES}
        weights = (options.model / "model.safetensors").stat().st_size / 1e6
        graphs = sum(done.num_bytes.values()) / 1e6
        rows = [
            *compare_reading(readers, pixels),
            *compare_loading(folders, pixels),
            Row(name="weights or graphs", unit="MB", torch=weights, onnx=graphs, ratios=[weights / graphs]),
        ]
        print("| | torch | onnxruntime | torch / onnxruntime |\n|---|---|---|---|", *rows, sep="\n")
        print(f"\n{done.comparison}\n\n{compare_answers(readers, pixels)}")
    facts = describe()
    print(f"\n{facts['date']}, {facts['commit']}, {facts['cpu']}, {options.threads} thread(s), {facts['libraries']}")


if __name__ == "__main__":
    main()
