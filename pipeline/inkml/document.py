"""InkML bytes in, strokes and annotations out: a pure function, and the only place that knows the format.

Format: Ink Markup Language (InkML), W3C Recommendation of 20 September 2011, as CROHME and MathWriting write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError, parse_markup
from latexify.pipeline.inks.ink import Reason, Stroke


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedInk:
    """What one InkML file holds.

    strokes: in document order, each float32 [num_points, 2] (x to the right, y downward), all finite, at least one.
    annotations: text of the root's own annotations by type, stripped; the first of a type wins. Annotations of trace
        groups (labels of single symbols) and MathML are not among them.
    """

    strokes: list[Stroke]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An InkML file taken apart, its numbers still text. annotations: as in `ParsedInk`."""

    traces: TraceTexts
    annotations: Mapping[str, str]


def parse_inkml(data: bytes, *, max_file_bytes: int, max_points: int) -> ParsedInk:
    """Parse one InkML file. Time and memory are bounded by the two limits.

    Raises UnusableInkError, and nothing else, whatever the bytes: TOO_LARGE, EMPTY_FILE, MALFORMED_XML, HOSTILE_XML,
    NOT_INKML, BAD_POINTS or NO_STROKES.
    """
    document = read_document(data, max_file_bytes=max_file_bytes)
    columns, refused = parse_traces([document.traces], max_points=max_points)
    if refused:
        raise refused[0]
    if not len(columns.points):
        raise no_strokes()
    return ParsedInk(strokes=columns.strokes(), annotations=document.annotations)


def no_strokes() -> UnusableInkError:
    """The refusal of a file whose traces hold no point."""
    return UnusableInkError(Reason.NO_STROKES, "no trace holds a point")


def read_document(data: bytes, *, max_file_bytes: int) -> Document:
    """Take one InkML file apart, so that the numbers of many can be converted together (`parse_traces`).

    Raises UnusableInkError, and nothing else: TOO_LARGE, EMPTY_FILE, MALFORMED_XML, HOSTILE_XML, NOT_INKML, or
    BAD_POINTS where a trace is inside another.
    """
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    return document_of(parse_markup(data))


def document_of(root: Any) -> Document:
    """Take a parsed InkML file apart, for callers that need its markup, too. Raises UnusableInkError as above."""
    if _local_name(root) != "ink":
        raise UnusableInkError(Reason.NOT_INKML, f"the root element is <{_local_name(root)}>, not <ink>")
    return Document(traces=traces_of(root), annotations=_annotations(root))


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Any) -> str:
    return (element.text or "") if len(element) == 0 else "".join(element.itertext())


def traces_of(root: Any) -> TraceTexts:
    """The texts of `trace_elements`, and the channels."""
    texts = [_text(trace) if len(trace) else trace.text or "" for trace in trace_elements(root)]
    return TraceTexts(texts=texts, channels=_channels(root))


def trace_elements(root: Any) -> list[Any]:
    """The `<trace>` elements of a document that are ink, in groups or not, in document order.

    A lifted pen leaves no ink, and traces under `definitions` are templates, unless the file has no others: then views
    refer to them. Raises UnusableInkError (BAD_POINTS) where a trace is inside another: no pen writes that, and reading
    the inner ones once for each of the outer would take a minute for a file of a few megabytes.
    """
    traces = [trace for trace in root.iter("{*}trace") if trace.get("type", "penDown").lower() != "penup"]
    if any(len(trace) and next(trace.iterdescendants("{*}trace"), None) is not None for trace in traces):
        raise UnusableInkError(Reason.BAD_POINTS, "a trace is inside another")
    if next(root.iter("{*}definitions"), None) is not None:
        drawn = [trace for trace in traces if next(trace.iterancestors("{*}definitions"), None) is None]
        traces = drawn or traces
    return traces


def _channels(root: Any) -> list[str]:
    """Names of the channels of the first trace format, upper case."""
    trace_format = next(root.iter("{*}traceFormat"), None)
    if trace_format is None:
        return []
    return [channel.get("name", "").upper() for channel in trace_format.iter("{*}channel")]


def _annotations(root: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in root.iterchildren("{*}annotation"):
        # `typx` is a misspelling in a handful of CROHME files.
        kind = child.get("type") or child.get("typx")
        if kind is not None:
            found.setdefault(kind.strip(), _text(child).strip())
    return found
