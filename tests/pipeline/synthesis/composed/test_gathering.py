"""Cutting symbols out of inks."""

from latexify.pipeline.inkml.document import document_of
from latexify.pipeline.inkml.numbers import parse_traces
from latexify.pipeline.inkml.xml import parse_xml
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.gathering import cut_symbols, trace_groups

TRACES = "".join(f'<trace id="{name}">{x} 0, {x} 9</trace>' for x, name in enumerate("abcde"))


def cut(body: str, label: str = "x+1") -> list[tuple[str, list[float]]]:
    """Token and the x of its strokes, of each symbol that was cut."""
    root = parse_xml(f"<ink>{body}</ink>".encode())
    traces = document_of(root).traces
    columns, _ = parse_traces([traces], max_points=1000)
    symbols = cut_symbols(traces.texts, columns.strokes(), trace_groups(root, normalize=normalize), label=label)
    return [(symbol.token, [float(stroke[0, 0]) for stroke in symbol.strokes]) for symbol in symbols]


def group(label: str, *traces: str, href: str = "") -> str:
    """One trace group as CROHME writes it."""
    views = "".join(f'<traceView traceDataRef="{name}"/>' for name in traces)
    link = f'<annotationXML href="{href}"/>' if href else ""
    return f'<traceGroup><annotation type="truth">{label}</annotation>{link}{views}</traceGroup>'


def test_symbols_are_cut_by_groups_in_any_dialect() -> None:
    """Labels of symbols come in dialects like labels of formulas; strokes keep the order of writing."""
    body = TRACES + group("Segmentation") + group("$\\gt$", "c", "a") + group("&lt;", "d") + group("\\lt", "e")
    assert cut(body) == [(">", [0.0, 2.0]), ("<", [3.0]), ("<", [4.0])]


def test_defective_groups_of_the_real_files_are_left_out() -> None:
    """Dangling references, strokes in two groups, words, and two traces of one name: no such symbol can be trusted."""
    body = TRACES + '<trace id="e">9 9</trace>'
    body += group("x", "a", "nowhere") + group("y", "b") + group("z", "b") + group("ab", "c") + group("w", "d")
    body += group("v", "e")
    assert cut(body) == [("w", [3.0])]


def test_a_trace_without_points_shifts_no_other() -> None:
    """Traces are identified by index once read: an empty one in between must not shift the rest."""
    body = '<trace id="a">0 0</trace><trace id="b"> </trace><trace id="c">2 0</trace>'
    assert cut(body + group("x", "c") + group("y", "b")) == [("x", [2.0])]


def test_an_ink_of_one_symbol_is_that_symbol() -> None:
    """MathWriting's `symbols` have no groups, and need none."""
    assert cut("<trace>0 0, 1 1</trace><trace>1 0, 0 1</trace>", label="x") == [("x", [0.0, 1.0])]
    assert cut("<trace>0 0, 1 1</trace>", label="x+1") == []
