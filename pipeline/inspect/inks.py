"""Collections of inks: InkML files, the Parquet of ingest, and rejections."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.files import open_parquet, read_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import DATASETS_KEY, INKS, MANIFEST_NAME, SOURCE
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import IngestParams, InkmlParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.drawing.pictures import draw_rows
from latexify.pipeline.ingest.labels import read_label
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Stroke, dataset_of
from latexify.pipeline.inks.table import inks_of, read_inks_manifest
from latexify.pipeline.inputs.archives import Member, is_ink, iter_members
from latexify.pipeline.inputs.inputs import SourcePlan, is_inkml_name, key_of, printable, resolve_input
from latexify.pipeline.inspect.entry import Entry, Picture, num_latex_tokens
from latexify.pipeline.latex import normalize
from latexify.pipeline.rasterize.worker import extents_of

_FACTS = ["key", "source", "split", "normalized_label", "points", "num_strokes", "num_points", "picture"]


class InkCollection:
    """Inks of Parquet files, in stored order; `is_mixture`: of several datasets."""

    def __init__(self, parts: Sequence[Location], *, title: str, is_mixture: bool = False) -> None:
        self._parts = parts
        self.entries = [
            replace(entry, dataset=dataset_of(entry.key)) if is_mixture else entry
            for batch in _ink_batches(parts, columns=_FACTS)
            for entry in _ink_entries(batch)
        ]
        self.title = f"{title}: {len(self.entries):,} inks in {len(parts)} Parquet files"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Draw the inks. Their rows are read again because their points are not kept in memory."""
        keys = pa.array([entry.key for entry in entries], pa.string())
        drawn: dict[str, Picture] = {}
        for batch in _ink_batches(self._parts, columns=None):
            inks = [*inks_of(batch.filter(pc.is_in(batch["key"], keys)))]
            drawn |= zip((ink.key for ink in inks), draw_rows(inks, canvas), strict=True)
        return [drawn.get(entry.key) for entry in entries]


def open_inks(folder: Location) -> InkCollection:
    """Open an inks folder. Raises LatexifyError if it is incomplete."""
    content = read_inks_manifest(folder).content
    parts = [folder / part["name"] for part in content["parts"]]
    return InkCollection(parts, title=f"{folder}: inks", is_mixture=DATASETS_KEY in content)


def _ink_batches(parts: Sequence[Location], *, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with open_parquet(part) as file:
            yield from file.iter_batches(batch_size=4096, columns=columns)


def _ink_entries(batch: pa.RecordBatch) -> Iterator[Entry]:
    unneeded = [name for name in ("points", "stroke_scale", "picture") if name in batch.schema.names]
    texts = batch.drop_columns(unneeded).to_pylist()
    for text, (width, height) in zip(texts, extents_of(batch), strict=True):
        label = text.pop("normalized_label")
        yield Entry(label=label, num_tokens=num_latex_tokens(label), extent=(width, height), **text)


LIMITS = IngestParams()


class RawCollection:
    """InkML files, parsed as ingest does with its default limits and annotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = [_inkml_entry(member, archive=path) for member in members_of(path)]
        if not self.entries:
            problem = "holds no InkML (*.inkml), and is not an inks or shard folder"
            raise LatexifyError(f"{path} {problem}: name another path")
        self.title = f"{path}: {len(self.entries):,} InkML files"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Draw the inks. They are read again because their strokes are not kept in memory."""
        keys = {entry.key for entry in entries}
        drawn = {
            key: draw_member(member, canvas)
            for member in members_of(self._path)
            if (key := key_of(member.name)) in keys
        }
        return [drawn.get(entry.key) for entry in entries]


def members_of(path: Location) -> Iterator[Member]:
    """Yield the InkML files of a folder or archive, or `path` itself if it is one."""
    if path.is_file() and is_inkml_name(path.name):
        num_bytes = path.stat().st_size
        data = path.read_bytes() if num_bytes <= LIMITS.max_file_bytes else None
        yield Member(name=path.name, num_bytes=num_bytes, data=data, is_file=True)
        return
    for member in iter_members(path, max_bytes=LIMITS.max_file_bytes):
        if is_ink(member):
            yield member


def _inkml_entry(member: Member, *, archive: Path) -> Entry:
    facts: dict[str, Any] = {}
    try:
        strokes, annotations = _parse(member)
        points = np.concatenate(strokes)
        width, height = np.ptp(points.astype(np.float64), axis=0).tolist()
        facts = {"extent": (width, height), "num_strokes": len(strokes), "num_points": len(points)}
        names = InkmlParams().label_annotations
        _, label = read_label(annotations, names, max_label_chars=LIMITS.max_label_chars, normalize=normalize)
        facts |= {"label": label, "num_tokens": num_latex_tokens(label)}
    except UnusableInkError as error:
        facts |= {"reason": error.reason.value, "fault": printable(error.detail)}
    return Entry(key=key_of(member.name), source=f"{archive.name}/{printable(member.name)}", **facts)


def _parse(member: Member) -> tuple[list[Stroke], Mapping[str, str]]:
    if member.data is None:
        raise UnusableInkError(Reason.TOO_LARGE, "a link, or larger than ingest.max_file_bytes")
    parsed = parse_inkml(member.data, max_file_bytes=LIMITS.max_file_bytes, max_points=LIMITS.max_points)
    return parsed.strokes, parsed.annotations


def draw_member(member: Member, canvas: Canvas) -> Picture | None:
    """Draw the ink of an InkML file; None if its strokes cannot be read."""
    try:
        strokes, _ = _parse(member)
    except UnusableInkError:
        return None
    return draw_ink(strokes, canvas)


class RejectCollection:
    """The rows of a ``rejects.parquet``.

    The inks themselves are read from sibling folders: those that rasterize rejected from ``../inks``, those that ingest
    rejected from the inputs of ``../source``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        rows: pa.Table = read_parquet(path)
        self.entries = [
            Entry(key=row["key"], source=row["source"], reason=row["reason"], fault=row["detail"])
            for row in rows.to_pylist()
        ]
        self.title = f"{path}: {len(self.entries):,} rejections"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Draw the inks that can be found and have strokes."""
        data = self._path.resolve().parent.parent
        drawn: dict[str, Picture | None] = {}
        if self._path.resolve().parent.name != INKS.kind and (data / INKS.kind / MANIFEST_NAME).is_file():
            pictures = open_inks(data / INKS.kind).pictures(entries, canvas)
            drawn = {entry.source: picture for entry, picture in zip(entries, pictures, strict=True)}
        elif (data / SOURCE.kind / MANIFEST_NAME).is_file():
            sources = {entry.source for entry in entries}
            members = _members(data / SOURCE.kind, sources)
            drawn = {source: draw_member(member, canvas) for source, member in members if source in sources}
        return [drawn.get(entry.source) for entry in entries]


def _members(folder: Path, sources: set[str]) -> Iterator[tuple[str, Member]]:
    """The members of all inputs that contain one of the sources, with their names in the `source` column."""
    content = read_manifest(folder, SOURCE).content
    for item in SourcePlan.from_content(content, where=folder / MANIFEST_NAME).inputs:
        if any(source.startswith(f"{item.name}/") for source in sources):
            for member in members_of(resolve_input(item, base=folder)):
                if is_ink(member) and item.rule.selects(member.name):
                    yield f"{item.name}/{printable(member.name)}", member
