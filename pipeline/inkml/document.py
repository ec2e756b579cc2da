"""Read InkML bytes into strokes and annotations. A pure function; only this package deals with the format.

Format: Ink Markup Language (InkML), W3C Recommendation of 20 September 2011, as CROHME and MathWriting write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.ink import Reason, Stroke


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedInk:
    """The content of one InkML file: strokes in document order, at least one, all finite; and annotations.

    Annotations are the text of the root's own by type, stripped; the first of a type wins. Those of trace groups
    (labels of single symbols) and MathML are not included.
    """

    strokes: list[Stroke]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An InkML file whose numbers are still text. annotations: as in `ParsedInk`."""

    traces: TraceTexts
    annotations: Mapping[str, str]


def parse_inkml(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> ParsedInk:
    """Parse one InkML file; the limits bound time and memory. Raises only UnusableInkError, whatever the bytes are."""
    document = read_document(data, max_file_bytes=max_file_bytes)
    columns, refused = parse_traces([document.traces], max_points=max_points)
    if refused:
        raise refused[0]
    if not len(columns.points):
        raise no_strokes_error()
    return ParsedInk(strokes=columns.strokes(), annotations=document.annotations)


def no_strokes_error() -> UnusableInkError:
    """The error for a file whose traces hold no point."""
    return UnusableInkError(Reason.NO_STROKES, "no trace holds a point")


def read_document(data: bytes, *, max_file_bytes: int) -> Document:
    """Split one InkML file into texts, so that the numbers of many can be converted together (`parse_traces`).

    Raises UnusableInkError, and nothing else: TOO_LARGE, EMPTY_FILE, MALFORMED_XML, HOSTILE_XML, NOT_INKML, or
    BAD_POINTS if a trace is inside another.
    """
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    return document_of(parse_xml(data))


def document_of(root: Any) -> Document:
    """Split a parsed InkML file into texts, for callers that also need its XML. Raises as `read_document` does."""
    if _local_name(root) != "ink":
        raise UnusableInkError(Reason.NOT_INKML, f"the root element is <{_local_name(root)}>, not <ink>")
    texts = [_text(trace) for trace in trace_elements(root)]
    return Document(traces=TraceTexts(texts=texts, channels=_channels(root)), annotations=_annotations(root))


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Any) -> str:
    return (element.text or "") if len(element) == 0 else "".join(element.itertext())


def trace_elements(root: Any) -> list[Any]:
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
    """The channel names of the first trace format, in upper case."""
    formats = islice(root.iter("{*}traceFormat"), 1)
    return [channel.get("name", "").upper() for each in formats for channel in each.iter("{*}channel")]


def _annotations(root: Any) -> dict[str, str]:
    annotations: dict[str, str] = {}
    for child in root.iterchildren("{*}annotation"):
        # `typx` is a misspelling in a handful of CROHME files.
        kind = child.get("type") or child.get("typx")
        if kind is not None:
            annotations.setdefault(kind.strip(), _text(child).strip())
    return annotations
