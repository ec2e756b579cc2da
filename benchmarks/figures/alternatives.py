"""Reliability of first and further readings: `python -m benchmarks.figures.alternatives --inks data/inks`.

It recognises the validation inks of a folder of `latexify ingest` with the model that `recognize` would use, with
several beam widths, and prints a table in Markdown. `--new` leaves out the inks whose formulas occur in training, of
which the model recognises more than of others: confidences are calibrated without them (`latexify calibrate`).
"""

import argparse
from itertools import chain
from pathlib import Path

from benchmarks.machine import in_a_line
from latexify.common.package_data import default_model
from latexify.eval.metrics.reliability import calibration_error, reliability
from latexify.pipeline.inks.table import inks_of, read_batches
from latexify.serve.recognizer import Recognizer

BEAMS = (3, 4, 8)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inks", type=Path, required=True)
    parser.add_argument("--split", choices=["valid", "test"], default="valid")
    parser.add_argument("--new", action="store_true", help="only formulas that do not occur in training")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    recognizer = Recognizer(options.model or default_model(), device="cpu", num_threads=1)
    inks, in_training = [], set()
    for ink in chain.from_iterable(map(inks_of, read_batches(options.inks))):
        if ink.split == options.split:
            inks.append(ink)
        elif ink.split == "train":
            in_training.add(ink.normalized_label)
    if options.new:
        inks = [ink for ink in inks if ink.normalized_label not in in_training]
    pictures = [recognizer.draw(ink.strokes) for ink in inks]
    kind = "new formulas" if options.new else "formulas"
    print(f"{len(inks)} inks of {options.split}, {kind}, {in_a_line()}\n")
    print("| beams | first: said, right, error | further: number, said, right, error | largest sum |")
    print("|---:|---:|---:|---:|")
    for num_beams in BEAMS:
        answers = recognizer.read(pictures, num_beams=num_beams)
        first = [
            (answer.confidence, answer.latex == ink.normalized_label) for answer, ink in zip(answers, inks, strict=True)
        ]
        further = [
            (other.confidence, other.latex == ink.normalized_label)
            for answer, ink in zip(answers, inks, strict=True)
            for other in answer.alternatives
        ]
        largest = max(answer.confidence + sum(other.confidence for other in answer.alternatives) for answer in answers)
        print(f"| {num_beams} | {_cell(first)} | {len(further):,}, {_cell(further)} | {largest:.2f} |", flush=True)


def _cell(readings: list[tuple[float, bool]]) -> str:
    """Return the mean confidence, the share that is right, and the expected calibration error."""
    confidences, is_right = zip(*readings, strict=True)
    error = calibration_error(reliability(confidences, is_right))
    return f"{sum(confidences) / len(readings):.1%}, {sum(is_right) / len(readings):.1%}, {error:.1%}"


if __name__ == "__main__":
    main()
