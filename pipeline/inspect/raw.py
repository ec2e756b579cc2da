"""InkML as it comes: a file, a folder or an archive."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import IngestParams, InkmlParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Stroke
from latexify.pipeline.inputs.archives import Member, iter_members
from latexify.pipeline.inputs.inputs import is_inkml_name, key_of, printable
from latexify.pipeline.inspect.entry import Entry, Picture, num_latex_tokens
from latexify.pipeline.latex import normalize

LIMITS = IngestParams()


class RawCollection:
    """InkML files, parsed as ingest parses them with its default limits and annotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = [_entry_of(member, archive=path) for member in members_of(path)]
        if not self.entries:
            raise LatexifyError(f"{path} holds no InkML (*.inkml), and is no inks or shard folder: name another path")
        self.title = f"{path}: {len(self.entries):,} InkML files"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Draw the inks; they are read again, for their strokes were not kept."""
        wanted = {entry.key for entry in entries}
        drawn = {
            key: draw_member(member, canvas)
            for member in members_of(self._path)
            if (key := key_of(member.name)) in wanted
        }
        return [drawn.get(entry.key) for entry in entries]


def members_of(path: Location) -> Iterator[Member]:
    """The InkML files of a folder or an archive, or the one that `path` is."""
    if path.is_file() and is_inkml_name(path.name):
        num_bytes = path.stat().st_size
        data = path.read_bytes() if num_bytes <= LIMITS.max_file_bytes else None
        yield Member(name=path.name, num_bytes=num_bytes, data=data, is_file=True)
        return
    for member in iter_members(path, max_bytes=LIMITS.max_file_bytes):
        if is_inkml_name(member.name):
            yield member


def _entry_of(member: Member, *, archive: Path) -> Entry:
    key, source = key_of(member.name), f"{archive.name}/{printable(member.name)}"
    label = None
    strokes: list[Stroke] = []
    reason = fault = None
    try:
        strokes, annotations = _parse(member)
        label = _label(annotations)
    except UnusableInkError as error:
        reason, fault = error.reason.value, printable(error.detail)
    points = np.concatenate(strokes) if strokes else None
    return Entry(
        key=key,
        source=source,
        label=label,
        num_tokens=num_latex_tokens(label) if label is not None else None,
        extent=extent_of(points) if points is not None else None,
        num_strokes=len(strokes) if strokes else None,
        num_points=len(points) if points is not None else None,
        reason=reason,
        fault=fault,
    )


def _parse(member: Member) -> tuple[list[Stroke], Mapping[str, str]]:
    if member.data is None:
        raise UnusableInkError(Reason.TOO_LARGE, "a link, or larger than ingest.max_file_bytes")
    parsed = parse_inkml(member.data, max_file_bytes=LIMITS.max_file_bytes, max_points=LIMITS.max_points)
    return parsed.strokes, parsed.annotations


def _label(annotations: Mapping[str, str]) -> str:
    names = InkmlParams().label_annotations
    found = next((annotations[name] for name in names if name in annotations), None)
    if found is None:
        raise UnusableInkError(Reason.NO_LABEL, f"no annotation {' or '.join(names)}")
    label = normalize(found)
    if not label:
        raise UnusableInkError(Reason.BAD_LABEL, f"nothing is left of {found[:80]!r} once it is normalised")
    return label


def draw_member(member: Member, canvas: Canvas) -> Picture | None:
    """The ink of an InkML file; None where its strokes cannot be read."""
    try:
        strokes, _ = _parse(member)
    except UnusableInkError:
        return None
    return draw_ink(strokes, canvas)


def extent_of(points: Stroke) -> tuple[float, float]:
    """Width and height of points, [num_points, 2]."""
    width, height = np.ptp(points.astype(np.float64), axis=0).tolist()
    return width, height
