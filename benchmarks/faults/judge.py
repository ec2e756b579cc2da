"""The judge: reads one file as `ingest` does, draws and encodes it as `rasterize` does, and holds the result to the contract."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.faults.damage import Mutant
from benchmarks.faults.labels import WORDS
from pipeline.archives import Member
from pipeline.catalogue import ink_table
from pipeline.config import IngestParams
from pipeline.draw import Canvas, draw_ink, encode_png
from pipeline.ink import INK_SCHEMA, REJECT_SCHEMA, SPLITS, Ink, Reason, Rejection
from pipeline.inputs import SourceInput, SourcePlan
from pipeline.label_tokenizer import build_latex_tokenizer, encode_labels
from pipeline.latex import normalize, tokenize
from pipeline.markup import MAX_DETAIL_CHARS
from pipeline.reading import read_member
from pipeline.splits import HashSplit

ROW = "row"
SECRET = "the-content-of-a-file-that-nobody-may-read"  # noqa: S105
"""What the lure holds; /etc/passwd holds `root:`."""
_SECRETS = (SECRET, "root:")

PLAN = SourcePlan(
    inputs=[
        SourceInput(
            path="faults.tar",
            name="faults.tar",
            kind="archive",
            key_prefix="",
            num_inputs=None,
            num_bytes=0,
            sha256="0" * 64,
            rule=HashSplit(of="label", seed=1, valid_fraction=0.05, test_fraction=0.05),
        )
    ],
    label_annotations=["normalizedLabel", "truth", "label"],
    writer_annotations=["writer"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """outcome: `ROW`, or the reason of the rejection. problems: what of the contract does not hold; none, if all is well.

    read_s: what reading took; draw_s: what drawing and encoding took.
    """

    outcome: str
    read_s: float
    draw_s: float = 0.0
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges files; what it needs for that (a tokenizer) is made once."""

    params: IngestParams = field(default_factory=IngestParams)
    canvas: Canvas = field(
        default_factory=lambda: Canvas(height_px=32, width_px=128, margin_px=2, pen_width_px=1.5)
    )
    tokenizer: object = field(default_factory=lambda: build_latex_tokenizer(sorted({*WORDS} - {" "})))

    def judge(self, mutant: Mutant, *, name: str = "train/a.inkml") -> Verdict:
        """Read one file as `ingest` does and say what became of it. Exceptions are not caught: they are the find."""
        started = time.perf_counter()
        result = self.read(mutant.data, name=name)
        read_s = time.perf_counter() - started
        if isinstance(result, Rejection):
            problems = [*_rejection_problems(result), *_leaks(result.detail)]
            if mutant.expected in {"row", "same"}:
                problems.append(f"expected: {mutant.expected}, was: {result.reason} ({result.detail})")
            return Verdict(outcome=result.reason.value, read_s=read_s, problems=problems)
        started = time.perf_counter()
        problems = self._drawing_problems(result)
        draw_s = time.perf_counter() - started
        problems += _row_problems(result, params=self.params)
        if mutant.expected == "rejected":
            problems.append("expected: rejected, was: row")
        if mutant.expected == "same" and not _is_same(result, self.read(mutant.base, name=name)):
            problems.append("its strokes or label are not those of the file without the change")
        return Verdict(outcome=ROW, read_s=read_s, draw_s=draw_s, problems=problems)

    def read(self, data: bytes, *, name: str) -> Ink | Rejection:
        """`read_member` of a file as an archive would give it."""
        too_large = len(data) > self.params.max_file_bytes
        member = Member(name=name, num_bytes=len(data), data=None if too_large else data, is_file=True)
        return read_member(member, item=PLAN.inputs[0], plan=PLAN, params=self.params)

    def _drawing_problems(self, ink: Ink) -> list[str]:
        pixels = draw_ink(ink.strokes, self.canvas)
        encode_png(pixels)
        (ids,) = encode_labels(self.tokenizer, [ink.normalized_label])  # type: ignore[arg-type]
        problems = []
        if pixels.shape != (self.canvas.height_px, self.canvas.width_px) or pixels.min() == 255:
            problems.append(f"drawn as {pixels.shape}, darkest {pixels.min()}")
        if len(ids) != len([token for token in tokenize(ink.normalized_label) if token != " "]) + 1:
            problems.append(f"{len(ids)} ids for {ink.normalized_label[:80]!r}")
        return problems


def _row_problems(ink: Ink, *, params: IngestParams) -> list[str]:
    table = ink_table([ink])
    table.validate(full=True)
    row = {name: table[name][0].as_py() for name in table.column_names if name != "points"}
    points = table["points"].combine_chunks().flatten()
    lengths = row["stroke_lengths"]
    again = normalize(ink.normalized_label)
    checks = {
        "not of the schema": table.schema == INK_SCHEMA,
        "a null in the row": all(value is not None for name, value in row.items() if name != "writer"),
        "a coordinate is not finite": points.type == pa.float32() and bool(pc.all(pc.is_finite(points)).as_py()),
        "the lengths do not add up": 2 * sum(lengths) == len(points) == 2 * row["num_points"],
        "an empty stroke": bool(lengths) and min(lengths) >= 1 and len(lengths) == row["num_strokes"],
        "more points than allowed": row["num_points"] <= params.max_points,
        "no split": ink.split in SPLITS,
        "a label longer than allowed": len(ink.label) <= params.max_label_chars,
        "an empty label": bool(ink.normalized_label.strip()),
        f"normalised once more: {ink.normalized_label[:200]!r} -> {again[:200]!r}": again == ink.normalized_label,
        "a line break or control character in the normalised label": ink.normalized_label.isprintable(),
    }
    return [problem for problem, holds in checks.items() if not holds] + _leaks(repr(row))


def _rejection_problems(rejection: Rejection) -> list[str]:
    row = pa.table([[rejection.key], [rejection.source], [rejection.reason.value], [rejection.detail]], schema=REJECT_SCHEMA)
    row.validate(full=True)
    checks = {
        "no reason": isinstance(rejection.reason, Reason),
        "no detail": bool(rejection.detail.strip()) and len(rejection.detail) <= MAX_DETAIL_CHARS,
        "a detail that is no line": rejection.detail.isprintable(),
    }
    return [problem for problem, holds in checks.items() if not holds]


def _leaks(text: str) -> list[str]:
    return [f"{secret!r} of another file stands in the output" for secret in _SECRETS if secret in text]


def _is_same(one: Ink | Rejection, other: Ink | Rejection) -> bool:
    if not (isinstance(one, Ink) and isinstance(other, Ink)):
        return False
    same_strokes = len(one.strokes) == len(other.strokes) and all(map(np.array_equal, one.strokes, other.strokes))
    return same_strokes and (one.label, one.writer) == (other.label, other.writer)
