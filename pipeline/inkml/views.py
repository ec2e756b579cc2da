"""Choose the traces of a document that are ink: those outside of definitions, and what trace views show of the others.

Source: InkML, W3C Recommendation of 20 September 2011, sections 3.2 (trace collections) and 3.2.2 (trace views).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from latexify.pipeline.inkml.contexts import Contexts, local_name
from latexify.pipeline.inkml.transforms import Refer
from latexify.pipeline.inkml.xml import contradictory, unsupported

MAX_DEPTH: Final = 100
"""Views nested deeper are refused; no program writes them."""
_DATA: Final = ("trace", "traceGroup", "traceView")


@dataclass(frozen=True, slots=True)
class Piece:
    """Points of a trace, from the index `first` to before `last`; None: to the end."""

    trace: Any
    first: int = 0
    last: int | None = None


def shown_pieces(root: Any, contexts: Contexts) -> list[Piece]:
    """Return the pieces of traces that are ink, in document order.

    A view of a trace that is ink by itself only groups it. A document without either shows its definitions.

    Raises UnusableInkError: CONTRADICTORY_INKML, UNSUPPORTED_INKML.
    """
    defined: list[Piece] = []
    shown: dict[Piece, None] = {}  # ordered; the same piece is drawn once
    views = []
    for element in root.iter("{*}trace", "{*}traceView"):
        in_definitions = next(element.iterancestors("{*}definitions"), None) is not None
        if local_name(element) == "traceView":
            if not in_definitions and local_name(element.getparent()) != "traceView":
                views.append((len(shown), element))
        elif in_definitions:
            defined.append(Piece(element))
        else:
            shown[Piece(element)] = None
    definitions = {piece.trace for piece in defined}
    drawn = list(shown)
    pieces: dict[Piece, None] = {}
    start = 0
    for index, view in views:
        pieces |= dict.fromkeys(drawn[start:index])
        start = index
        pieces |= dict.fromkeys(piece for piece in _of_view(view, contexts, 0) if piece.trace in definitions)
    pieces |= dict.fromkeys(drawn[start:])
    return list(pieces) or defined


def _of_view(view: Any, contexts: Contexts, depth: int) -> Iterator[Piece]:
    if depth > MAX_DEPTH:
        raise contradictory("trace views refer to each other in a circle")
    reference = view.get("traceDataRef")
    if reference is not None:
        data = contexts.refer(reference, kinds=_DATA)
        yield from _between(data, _position(view, "from"), _position(view, "to"), contexts, depth + 1)
    for child in view.iterchildren("{*}traceView"):
        yield from _of_view(child, contexts, depth + 1)


def _position(view: Any, attribute: str) -> list[int]:
    """Read `from` or `to`: numbers from 1 of a child, its child and so on, and of a point, separated by colons."""
    text = view.get(attribute, "").strip()
    try:
        position = [int(number) for number in text.split(":")] if text else []
    except ValueError:
        position = [0]
    if any(number < 1 for number in position):
        raise contradictory(f"a trace view {attribute} {text!r}, which are no numbers from 1")
    return position


def _between(data: Any, first: list[int], last: list[int], contexts: Contexts, depth: int) -> Iterator[Piece]:
    """Yield the pieces of a trace, group or view from one position to another (included); empty: to its end."""
    if depth > MAX_DEPTH:
        raise contradictory("trace views refer to each other in a circle")
    if local_name(data) == "trace":
        if len(first) > 1 or len(last) > 1:
            raise contradictory("a trace view counts parts of a point")
        yield Piece(data, first[0] - 1 if first else 0, last[0] if last else None)
        return
    if local_name(data) == "traceView" and (data.get("traceDataRef") is not None or not (first or last)):
        if first or last:
            raise unsupported("a part of a trace view that refers to other traces")
        yield from _of_view(data, contexts, depth)
        return
    children = [child for child in data if local_name(child) in _DATA]
    begin, end = first[0] if first else 1, last[0] if last else len(children)
    if not begin <= end <= len(children):
        raise contradictory(f"a trace view from {begin} to {end} of {len(children)}")
    for number, child in enumerate(children[begin - 1 : end], start=begin):
        yield from _between(
            child, first[1:] if number == begin else [], last[1:] if number == end else [], contexts, depth + 1
        )


def join_continued(pieces: Sequence[Piece], *, refer: Refer) -> list[list[Piece]]:
    """Group pieces into strokes: a stroke may be continued in further traces.

    Args:
        pieces: Pieces in document order.
        refer: Finds elements by reference.

    Raises:
        UnusableInkError: CONTRADICTORY_INKML if it is not clear what a trace continues.
    """
    strokes: list[list[Piece]] = []
    open_strokes: list[list[Piece]] = []
    for piece in pieces:
        part = piece.trace.get("continuation", "").strip().lower()
        if part in ("", "begin"):
            strokes.append([piece])
            if part:
                open_strokes.append(strokes[-1])
            continue
        if part not in ("middle", "end"):
            raise contradictory(f"continuation {part!r} is neither begin, middle nor end")
        reference = piece.trace.get("priorRef")
        prior = None if reference is None else refer(reference, kinds=["trace"])
        matching = [stroke for stroke in open_strokes if prior is None or stroke[-1].trace is prior]
        if len(matching) != 1:
            raise contradictory(f"a trace continues {len(matching)} strokes that have begun and not ended")
        matching[0].append(piece)
        if part == "end":
            open_strokes.remove(matching[0])
    return strokes
