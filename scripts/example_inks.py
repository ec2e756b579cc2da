"""Compose the example inks of the pages: `python -m scripts.example_inks SYMBOLS.jsonl.xz --model MODEL`.

The symbols are those of MathNote (Apache-2.0), written by hand by one person, one symbol at a time; no formula was
copied from a dataset. Each formula is composed many times. Those of `WANTED` are kept, and of the others those that are
read right most often; of each the ink that the model is surest of, also when it is drawn slanted or stretched. It
writes `serve/examples/examples.json`, or fails if a wanted formula is never read right.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from random import Random

import numpy as np

from latexify.common.package_data import default_model
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.composition import write
from latexify.pipeline.synthesis.composed.filling import fill_bank
from latexify.pipeline.synthesis.composed.formula import tree_of
from latexify.pipeline.synthesis.composed.hand import ComposedHand, Habits, MissingSymbolError
from latexify.pipeline.synthesis.composed.symbol_files import read_symbol_files
from latexify.pipeline.synthesis.formulas.expression import Lines, Node
from latexify.pipeline.synthesis.typeset.layout import typeset
from latexify.serve.examples import EXAMPLES_PATH
from latexify.serve.recognizer import Recognizer

FORMULAS = {
    "Pythagoras": r"a^2+b^2=c^2",
    "Quadratic formula": r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}",
    "Euler's identity": r"e^{i\pi}+1=0",
    "Mass and energy": r"E=mc^2",
    "Sum of the first numbers": r"\sum_{k=1}^nk=\frac{n(n+1)}{2}",
    "Gauss integral": r"\int_{-\infty}^\infty e^{-x^2}dx=\sqrt{\pi}",
    "Basel problem": r"\sum_{n=1}^\infty\frac{1}{n^2}=\frac{\pi^2}{6}",
    "Binomial square": r"(a+b)^2=a^2+2ab+b^2",
    "Area of a circle": r"A=\pi r^2",
    "Golden ratio": r"\phi=\frac{1+\sqrt{5}}{2}",
    "Identity of sine and cosine": r"\sin^2x+\cos^2x=1",
    "Matrix": r"(\begin{matrix}a&b\\c&d\end{matrix})",
    "Two equations": r"\begin{aligned}x+y&=3\\x-y&=1\end{aligned}",
    "Power rule": r"\int x^ndx=\frac{x^{n+1}}{n+1}",
    "Geometric series": r"\sum_{n=0}^\infty x^n=\frac{1}{1-x}",
    "Slope": r"m=\frac{y_2-y_1}{x_2-x_1}",
    "Logarithm of a product": r"\log(ab)=\log a+\log b",
    "Sum of fractions": r"\frac{1}{2}+\frac{1}{3}=\frac{5}{6}",
    "Difference of squares": r"a^2-b^2=(a+b)(a-b)",
}
WANTED = {
    "Quadratic formula",
    "Euler's identity",
    "Gauss integral",
    "Matrix",
    "Two equations",
    "Geometric series",
}
"""One of each kind: a root in a fraction, scripts, an integral, a matrix, two lines, a sum with limits."""
STAND_INS = {"-": r"\frac", r"\surd": r"\sqrt"}
"""Symbols that are also written as another: a minus as a fraction bar, the sign of a root as a root."""
_ALIGNED = re.compile(r"\\begin\{aligned\}(.*)\\end\{aligned\}")
NUM_COUNT = 12  # examples to keep
NUM_TRIES = 48
VARIATION = 0.3  # of the writer's habits; the glyphs stay as they were written


def main() -> None:
    """Compose, choose and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("symbols", type=Path, nargs="+")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    bank = _with_stand_ins(fill_bank([], read_symbol_files(options.symbols).symbols))
    recognizer = Recognizer(options.model or default_model(), device="cpu", num_threads=1)
    found = []
    for position, (name, latex) in enumerate(FORMULAS.items()):
        label = normalize(latex)
        inks = []
        for number in range(NUM_TRIES):
            rng = Random(f"{name}/{number}")
            hand = ComposedHand(bank, 0, rng, Habits(Random(name), rng, variation=VARIATION))
            try:
                box = typeset(_tree(_spelled(label)), hand)
            except MissingSymbolError as error:
                print(f"{name}: no symbol {error}")
                break
            generator = np.random.default_rng(number)
            points, lengths = write(box, np.random.default_rng(0), generator, variation=VARIATION)
            inks.append(np.split(points, np.cumsum(lengths)[:-1]))
        pictures = [recognizer.draw(ink) for ink in inks]
        greedy, voted = (
            recognizer.read(pictures),
            recognizer.read(pictures, num_beams=3, num_drawings=3) if inks else [],
        )
        scores = [
            min(one.confidence, other.confidence) if one.latex == other.latex == label else 0.0
            for one, other in zip(greedy, voted, strict=True)
        ]
        best = int(np.argmax(scores)) if scores else 0
        right = sum(one.latex == label for one in greedy)
        print(f"{name}: {right} of {len(inks)} read right, the best with {max(scores, default=0):.0%}", flush=True)
        if scores and scores[best] > 0:
            found.append((right, position, {"name": name, "latex": label, "strokes": _rounded(inks[best])}))
    if missing := WANTED - {entry["name"] for _, _, entry in found}:
        sys.exit(f"never read right: {', '.join(sorted(missing))}")
    most_often = sorted(found, key=lambda each: (each[2]["name"] not in WANTED, -each[0]))[:NUM_COUNT]
    kept = [entry for _, _, entry in sorted(most_often, key=lambda each: each[1])]
    lines = ",\n".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in kept)
    EXAMPLES_PATH.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _with_stand_ins(bank: Bank) -> Bank:
    """Add copies of glyphs under the tokens that they stand in for."""
    added = [
        (bank.glyph(index), token)
        for symbol, token in STAND_INS.items()
        for indices in bank.glyphs_of[symbol].values()
        for index in indices
    ]
    names = list(STAND_INS.values())
    return Bank(
        tokens=[*bank.tokens, *names],
        writers=bank.writers,
        token=np.concatenate([bank.token, [len(bank.tokens) + names.index(token) for _, token in added]]),
        writer=np.concatenate([bank.writer, np.zeros(len(added), np.int64)]),
        points=np.concatenate([bank.points, *(glyph.points for glyph, _ in added)]).astype(np.float32),
        stroke_lengths=np.concatenate([bank.stroke_lengths, *(glyph.stroke_lengths for glyph, _ in added)]),
        num_strokes=np.concatenate([bank.num_strokes, [len(glyph.stroke_lengths) for glyph, _ in added]]),
    )


def _tree(label: str) -> Node:
    """The tree of a formula, which may be of several aligned lines."""
    if lines := _ALIGNED.fullmatch(label):
        cells = [line.split("&") for line in lines[1].split(r"\\")]
        return Lines("aligned", tuple(tuple(map(tree_of, line)) for line in cells))
    return tree_of(label)


def _spelled(label: str) -> str:
    """Write the names of functions as letters, of which there are no symbols of their own."""
    return re.sub(r"\\(sin|cos|log) ?", lambda found: found[1], label)


def _rounded(ink: list[np.ndarray]) -> list[list[list[int]]]:
    """Integers, in units of a two-thousandth of the longer side."""
    low = np.min([stroke.min(axis=0) for stroke in ink], axis=0)
    extent = max(np.max([stroke.max(axis=0) for stroke in ink], axis=0) - low)
    return [np.round((stroke - low) * (2000 / extent)).astype(int).tolist() for stroke in ink]


if __name__ == "__main__":
    main()
