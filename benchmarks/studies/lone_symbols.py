"""How well a model reads one symbol by people it never saw: `python -m benchmarks.studies.lone_symbols FILE`.

FILE is a file of symbols such as `data/raw/symbols/unipen.jsonl.xz`. Only symbols of the writers that
`composed.held_out_writers` leaves out are read, so a model trained with the same fraction never saw them. Prints, for
digits, letters and signs, how many were read right, and the most frequent mistakes. `but for case` counts `c` for `C`
as right, since one letter alone often does not show its size.
"""

import argparse
import json
import string
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from latexify import Recognizer
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.composed.symbol_files import is_held_out, read_lines

Symbol = tuple[str, list[list[list[float]]]]
"""Label, and strokes of points."""

KINDS = {
    "digits": frozenset(string.digits),
    "lower case": frozenset(string.ascii_lowercase),
    "upper case": frozenset(string.ascii_uppercase),
    "signs": frozenset(["+", "-", "=", "(", ")", "[", "]", "<", ">", "/"]),
}


def held_out_symbols(path: Path, *, fraction: float) -> Iterator[Symbol]:
    """Yield the symbols of held-out writers whose label is one of `KINDS`."""
    wanted = frozenset().union(*KINDS.values())
    for line in read_lines(path):
        entry = json.loads(line)
        label = normalize(entry["label"])
        if label in wanted and len(tokenize(label)) == 1 and is_held_out(str(entry.get("source", "")), fraction):
            yield label, entry["strokes"]


def choose(symbols: Sequence[Symbol], *, per_kind: int) -> list[Symbol]:
    """Up to `per_kind` symbols of each kind, every label as often as it can."""
    by_label: dict[str, list[Symbol]] = defaultdict(list)
    for symbol in Random(1).sample(symbols, len(symbols)):
        by_label[symbol[0]].append(symbol)
    chosen: list[Symbol] = []
    for labels in KINDS.values():
        share = -(-per_kind // len(labels))
        chosen += [symbol for label in sorted(labels) for symbol in by_label[label][:share]]
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Read the symbols and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, default=None, help="model folder; default: the shipped model")
    parser.add_argument("--fraction", type=float, default=0.05, help="composed.held_out_writers of its training")
    parser.add_argument("--per-kind", type=int, default=600)
    parser.add_argument("--beams", type=int, default=1)
    options = parser.parse_args(arguments)
    chosen = choose(list(held_out_symbols(options.file, fraction=options.fraction)), per_kind=options.per_kind)
    recognizer = Recognizer(options.model)
    pictures = [recognizer.draw(strokes) for _, strokes in chosen]
    answers = [answer.latex for answer in recognizer.read(pictures, num_beams=options.beams)]
    print("| kind | symbols | right | but for case | most frequent mistakes |")
    print("|---|---:|---:|---:|---|")
    for kind, labels in KINDS.items():
        pairs = [(label, answer) for (label, _), answer in zip(chosen, answers, strict=True) if label in labels]
        if not pairs:
            continue
        right = sum(label == answer for label, answer in pairs)
        but_for_case = sum(label.lower() == answer.lower() for label, answer in pairs)
        mistakes = Counter(f"`{label}` as `{answer}`" for label, answer in pairs if label.lower() != answer.lower())
        often = ", ".join(f"{what} ({count})" for what, count in mistakes.most_common(6))
        print(f"| {kind} | {len(pairs)} | {right / len(pairs):.1%} | {but_for_case / len(pairs):.1%} | {often} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
