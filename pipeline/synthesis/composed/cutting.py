"""Inks in, the single symbols that people wrote out: by trace groups, or because the ink is one symbol.

Format: trace groups as CROHME writes them (Mouchère et al., ICFHR 2014): a leaf `<traceGroup>` holds its symbol's label
as `<annotation type="truth">`, `<traceView traceDataRef="…">` for its strokes, and may point into the ink's MathML.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latexify.pipeline.inkml.document import GroupedInk
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.latex import tokenize

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
    ink: GroupedInk, *, label: str, normalize: Callable[[str], str], groups: "Sequence[Group] | None" = None
) -> list[CutSymbol]:
    """Cut an ink into its symbols; returns none if the ink is not divided.

    Left out are groups that refer to a trace that is not there, that share a trace or have too many, and those whose
    label is not one token.

    Args:
        ink: The ink.
        label: Its normalized label. An ink whose label is a single token is a symbol itself.
        normalize: `latexify.pipeline.latex.normalize`, perhaps cached.
        groups: The symbols, if they are known from elsewhere.
    """
    strokes = ink.traces
    if groups is None:
        groups = [
            Group(label=normalize(each.label), traces=each.traces, place=each.mathml_index) for each in ink.groups
        ]
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
