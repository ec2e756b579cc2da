"""Read a file as `ingest` does, draw and encode it as `rasterize` does, and check what must hold."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from benchmarks.destroy.damage import Mutant
from benchmarks.destroy.texts import WORDS
from latexify.artifacts.draft import BUILD_KEY_NAME
from latexify.artifacts.files import read_parquet, write_json
from latexify.pipeline.config import IngestParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink, encode_png
from latexify.pipeline.ingest.chunks import Chunk, read_record
from latexify.pipeline.ingest.worker import read_chunk
from latexify.pipeline.inkml.xml import MAX_DETAIL_CHARS
from latexify.pipeline.inks.ink import SPLITS, Ink, Reason, Rejection
from latexify.pipeline.inks.schemas import INK_SCHEMA, REJECT_SCHEMA
from latexify.pipeline.inks.table import inks_of, part_name
from latexify.pipeline.inputs.archives import Member
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan
from latexify.pipeline.inputs.splits import HashSplit
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer, encode_labels

ROW = "row"
SECRET = "the-content-of-a-file-that-nobody-may-read"
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
class Checked:
    """What became of a file.

    outcome: `ROW`, or the reason of the rejection. problems: what of the contract does not hold; none, if all is well.
    read_s, draw_s: CPU time of reading, and of drawing and encoding.
    """

    outcome: str
    read_s: float
    draw_s: float = 0.0
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadFiles:
    """What a chunk of files was read as. rows: of `INK_SCHEMA`."""

    names: Sequence[str]
    files: Sequence[bytes]
    rows: pa.Table
    rejections: Sequence[Rejection]


@dataclass(frozen=True, kw_only=True)
class Checker:
    """Checks files. folder: where it may write; best in memory, as every file becomes a part of its own there."""

    folder: Path
    params: IngestParams = field(default_factory=IngestParams)
    canvas: Canvas = field(default_factory=lambda: Canvas(height_px=32, width_px=128, margin_px=2, pen_width_px=1.5))
    tokenizer: PreTrainedTokenizerBase = field(default_factory=lambda: build_latex_tokenizer(sorted({*WORDS} - {" "})))

    def __post_init__(self) -> None:
        write_json(self.folder / BUILD_KEY_NAME, {"recipe": "faults"})

    def check(self, mutant: Mutant, *, name: str = "a.inkml") -> tuple[Checked, ReadFiles]:
        """Read one file as `ingest` does and say what became of it. Exceptions are not caught: they are the find."""
        started = time.process_time()
        found = self.read([name], [mutant.data])
        read_s = time.process_time() - started
        rows, rejections = found.rows, found.rejections
        if len(rows) + len(rejections) != 1:
            problems = [f"{len(rows)} rows, {len(rejections)} rejections"]
            return Checked(outcome="lost", read_s=read_s, problems=problems), found
        if rejections:
            outcome = rejections[0].reason.value
            problems = [*_rejection_problems(rejections[0]), *_leaks(rejections[0].detail)]
            if mutant.expected in {"row", "same"}:
                problems.append(f"expected: {mutant.expected}, was: {outcome} ({rejections[0].detail})")
            return Checked(outcome=outcome, read_s=read_s, problems=problems), found
        (ink,) = inks_of(rows.to_batches()[0])
        started = time.process_time()
        problems = self._drawing_problems(ink)
        draw_s = time.process_time() - started
        problems += _row_problems(rows, ink, params=self.params)
        if mutant.expected == "rejected":
            problems.append("expected: rejected, was: row")
        if mutant.expected == "same" and self.read([name], [mutant.base]).rows != rows:
            problems.append("its row is not that of the file without the change")
        return Checked(outcome=ROW, read_s=read_s, draw_s=draw_s, problems=problems), found

    def check_together(self, alone: Sequence[ReadFiles]) -> list[str]:
        """Read files, each of which was read alone, as one chunk; the problem, where one becomes something else."""
        names = [name for found in alone for name in found.names]
        together = self.read(names, [data for found in alone for data in found.files])
        same_rows = together.rows == pa.concat_tables([INK_SCHEMA.empty_table(), *(each.rows for each in alone)])
        if same_rows and together.rejections == [rejection for each in alone for rejection in each.rejections]:
            return []
        return ["read together, files become something else than each alone"]

    def read(self, names: Sequence[str], files: Sequence[bytes]) -> ReadFiles:
        """Read files as one chunk."""
        item, limit = PLAN.inputs[0], self.params.max_file_bytes
        members = [
            (item, Member(name=name, num_bytes=len(data), data=data if len(data) <= limit else None, is_file=True))
            for name, data in zip(names, files, strict=True)
        ]
        chunk = Chunk(index=0, members=members)
        outcome = read_chunk(chunk, plan=PLAN, params=self.params, base=self.folder, out=self.folder)
        rows = read_parquet(self.folder / part_name(0)) if len(outcome.identities) else INK_SCHEMA.empty_table()
        return ReadFiles(names=names, files=files, rows=rows, rejections=list(read_record(self.folder, 0).rejections))

    def _drawing_problems(self, ink: Ink) -> list[str]:
        pixels = draw_ink(ink.strokes, self.canvas)
        encode_png(pixels)
        (ids,) = encode_labels(self.tokenizer, [ink.normalized_label])
        problems = []
        if pixels.shape != (self.canvas.height_px, self.canvas.width_px) or pixels.min() == 255:
            problems.append(f"drawn as {pixels.shape}, darkest {pixels.min()}")
        if len(ids) != len([token for token in tokenize(ink.normalized_label) if token != " "]) + 1:
            problems.append(f"{len(ids)} ids for {ink.normalized_label[:80]!r}")
        return problems


def _row_problems(table: pa.Table, ink: Ink, *, params: IngestParams) -> list[str]:
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
    row = pa.table(
        [[rejection.key], [rejection.source], [rejection.reason.value], [rejection.detail]], schema=REJECT_SCHEMA
    )
    row.validate(full=True)
    checks = {
        "no reason": isinstance(rejection.reason, Reason),
        "no detail": bool(rejection.detail.strip()) and len(rejection.detail) <= MAX_DETAIL_CHARS,
        "a detail that is no line": rejection.detail.isprintable(),
    }
    return [problem for problem, holds in checks.items() if not holds]


def _leaks(text: str) -> list[str]:
    return [f"{secret!r} of another file stands in the output" for secret in _SECRETS if secret in text]
