"""Inks in, the single symbols that people wrote out: by trace groups, or because the ink is one symbol.

Format: trace groups as CROHME writes them (Mouchère et al., ICFHR 2014): a leaf `<traceGroup>` holds its symbol's label
as `<annotation type="truth">`, `<traceView traceDataRef="…">` for its strokes, and may point into the ink's MathML.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.pipeline.inkml.document import trace_elements, traces_of
from latexify.pipeline.inkml.numbers import parse_traces
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.latex import tokenize

XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
MAX_SYMBOL_STROKES = 8
"""More are no symbol, but a group that was not divided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSymbol:
    """One symbol of an ink. token: normalised. strokes: in writing order, at least one, in the units of the file.

    first_stroke: position in the ink of the first of them.
    place: position of the symbol among the elements of the ink's MathML, None where nothing points there.
    """

    token: str
    strokes: Sequence[Stroke]
    first_stroke: int
    place: int | None


def cut_symbols(
    root: Any, *, label: str, max_points: int, normalize: Callable[[str], str], groups: "Sequence[Group] | None" = None
) -> list[CutSymbol]:
    """The symbols of one InkML document that can be told apart; none where it is not divided.

    label: of the ink, normalised: one of a single token is a symbol itself. groups: if they are known from elsewhere.

    Left out: groups that refer to a trace that is not there, that have no trace to themselves or too many, and those
    whose label is not one token. Raises UnusableInkError where the points cannot be read.
    """
    elements = trace_elements(root)
    texts = traces_of(root)
    columns, refused = parse_traces([texts], max_points=max_points)
    if refused:
        raise refused[0]
    written = iter(columns.strokes())
    strokes = [next(written) if _holds_point(text) else None for text in texts.texts]
    if groups is None:
        groups = _groups(root, elements, normalize=normalize)
    if not groups and len(tokenize(label)) == 1 and 0 < len(strokes) <= MAX_SYMBOL_STROKES:
        groups = [Group(label=label, traces=range(len(strokes)), place=None)]
    num_users = [0] * len(strokes)
    for group in groups:
        for trace in group.traces:
            num_users[trace] += 1
    found = []
    for group in groups:
        own = [strokes[trace] for trace in group.traces]
        shared = any(num_users[trace] > 1 for trace in group.traces)
        if shared or not 0 < len(own) <= MAX_SYMBOL_STROKES or len(tokenize(group.label)) != 1:
            continue
        drawn = [stroke for stroke in own if stroke is not None]
        if len(drawn) == len(own):
            first = min(group.traces)
            found.append(CutSymbol(token=group.label, strokes=drawn, first_stroke=first, place=group.place))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Strokes that make up a symbol. label: normalised. traces: positions among the ink's traces, ascending."""

    label: str
    traces: Sequence[int]
    place: int | None


def _holds_point(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _groups(root: Any, elements: Sequence[Any], *, normalize: Callable[[str], str]) -> list[Group]:
    """The trace groups that hold views and no other groups; those with dangling references are left out."""
    position: dict[str, int] = {}
    for number, trace in enumerate(elements):
        name = trace.get("id") or trace.get(XML_ID)
        if name is not None:
            # of two traces with one name none can be meant
            position[name] = -1 if name in position else number
    places = _places(root)
    groups = []
    for element in root.iter("{*}traceGroup"):
        views = [view.get("traceDataRef", "").removeprefix("#") for view in element.iterchildren("{*}traceView")]
        traces = sorted({position.get(view, -1) for view in views})
        labels = [a.text for a in element.iterchildren("{*}annotation") if a.get("type") == "truth" and a.text]
        if not traces or traces[0] < 0 or not labels:
            continue
        links = [link.get("href", "") for link in element.iterchildren("{*}annotationXML")]
        place = next((places[link] for link in links if link in places), None)
        groups.append(Group(label=normalize(labels[0]), traces=traces, place=place))
    return groups


def _places(root: Any) -> Mapping[str, int]:
    """Names of the elements of the first formula in MathML, in document order."""
    formula = next(root.iter("{*}math"), None)
    if formula is None:
        return {}
    names = [element.get(XML_ID) or element.get("id") for element in formula.iter()]
    return {name: number for number, name in reversed(list(enumerate(names))) if name is not None}
