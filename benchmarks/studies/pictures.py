"""Counts which kinds of pictures are read right, on pictures drawn from CROHME's training inks.

``python -m benchmarks.studies.pictures --half report`` with LATEXIFY_REAL_DATA (CONTRIBUTING.md). The numbers in
`latexify.pipeline.image` were chosen on one half of the writers; the other half is for reporting. All inks are ones
that the model reads right as inks, so what is missing was lost with the picture.
"""

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from PIL import Image

from benchmarks.bench.inks import CROHME_ARCHIVES, real_data
from benchmarks.studies.picture_kinds import KINDS, THICK_KINDS, Kind
from benchmarks.studies.picture_sheets import SHEETS
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.latex import normalize, tokenize
from latexify.serve.evaluate.inks import read_labelled_inks
from latexify.serve.recognizer import Recognizer

BATCH_SIZE = 32
SHORT = 3  # symbols of a short formula, at most: longer ones run together where the pen is thick
LABELS = ("normalizedLabel", "truth", "label")


def chosen_inks(inks: Sequence[Ink], *, half: str, num_inks: int, is_short: bool, recognizer: Recognizer) -> list[Ink]:
    """Inks of one half of the writers that the model reads right, at most one for a label, in an arbitrary order."""
    wanted = ("choose", "report").index(half)
    pool = [ink for ink in inks if ink.writer and zlib.crc32(ink.writer.encode()) % 2 == wanted]
    first: dict[str, Ink] = {}
    for index in np.random.default_rng(1).permutation(len(pool)).tolist():
        label = normalize(pool[index].label)
        num_symbols = sum(token not in {"{", "}", "^", "_"} for token in tokenize(label))
        if label and (num_symbols <= SHORT) == is_short:
            first.setdefault(label, pool[index])
    labels, taken = list(first), list[Ink]()
    for start in range(0, len(labels), BATCH_SIZE):
        some = [first[label] for label in labels[start : start + BATCH_SIZE]]
        answers = recognizer.read([recognizer.draw(ink.strokes) for ink in some])
        pairs = zip(labels[start : start + BATCH_SIZE], some, answers, strict=True)
        taken += [replace(ink, label=label) for label, ink, answer in pairs if answer.latex == label]
        if len(taken) >= num_inks:
            break
    return taken[:num_inks]


def count_right(kind: Kind, inks: Sequence[Ink], recognizer: Recognizer, *, out: Path | None, name: str) -> int:
    """Number of the inks that are read right as pictures of a kind. out: folder for pictures and what is seen."""
    seen: list[tuple[str, np.ndarray]] = []
    for number, (ink, data) in enumerate(_files(kind, inks)):
        try:
            picture = recognizer.picture_of(data)
        except LatexifyError:
            continue  # a refused picture is one that is not read right
        seen.append((ink.label, picture))
        if out is not None:
            stem = f"{name.replace(' ', '-').replace('%', '').replace(',', '').replace('°', '')}-{number:03d}"
            (out / f"{stem}.png").write_bytes(data)
            Image.fromarray(picture).save(out / f"{stem}-seen.png")
    answers = recognizer.read([picture for _, picture in seen])
    return sum(answer.latex == label for (label, _), answer in zip(seen, answers, strict=True))


def _files(kind: Kind, inks: Sequence[Ink]) -> Iterator[tuple[Ink, bytes]]:
    for number, ink in enumerate(inks):
        yield ink, encode(kind(ink.strokes, np.random.default_rng(number)))


def encode(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def main(  # noqa: PLR0913, PLR0917  # one parameter per option
    half: Annotated[Literal["choose", "report"], typer.Option(help="Half of the writers.")] = "report",
    num_short: Annotated[int, typer.Option(help="Number of short formulas.")] = 58,
    num_inks: Annotated[int, typer.Option(help="Number of other formulas.")] = 24,
    only: Annotated[str, typer.Option(help="Part of the names of the kinds to draw.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures and what the model sees.")] = None,
    before: Annotated[Path | None, typer.Option(help="The table of another commit, to stand beside.")] = None,
) -> None:
    """Print a table of kinds and right answers."""
    earlier = {} if before is None else read_table(before.read_text(encoding="utf-8"))
    raw = real_data()
    if raw is None:
        raise SystemExit("LATEXIFY_REAL_DATA is not set: see CONTRIBUTING.md")
    recognizer = Recognizer(num_threads=1)
    inks = read_labelled_inks([str(raw / CROHME_ARCHIVES[0])], labels=LABELS, split="train").inks
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    columns = "right | of" if before is None else "right before | right after | of"
    print(f"| kind | {columns} |\n|---|{'---:|' * (columns.count('|') + 1)}")
    for kinds, is_short, count in ((THICK_KINDS, True, num_short), (KINDS | SHEETS, False, num_inks)):
        wanted = {name: kind for name, kind in kinds.items() if only in name}
        if not wanted:
            continue
        chosen = chosen_inks(inks, half=half, num_inks=count, is_short=is_short, recognizer=recognizer)
        for name, kind in wanted.items():
            num_right = count_right(kind, chosen, recognizer, out=out, name=name)
            counts = f"{num_right}" if before is None else f"{earlier.get(name, '')} | {num_right}"
            print(f"| {name} | {counts} | {len(chosen)} |", flush=True)


def read_table(text: str) -> dict[str, str]:
    """Read the counts of a table that `main` printed, by kind; of two columns, the second."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[1]: row[-3] for row in rows if row[-3].isdigit()}


if __name__ == "__main__":
    typer.run(main)
