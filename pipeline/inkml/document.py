"""Read InkML bytes into strokes and annotations. A pure function; only this package deals with the format.

Format: Ink Markup Language (InkML), W3C Recommendation of 20 September 2011, as CROHME and MathWriting write it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.inkml.contexts import local_name
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.strokes import is_pen_up, plain_traces
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
    """An InkML file whose numbers are still text. annotations: as in `ParsedInk`.

    is_plain: whether the texts are those of the `<trace>` elements that are not pen-up, in document order.
    """

    traces: TraceTexts
    annotations: Mapping[str, str]
    is_plain: bool = True


_NOT_PLAIN_ELEMENTS: Final = ("{*}context", "{*}definitions", "{*}inkSource", "{*}canvas", "{*}canvasTransform")
_NOT_PLAIN_ATTRIBUTES: Final = frozenset(
    ("contextRef", "continuation", "priorRef", "traceFormatRef", "inkSourceRef", "canvasRef", "canvasTransformRef")
)


def parse_inkml(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> ParsedInk:
    """Parse one InkML file; the limits bound time and memory. Raises only UnusableInkError, whatever the bytes are."""
    document = read_document(data, max_file_bytes=max_file_bytes, max_points=max_points)
    columns, refused = parse_traces([document.traces], max_points=max_points)
    if refused:
        raise refused[0]
    if not len(columns.points):
        raise no_strokes_error()
    return ParsedInk(strokes=columns.strokes(), annotations=document.annotations)


def no_strokes_error() -> UnusableInkError:
    """The error for a file whose traces hold no point."""
    return UnusableInkError(Reason.NO_STROKES, "no trace holds a point")


def read_document(data: bytes, *, max_file_bytes: int, max_points: int = MAX_POINTS) -> Document:
    """Split one InkML file into texts, so that the numbers of many can be converted together (`parse_traces`).

    Raises UnusableInkError, and nothing else: the reasons of `parse_inkml`, except for NO_STROKES and for what is wrong
    with the numbers of plain traces.
    """
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    return document_of(parse_xml(data), max_points=max_points)


def document_of(root: Any, *, max_points: int = MAX_POINTS) -> Document:
    """Split a parsed InkML file into texts, for callers that also need its XML. Raises as `read_document` does."""
    if local_name(root) != "ink":
        raise UnusableInkError(Reason.NOT_INKML, f"the root element is <{local_name(root)}>, not <ink>")
    traces = list(root.iter("{*}trace"))
    if any(len(trace) and next(trace.iterdescendants("{*}trace"), None) is not None for trace in traces):
        # reading the inner ones once for each outer one would take a minute for a file of a few megabytes
        raise UnusableInkError(Reason.BAD_POINTS, "a trace is inside another")
    formats = list(root.iter("{*}traceFormat"))
    channels = [channel for trace_format in formats for channel in trace_format.iter("{*}channel")]
    names = [channel.get("name", "").strip().upper() for channel in channels]
    is_plain = len(formats) <= 1 and "S" not in names and _is_plain(root, channels, names)
    if is_plain:
        texts = [_text(trace) for trace in ink_elements(root)]
        content = TraceTexts(texts=texts, channels=names)
    else:
        content = TraceTexts(texts=plain_traces(root, max_points=max_points), channels=[])
    return Document(traces=content, annotations=_annotations(root), is_plain=is_plain)


def ink_elements(root: Any) -> list[Any]:
    """The `<trace>` elements of a plain document that leave ink, in document order."""
    return [trace for trace in root.iter("{*}trace") if not is_pen_up(trace)]


def _is_plain(root: Any, channels: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether all traces are ink, and their numbers have one meaning, which the names of the channels tell."""
    units = {channel.get("units") for channel, name in zip(channels, names, strict=True) if name in {"X", "Y"}}
    return (
        next(root.iter(*_NOT_PLAIN_ELEMENTS), None) is None
        and all(_NOT_PLAIN_ATTRIBUTES.isdisjoint(each.keys()) for each in root.iter("{*}trace", "{*}traceGroup"))
        and not any(channel.get("orientation") or len(channel) for channel in channels)
        and len(units) <= 1
    )


def _text(element: Any) -> str:
    return (element.text or "") if len(element) == 0 else "".join(element.itertext())


def _annotations(root: Any) -> dict[str, str]:
    annotations: dict[str, str] = {}
    for child in root.iterchildren("{*}annotation"):
        # `typx` is a misspelling in a handful of CROHME files.
        kind = child.get("type") or child.get("typx")
        if kind is not None:
            annotations.setdefault(kind.strip(), _text(child).strip())
    return annotations
