"""Which cut symbol is which symbol of the label; banks are tested in `test_compose.py`."""

from latexify.pipeline.inkml.document import document_of
from latexify.pipeline.inkml.numbers import parse_traces
from latexify.pipeline.inkml.xml import parse_xml
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.filling import align
from latexify.pipeline.synthesis.composed.formula import leaves, tree_of
from latexify.pipeline.synthesis.composed.gathering import CutSymbol, cut_symbols, trace_groups
from tests.support.composing_data import divided_ink


def symbol(token: str, mathml_index: int | None) -> CutSymbol:
    """A symbol without strokes."""
    return CutSymbol(token=token, strokes=[], mathml_index=mathml_index)


def test_bars_are_told_from_minus_signs() -> None:
    """Groups call both `-`: a fraction's bar among the minus signs would be a sign five letters wide."""
    label_leaves = leaves(tree_of("\\frac{a-b}{c}-d"))
    symbols = [symbol("-", 9), symbol("a", 2), symbol("-", 1), symbol("-", 3), *(symbol(t, 20) for t in "bcd")]
    aligned = dict(
        zip([f"{leaf.token}{n}" for n, leaf in enumerate(label_leaves)], align(label_leaves, symbols), strict=True)
    )
    assert (aligned["\\frac0"], aligned["-2"], aligned["-5"]) == (2, 3, 0)


def test_what_cannot_be_told_is_left_open() -> None:
    """Without MathML two symbols of a kind cannot be told apart, and too few cannot be matched."""
    label_leaves = leaves(tree_of("x+x=y"))
    assert align(label_leaves, [symbol("x", None), symbol("x", None), symbol("y", None)]) == [None, None, None, None, 2]
    assert align(label_leaves, [symbol("x", 1), symbol("=", 2)]) == [None, None, None, 1, None]


def test_the_inks_of_the_test_data_are_cut_and_aligned_completely() -> None:
    """The other tests rely on it: every symbol is found, with its leaf."""
    for label in ("\\frac{a-b}{c}-d", "\\sqrt{x}+x^{2}"):
        root = parse_xml(divided_ink(label, writer="ann", seed=1))
        traces = document_of(root).traces
        strokes = parse_traces([traces], max_points=10**5)[0].strokes()
        symbols = cut_symbols(traces.texts, strokes, trace_groups(root, normalize=normalize), label=label)
        assert None not in align(leaves(tree_of(label)), symbols)
