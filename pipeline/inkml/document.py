"""Read InkML bytes into strokes and annotations. A pure function; only this package deals with the format.

Format: Ink Markup Language (InkML), W3C Recommendation of 20 September 2011, as CROHME and MathWriting write it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.ink import Reason, Stroke, StrokeColumns

_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedInk:
    """The content of one InkML file.

    Attributes:
        strokes: Strokes in document order, each float32 [num_points, 2] (x to the right, y downward), all finite. At
            least one.
        annotations: Text of the root's own annotations by type, stripped; the first of a type wins. Annotations of
            trace groups (labels of single symbols) and MathML are not included.
    """

    strokes: list[Stroke]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An InkML file whose numbers are still text. annotations: as in `ParsedInk`."""

    traces: TraceTexts
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceGroup:
    """A labelled group of traces, as CROHME divides an ink into symbols (Mouchère et al., ICFHR 2014).

    Attributes:
        label: Text of the group's annotation of type `truth`, as it is in the file.
        traces: Indices of its traces, ascending.
        mathml_index: Index of the MathML element that the group refers to, in document order; None without one.
    """

    label: str
    traces: Sequence[int]
    mathml_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedInk:
    """The content of one InkML file with its trace groups.

    Attributes:
        traces: The stroke of each trace in document order, None for a trace without points.
        annotations: As in `ParsedInk`.
        groups: Groups that hold trace views and no other groups. Groups with dangling references are left out.
    """

    traces: Sequence[Stroke | None]
    annotations: Mapping[str, str]
    groups: Sequence[TraceGroup]

    @property
    def strokes(self) -> list[Stroke]:
        """Return the strokes, as in `ParsedInk`."""
        return [trace for trace in self.traces if trace is not None]


def parse_inkml(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> ParsedInk:
    """Parse one InkML file. The limits bound time and memory.

    Raises UnusableInkError, and nothing else, for any bytes: TOO_LARGE, EMPTY_FILE, MALFORMED_XML, HOSTILE_XML,
    NOT_INKML, BAD_POINTS or NO_STROKES.
    """
    document = read_document(data, max_file_bytes=max_file_bytes)
    columns = _columns(document.traces, max_points=max_points)
    return ParsedInk(strokes=columns.strokes(), annotations=document.annotations)


def parse_grouped_inkml(data: bytes, *, max_file_bytes: int, max_points: int) -> GroupedInk:
    """Parse one InkML file with its trace groups. Raises UnusableInkError as `parse_inkml` does."""
    root = _read_root(data, max_file_bytes=max_file_bytes)
    elements = _trace_elements(root)
    texts = _trace_texts(root, elements)
    strokes = iter(_columns(texts, max_points=max_points).strokes())
    holds_point = [any(character.isdigit() for character in text) for text in texts.texts]
    return GroupedInk(
        traces=[next(strokes) if holds else None for holds in holds_point],
        annotations=_annotations(root),
        groups=_trace_groups(root, elements),
    )


def _columns(traces: TraceTexts, *, max_points: int) -> StrokeColumns:
    columns, refused = parse_traces([traces], max_points=max_points)
    if refused:
        raise refused[0]
    if not len(columns.points):
        raise no_strokes_error()
    return columns


def no_strokes_error() -> UnusableInkError:
    """Return the error for a file whose traces hold no point."""
    return UnusableInkError(Reason.NO_STROKES, "no trace holds a point")


def read_document(data: bytes, *, max_file_bytes: int) -> Document:
    """Split one InkML file into texts, so that the numbers of many can be converted together (`parse_traces`).

    Raises UnusableInkError, and nothing else: TOO_LARGE, EMPTY_FILE, MALFORMED_XML, HOSTILE_XML, NOT_INKML, or
    BAD_POINTS if a trace is inside another.
    """
    root = _read_root(data, max_file_bytes=max_file_bytes)
    return Document(traces=_trace_texts(root, _trace_elements(root)), annotations=_annotations(root))


def _read_root(data: bytes, *, max_file_bytes: int) -> Any:
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    root = parse_xml(data)
    if _local_name(root) != "ink":
        raise UnusableInkError(Reason.NOT_INKML, f"the root element is <{_local_name(root)}>, not <ink>")
    return root


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Any) -> str:
    return (element.text or "") if len(element) == 0 else "".join(element.itertext())


def _trace_texts(root: Any, elements: Sequence[Any]) -> TraceTexts:
    texts = [_text(trace) if len(trace) else trace.text or "" for trace in elements]
    return TraceTexts(texts=texts, channels=_channels(root))


def _trace_elements(root: Any) -> list[Any]:
    """Return the `<trace>` elements that are ink, in groups or not, in document order.

    Traces of a lifted pen leave no ink. Traces under `definitions` are templates, unless the file has no others: then
    views refer to them. Raises UnusableInkError (BAD_POINTS) if a trace is inside another: no pen writes that, and
    reading the inner ones once for each outer one would take a minute for a file of a few megabytes.
    """
    traces = [trace for trace in root.iter("{*}trace") if trace.get("type", "penDown").lower() != "penup"]
    if any(len(trace) and next(trace.iterdescendants("{*}trace"), None) is not None for trace in traces):
        raise UnusableInkError(Reason.BAD_POINTS, "a trace is inside another")
    if next(root.iter("{*}definitions"), None) is not None:
        drawn = [trace for trace in traces if next(trace.iterancestors("{*}definitions"), None) is None]
        traces = drawn or traces
    return traces


def _channels(root: Any) -> list[str]:
    """Return the channel names of the first trace format, in upper case."""
    trace_format = next(root.iter("{*}traceFormat"), None)
    if trace_format is None:
        return []
    return [channel.get("name", "").upper() for channel in trace_format.iter("{*}channel")]


def _annotations(root: Any) -> dict[str, str]:
    annotations: dict[str, str] = {}
    for child in root.iterchildren("{*}annotation"):
        # `typx` is a misspelling in a handful of CROHME files.
        kind = child.get("type") or child.get("typx")
        if kind is not None:
            annotations.setdefault(kind.strip(), _text(child).strip())
    return annotations


def _trace_groups(root: Any, elements: Sequence[Any]) -> list[TraceGroup]:
    index_of: dict[str, int] = {}
    for index, trace in enumerate(elements):
        name = trace.get("id") or trace.get(_XML_ID)
        if name is not None:
            # a name that two traces share is ambiguous
            index_of[name] = -1 if name in index_of else index
    mathml_indices = _mathml_indices(root)
    groups = []
    for element in root.iter("{*}traceGroup"):
        views = [view.get("traceDataRef", "").removeprefix("#") for view in element.iterchildren("{*}traceView")]
        traces = sorted({index_of.get(view, -1) for view in views})
        labels = [a.text for a in element.iterchildren("{*}annotation") if a.get("type") == "truth" and a.text]
        if not traces or traces[0] < 0 or not labels:
            continue
        links = [link.get("href", "") for link in element.iterchildren("{*}annotationXML")]
        mathml_index = next((mathml_indices[link] for link in links if link in mathml_indices), None)
        groups.append(TraceGroup(label=labels[0], traces=traces, mathml_index=mathml_index))
    return groups


def _mathml_indices(root: Any) -> Mapping[str, int]:
    """Return the index of each named element of the first MathML formula, in document order."""
    formula = next(root.iter("{*}math"), None)
    if formula is None:
        return {}
    names = [element.get(_XML_ID) or element.get("id") for element in formula.iter()]
    return {name: index for index, name in reversed(list(enumerate(names))) if name is not None}
