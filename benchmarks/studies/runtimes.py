"""Compare torch and onnxruntime on the same pictures: `python -m benchmarks.studies.runtimes --model … --shards …`.

Exports the model into a scratch folder. Then both runtimes, in one process and with as many threads, run pictures of
the test split in turn, so that noise of the machine affects both. Every comparison is the median of the ratios, by
picture or by batch.
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

from benchmarks.machine import describe
from latexify.serve.recognizer import MAX_TOKENS
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.collate import collate
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.runtime import Pixels, Runtime

RUNTIMES: tuple[Runtime, Runtime] = ("torch", "onnx")
BATCH_SIZE = 16
NUM_BEAMS = 3
NUM_STARTS = 5
FIRST_ANSWER = (
    "import sys, numpy; from pathlib import Path; from latexify.trainer.inference.open import open_model; "
    "model = open_model(Path(sys.argv[1]), num_threads=1).inference; size = tuple(map(int, sys.argv[2:])); "
    "model.generate(numpy.full((1, *size), 255, numpy.uint8), max_tokens=4)"
)
"""Program of a process that runs one picture."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One quantity of both runtimes. ratios: torch's over onnxruntime's; above 1, onnxruntime is better."""

    name: str
    unit: str
    torch: float
    onnx: float
    ratios: Sequence[float]

    def __str__(self) -> str:
        low, _, high = statistics.quantiles(self.ratios, n=4) if len(self.ratios) > 1 else [*self.ratios] * 3
        ratio = statistics.median(self.ratios)
        return (
            f"| {self.name} | {self.torch:.4g} {self.unit} | {self.onnx:.4g} {self.unit} | "
            f"{ratio:.2f} ({low:.2f} to {high:.2f}) |"
        )


def in_turn(name: str, work: Callable[[Runtime, int], object], *, turns: int, unit: str = "ms") -> Row:
    """Time the work of both runtimes in each turn, after one that does not count; they alternate in going first."""
    times: dict[Runtime, list[float]] = {runtime: [] for runtime in RUNTIMES}
    for turn in range(-1, turns):
        for runtime in RUNTIMES if turn % 2 else reversed(RUNTIMES):
            started = time.perf_counter()
            work(runtime, max(turn, 0))
            if turn >= 0:
                times[runtime].append(1000 * (time.perf_counter() - started))
    ratios = [a / b for a, b in zip(times["torch"], times["onnx"], strict=True)]
    medians = {runtime: statistics.median(values) for runtime, values in times.items()}
    return Row(name=name, unit=unit, torch=medians["torch"], onnx=medians["onnx"], ratios=ratios)


def compare_inference(models: Mapping[Runtime, InferenceModel], pixels: Pixels) -> list[Row]:
    """Compare latencies of one picture and of batches. pixels: uint8 [pictures, height, width], whole batches."""
    batches = [pixels[start : start + BATCH_SIZE] for start in range(0, len(pixels), BATCH_SIZE)]

    def one(runtime: Runtime, turn: int, *, num_beams: int = 1) -> None:
        models[runtime].generate(pixels[turn % len(pixels)][None], max_tokens=MAX_TOKENS, num_beams=num_beams)

    def many(runtime: Runtime, turn: int) -> None:
        models[runtime].generate(batches[turn % len(batches)], max_tokens=MAX_TOKENS)

    def encode(runtime: Runtime, turn: int) -> None:
        models[runtime].encode(pixels[turn % len(pixels)][None])

    return [
        in_turn("one picture, greedy", one, turns=len(pixels)),
        in_turn("of which the encoder", encode, turns=len(pixels)),
        in_turn(f"one picture, {NUM_BEAMS} beams", lambda r, t: one(r, t, num_beams=NUM_BEAMS), turns=len(pixels)),
        in_turn(f"{BATCH_SIZE} pictures together, greedy", many, turns=2 * len(batches)),
    ]


def compare_loading(folders: Mapping[Runtime, Path], pixels: Pixels) -> list[Row]:
    """Compare opening a folder in a warm process, and a new process up to its first answer."""
    size = [str(side) for side in pixels.shape[1:]]

    def load(runtime: Runtime, turn: int) -> None:
        del turn
        open_model(folders[runtime], num_threads=1)

    def start(runtime: Runtime, turn: int) -> None:
        del turn
        command = [sys.executable, "-c", FIRST_ANSWER, str(folders[runtime]), *size]
        subprocess.run(command, check=True)  # noqa: S603  # ourselves

    return [
        in_turn("opening the folder", load, turns=2 * NUM_STARTS),
        in_turn("new process to first answer", start, turns=NUM_STARTS),
    ]


def compare_answers(models: Mapping[Runtime, InferenceModel], pixels: Pixels) -> str:
    """Count the pictures for which both give the same tokens."""
    counts = []
    for num_beams in (1, NUM_BEAMS):
        torch_ids, onnx_ids = (
            [
                hypotheses[0].ids
                for start in range(0, len(pixels), BATCH_SIZE)
                for hypotheses in models[runtime].generate(
                    pixels[start : start + BATCH_SIZE], max_tokens=MAX_TOKENS, num_beams=num_beams
                )
            ]
            for runtime in RUNTIMES
        )
        equal = sum(a == b for a, b in zip(torch_ids, onnx_ids, strict=True))
        counts.append(f"{equal} of {len(torch_ids)} with {num_beams} beam{'s' if num_beams > 1 else ''}")
    return f"Pictures for which both give the same tokens: {', '.join(counts)}."


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4 * BATCH_SIZE, help=f"a multiple of {BATCH_SIZE}")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    index = open_split(options.shards, "test")
    step = max(1, len(index) // options.pictures)
    with SampleReader(index) as samples:
        pixels = collate(samples.read([step * number for number in range(options.pictures)]))[0].numpy()
    with tempfile.TemporaryDirectory() as scratch:
        done = export_onnx(options.model, out=Path(scratch) / "onnx")
        folders: dict[Runtime, Path] = {"torch": options.model, "onnx": done.folder}
        models = {runtime: open_model(folders[runtime], num_threads=options.threads).inference for runtime in RUNTIMES}
        weights = (options.model / "model.safetensors").stat().st_size / 1e6
        graphs = sum(done.num_bytes.values()) / 1e6
        rows = [
            *compare_inference(models, pixels),
            *compare_loading(folders, pixels),
            Row(name="weights or graphs", unit="MB", torch=weights, onnx=graphs, ratios=[weights / graphs]),
        ]
        print("| | torch | onnxruntime | torch / onnxruntime |\n|---|---|---|---|", *rows, sep="\n")
        print(f"\n{done.comparison}\n\n{compare_answers(models, pixels)}")
    facts = describe()
    print(f"\n{facts['date']}, {facts['commit']}, {facts['cpu']}, {options.threads} thread(s), {facts['libraries']}")


if __name__ == "__main__":
    main()
