"""How the page divides a sheet into lines: `LATEXIFY_REAL_DATA=… python -m benchmarks.studies.page_lines [--pairs 60]`.

Prints how many of CROHME 2014's test inks, which are one formula each, are divided, and how many sheets of two of them,
one above the other, are read as two lines. Headless Chromium runs the page's own script; the shipped model reads.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from latexify.pipeline.config import LABEL_ANNOTATIONS
from latexify.pipeline.inks.ink import Ink
from latexify.serve.evaluate.inks import read_labelled_inks
from latexify.serve.recognizer import Recognizer
from latexify.serve.web import parts
from scripts.browser import Chromium, Page, find_browser

GAP = 0.5  # between two formulas of a sheet, as a share of the height of the lower one
Strokes = list[list[list[float]]]


class Reader:
    """Reads sheets as the page does."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._recognizer = Recognizer()

    def lines_of(self, strokes: Strokes) -> list[Strokes]:
        """Return the lines that the page divides a sheet into."""
        lines: list[Strokes] = self._page.value(f"linesOf({json.dumps(strokes)})")
        return lines

    def read(self, strokes: Strokes) -> tuple[str, bool]:
        """Return the LaTeX, and whether it is read as several lines."""
        lines = self.lines_of(strokes)
        inks = [strokes, *lines]
        readings = self._recognizer.read([self._recognizer.draw(ink) for ink in inks], num_beams=3)
        answers = [reading.to_answer(is_calibrated=self._recognizer.is_calibrated) for reading in readings]
        if not lines:
            return readings[0].latex, False
        latex: str = self._page.value(f"joined({json.dumps(answers[0])}, {json.dumps(answers[1:])}).latex")
        return latex, latex != readings[0].latex

    def latex_of(self, labels: list[str]) -> str:
        """Return the formula of several lines."""
        latex: str = self._page.value(f"linesLatex({json.dumps(labels)})")
        return latex


def scaled(ink: Ink, *, top: float) -> Strokes:
    """Return the strokes with a median stroke height of 1, from `top` downward, as written one below another."""
    strokes = [stroke.astype(float) for stroke in ink.strokes]
    low = np.min([stroke.min(axis=0) for stroke in strokes], axis=0)
    unit = float(np.median([max(np.ptp(stroke[:, 1]), 0.3 * np.ptp(stroke[:, 0])) for stroke in strokes])) or 1.0
    return [((stroke - low) / unit * 30 + [0, top]).tolist() for stroke in strokes]


def height_of(strokes: Strokes) -> float:
    """Return the height of strokes from 0 downward."""
    return max(y for stroke in strokes for _, y in stroke)


def single(reader: Reader, inks: list[Ink]) -> None:
    """Print what becomes of inks that are one formula."""
    divided = [ink for ink in inks if reader.lines_of([stroke.tolist() for stroke in ink.strokes])]
    answers = [(ink, *reader.read([stroke.tolist() for stroke in ink.strokes])) for ink in divided]
    taken = [ink.key for ink, _, is_several in answers if is_several]
    print(
        f"{len(inks)} formulas: {len(divided)} have a gap like that of lines, {len(taken)} are read as several: {taken}"
    )


def pairs(reader: Reader, inks: list[Ink], *, count: int) -> None:
    """Print how many sheets of two formulas are read as two."""
    rng = random.Random(0)
    num_divided = num_several = num_right = num_possible = 0
    for _ in range(count):
        upper, lower = rng.sample(inks, 2)
        first = scaled(upper, top=0.0)
        second = scaled(lower, top=0.0)
        offset = height_of(first) + GAP * height_of(second)
        sheet = [*first, *([[x, y + offset] for x, y in stroke] for stroke in second)]
        latex, is_several = reader.read(sheet)
        alone = [reader.read(strokes)[0] for strokes in (first, second)]
        labels = [upper.normalized_label, lower.normalized_label]
        num_divided += bool(reader.lines_of(sheet))
        num_several += is_several
        num_possible += alone == labels
        num_right += latex == reader.latex_of(labels)
    print(
        f"{count} sheets of two formulas: {num_divided} are divided, {num_several} read as several lines, {num_right} "
        f"right as a whole ({num_possible} have two formulas that are read right alone)"
    )


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60, help="Sheets of two formulas.")
    arguments = parser.parse_args()
    command = find_browser()
    if command is None:
        sys.exit("page_lines: needs chromium or google-chrome")
    archive = Path(os.environ["LATEXIFY_REAL_DATA"]) / "crohme/test2014.tar.xz"
    inks = list(read_labelled_inks([str(archive)], labels=LABEL_ANNOTATIONS, split="test").inks)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Chromium(command, Path(folder)) as browser,
        browser.page() as page,
    ):
        page.value(
            parts.read("sheet.js", "lines.js") + "; Object.assign(globalThis, { linesOf, joined, linesLatex }); 0"
        )
        reader = Reader(page)
        single(reader, inks)
        pairs(reader, inks, count=arguments.pairs)


if __name__ == "__main__":
    main()
