"""Cuts inks into the single symbols that people wrote: by trace groups, or because the ink is one symbol.

Format: trace groups as CROHME writes them (Mouchère et al., ICFHR 2014): a leaf `<traceGroup>` holds its symbol's label
as `<annotation type="truth">`, `<traceView traceDataRef="…">` for its strokes, and may point into the ink's MathML.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.pipeline.inkml.document import trace_elements
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.latex import tokenize

XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
MAX_SYMBOL_STROKES = 8
"""A group of more strokes was not divided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSymbol:
    """One symbol of an ink.

    token: normalised. strokes: in writing order, at least one, in the units of the file. first_stroke: index in the ink
    of the first of them. mathml_index: index of the symbol among the elements of the ink's MathML; None without a link.
    """

    token: str
    strokes: Sequence[Stroke]
    first_stroke: int
    mathml_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceGroup:
    """Strokes of one symbol. label: normalised. traces: indices among the ink's traces, ascending."""

    label: str
    traces: Sequence[int]
    mathml_index: int | None


def cut_symbols(
    traces: Sequence[str], strokes: Sequence[Stroke], groups: Sequence[TraceGroup], *, label: str
) -> list[CutSymbol]:
    """The symbols of one ink; none if it is not divided.

    Left out are groups without strokes or with too many, groups that share a stroke or have one without points, and
    groups whose label is not one token.

    Args:
        traces: Text of each trace; only those that hold a point have a stroke.
        strokes: The strokes of the ink.
        groups: Its trace groups.
        label: Its label, normalised. If it is a single token, an ink without groups is that symbol.
    """
    written = iter(strokes)
    drawn = [next(written) if holds_point(text) else None for text in traces]
    if not groups and len(tokenize(label)) == 1 and 0 < len(drawn) <= MAX_SYMBOL_STROKES:
        groups = [TraceGroup(label=label, traces=range(len(drawn)), mathml_index=None)]
    num_users = Counter(trace for group in groups for trace in group.traces)
    symbols = []
    for group in groups:
        own = [stroke for trace in group.traces if (stroke := drawn[trace]) is not None]
        is_whole = len(own) == len(group.traces) and all(num_users[trace] == 1 for trace in group.traces)
        if is_whole and 0 < len(own) <= MAX_SYMBOL_STROKES and len(tokenize(group.label)) == 1:
            first, index = min(group.traces), group.mathml_index
            symbols.append(CutSymbol(token=group.label, strokes=own, first_stroke=first, mathml_index=index))
    return symbols


def holds_point(text: str) -> bool:
    """Whether a trace has a stroke."""
    return any(character.isdigit() for character in text)


def trace_groups(root: Any, *, normalize: Callable[[str], str]) -> list[TraceGroup]:
    """The trace groups of an InkML document that are symbols; groups with dangling references are left out."""
    index_of: dict[str, int] = {}
    for index, trace in enumerate(trace_elements(root)):
        name = trace.get("id") or trace.get(XML_ID)
        if name is not None:
            index_of[name] = -1 if name in index_of else index  # a repeated name is ambiguous
    mathml = _mathml_indices(root)
    groups = []
    for element in root.iter("{*}traceGroup"):
        views = [view.get("traceDataRef", "").removeprefix("#") for view in element.iterchildren("{*}traceView")]
        traces = sorted({index_of.get(view, -1) for view in views})
        labels = [a.text for a in element.iterchildren("{*}annotation") if a.get("type") == "truth" and a.text]
        if not traces or traces[0] < 0 or not labels:
            continue
        links = [link.get("href", "") for link in element.iterchildren("{*}annotationXML")]
        mathml_index = next((mathml[link] for link in links if link in mathml), None)
        groups.append(TraceGroup(label=normalize(labels[0]), traces=traces, mathml_index=mathml_index))
    return groups


def _mathml_indices(root: Any) -> Mapping[str, int]:
    """Document order of the named elements of the first formula in MathML."""
    formula = next(root.iter("{*}math"), None)
    if formula is None:
        return {}
    names = [element.get(XML_ID) or element.get("id") for element in formula.iter()]
    return {name: index for index, name in reversed(list(enumerate(names))) if name is not None}
