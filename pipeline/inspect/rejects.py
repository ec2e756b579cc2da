"""Rejections: why inks were left out, and what they look like where that can be seen."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from latexify.artifacts.files import read_parquet
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import INKS, MANIFEST_NAME, SOURCE
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.inputs.archives import Member
from latexify.pipeline.inputs.inputs import SourcePlan, is_input, locate
from latexify.pipeline.inputs.keys import printable
from latexify.pipeline.inspect.entry import Entry, Picture
from latexify.pipeline.inspect.inks import open_inks
from latexify.pipeline.inspect.raw import draw_member, members_of


class RejectCollection:
    """The rows of a ``rejects.parquet``.

    The inks themselves are found in the folders beside: what rasterize rejected in ``../inks``, what ingest rejected
    in the inputs of ``../source``.
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
        """Draw what can be found and has strokes."""
        data = self._path.resolve().parent.parent
        drawn: dict[str, Picture | None] = {}
        if self._path.resolve().parent.name != INKS.kind and (data / INKS.kind / MANIFEST_NAME).is_file():
            drawn = _from_inks(data / INKS.kind, entries, canvas)
        elif (data / SOURCE.kind / MANIFEST_NAME).is_file():
            drawn = _from_source(data / SOURCE.kind, entries, canvas)
        return [drawn.get(entry.source) for entry in entries]


def _from_inks(folder: Path, entries: Sequence[Entry], canvas: Canvas) -> dict[str, Picture | None]:
    pictures = open_inks(folder).pictures(entries, canvas)
    return {entry.source: picture for entry, picture in zip(entries, pictures, strict=True)}


def _from_source(folder: Path, entries: Sequence[Entry], canvas: Canvas) -> dict[str, Picture | None]:
    wanted = {entry.source for entry in entries}
    return {source: draw_member(member, canvas) for source, member in _members(folder, wanted) if source in wanted}


def _members(folder: Path, wanted: set[str]) -> Iterator[tuple[str, Member]]:
    """The members of the inputs that hold a wanted one, with their names in the `source` column."""
    content = read_manifest(folder, SOURCE).content
    for item in SourcePlan.from_content(content, where=folder / MANIFEST_NAME).inputs:
        if any(source.startswith(f"{item.name}/") for source in wanted):
            for member in members_of(locate(item, base=folder)):
                if is_input(member.name, rule=item.rule):
                    yield f"{item.name}/{printable(member.name)}", member
