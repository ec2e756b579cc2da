"""Composed inks: cutting symbols out of inks, telling which is which, and measuring them."""

import numpy as np
import pytest
from latexify.pipeline.synthesis.composed.aligning import align

from latexify.pipeline.inkml.xml import parse_xml
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.cutting import CutSymbol, cut_symbols
from latexify.pipeline.synthesis.composed.formula import leaves, tree_of
from latexify.pipeline.synthesis.composed.measuring import Written, measure, printed
from tests.support.composing_data import divided_ink

TRACES = "".join(f'<trace id="{name}">{at} 0, {at} 9</trace>' for at, name in enumerate("abcde"))


def cut(body: str, label: str = "x+1") -> list[tuple[str, list[float]]]:
    """Token and the x of its strokes, of each symbol that was cut."""
    root = parse_xml(f"<ink>{body}</ink>".encode())
    found = cut_symbols(root, label=label, max_points=1000, normalize=normalize)
    return [(symbol.token, [float(stroke[0, 0]) for stroke in symbol.strokes]) for symbol in found]


def group(label: str, *traces: str, href: str = "") -> str:
    """One trace group as CROHME writes it."""
    views = "".join(f'<traceView traceDataRef="{name}"/>' for name in traces)
    link = f'<annotationXML href="{href}"/>' if href else ""
    return f'<traceGroup><annotation type="truth">{label}</annotation>{link}{views}</traceGroup>'


def test_symbols_are_cut_by_groups_in_any_dialect() -> None:
    """Labels of symbols come in dialects as labels of formulas do; strokes keep the order of writing."""
    body = TRACES + group("Segmentation") + group("$\\gt$", "c", "a") + group("&lt;", "d") + group("\\lt", "e")
    assert cut(body) == [(">", [0.0, 2.0]), ("<", [3.0]), ("<", [4.0])]


def test_defects_of_the_real_files_leave_symbols_out() -> None:
    """Dangling references, strokes in two groups, words, and two traces of one name: no such symbol can be trusted."""
    body = TRACES + '<trace id="e">9 9</trace>'
    body += group("x", "a", "nowhere") + group("y", "b") + group("z", "b") + group("ab", "c") + group("w", "d")
    body += group("v", "e")
    assert cut(body) == [("w", [3.0])]


def test_a_trace_without_points_shifts_no_other() -> None:
    """Traces are named by position once read: an empty one in between must not move the rest."""
    body = '<trace id="a">0 0</trace><trace id="b"> </trace><trace id="c">2 0</trace>'
    assert cut(body + group("x", "c") + group("y", "b")) == [("x", [2.0])]


def test_an_ink_of_one_symbol_is_that_symbol() -> None:
    """MathWriting's `symbols` have no groups, and need none."""
    assert cut("<trace>0 0, 1 1</trace><trace>1 0, 0 1</trace>", label="x") == [("x", [0.0, 1.0])]
    assert cut("<trace>0 0, 1 1</trace>", label="x+1") == []


def symbol(token: str, place: int | None) -> CutSymbol:
    """A symbol without strokes."""
    return CutSymbol(token=token, strokes=[], first_stroke=0, place=place)


def test_bars_are_told_from_minus_signs() -> None:
    """Groups call both `-`: a fraction's bar among the minus signs would be a sign five letters wide."""
    found = leaves(tree_of("\\frac{a-b}{c}-d"))
    symbols = [symbol("-", 9), symbol("a", 2), symbol("-", 1), symbol("-", 3), *(symbol(t, 20) for t in "bcd")]
    aligned = dict(zip([f"{leaf.token}{n}" for n, leaf in enumerate(found)], align(found, symbols), strict=True))
    assert (aligned["\\frac0"], aligned["-2"], aligned["-5"]) == (2, 3, 0)


def test_what_cannot_be_told_is_left_open() -> None:
    """Without MathML two symbols of a kind cannot be told apart, and too few cannot be matched."""
    found = leaves(tree_of("x+x=y"))
    assert align(found, [symbol("x", None), symbol("x", None), symbol("y", None)]) == [None, None, None, None, 2]
    assert align(found, [symbol("x", 1), symbol("=", 2)]) == [None, None, None, 1, None]


def test_lines_and_classes_are_found_again() -> None:
    """Sizes and baselines of lines, and the proportions of classes, from extents alone, through noise."""
    rng = np.random.default_rng(1)
    tokens = ["2", "x", "y", "d", "-"]
    top, bottom = np.array([-1.0, -0.6, -0.6, -1.2, -0.45]), np.array([0.0, 0.0, 0.5, 0.0, -0.4])
    token, line = rng.integers(0, 5, 1500), np.repeat(np.arange(250), 6)
    size, baseline = rng.uniform(5, 500, 250), rng.uniform(-1000, 1000, 250)
    noise = rng.normal(0, 0.05, (2, 1500))
    low = baseline[line] + size[line] * (top[token] + noise[0])
    high = baseline[line] + size[line] * (bottom[token] + noise[1])
    corners = [np.column_stack([np.zeros(1500), each]) for each in (low, high)]
    written = Written(tokens=tokens, token=token, line=line, low=corners[0], high=corners[1])
    found = measure(written, top=np.array([-1, -0.7, -0.7, -1, -0.5]), bottom=np.array([0, 0, 0.3, 0, -0.5]))
    np.testing.assert_allclose(found.top, top, atol=0.03)
    np.testing.assert_allclose(found.bottom, bottom, atol=0.03)
    assert found.sound.mean() > 0.9
    assert np.median(np.abs(found.size / size - 1)[found.sound]) < 0.05


def test_a_line_of_dashes_tells_no_size() -> None:
    """A minus alone would otherwise set its line's size to nearly nothing, and be drawn as large as a page."""
    corners = np.array([[0.0, 10.0], [5.0, 10.0]]), np.array([[4.0, 10.4], [9.0, 10.3]])
    written = Written(tokens=["-"], token=np.zeros(2, int), line=np.zeros(2, int), low=corners[0], high=corners[1])
    assert not measure(written, top=np.array([-0.42]), bottom=np.array([-0.38])).sound.any()


@pytest.mark.parametrize(
    ("token", "is_low", "is_high"), [("x", False, False), ("y", True, False), ("d", False, True), ("-", False, False)]
)
def test_printed_proportions_know_ascenders(token: str, *, is_low: bool, is_high: bool) -> None:
    """The measurement starts from these, and rare symbols keep them."""
    found = printed(token)
    assert (found.bottom > 0.15, found.top < -0.9) == (is_low, is_high)


def test_a_command_unknown_to_mathtext_has_the_proportions_of_a_capital() -> None:
    """A symbol file may hold any command; it must not end the run."""
    assert printed("\\nosuchcommand") == printed("\\anotherone")


def test_written_inks_are_cut_and_aligned_whole() -> None:
    """The test data of the other tests is what it says: every symbol is found, with its place."""
    for label in ("\\frac{a-b}{c}-d", "\\sqrt{x}+x^{2}"):
        root = parse_xml(divided_ink(label, writer="ann", seed=1))
        symbols = cut_symbols(root, label=label, max_points=10**5, normalize=normalize)
        assert None not in align(leaves(tree_of(label)), symbols)
