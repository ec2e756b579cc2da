"""Several lines on a sheet: where they are divided, and the formula that they become."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from latexify.serve.examples import example_inks
from latexify.serve.web import parts
from scripts.browser import Chromium, Page
from tests.support.write_page import ONE, PLUS, wait_for_answer, write

Stroke = list[tuple[float, float]]


@pytest.fixture(scope="module")
def scripts(chromium: Chromium) -> Iterator[Page]:
    """A page with nothing but the scripts."""
    with chromium.page() as page:
        page.value(
            parts.read("sheet.js", "lines.js") + "; Object.assign(globalThis, { linesOf, joined, linesLatex }); 0"
        )
        yield page


def lines_of(page: Page, strokes: Any) -> list[int]:
    """Number of strokes of each line."""
    counts: list[int] = page.value(f"linesOf({json.dumps(strokes)}).map((line) => line.length)")
    return counts


def box(x: float, y: float, width: float, height: float) -> Stroke:
    """A stroke from corner to corner."""
    return [(x, y), (x + width, y + height)]


def test_lines_are_divided_by_gaps(scripts: Page) -> None:
    """In the order of the lines, whatever was written first."""
    first, second = (
        [box(0, 0, 30, 40), box(50, 5, 30, 40)],
        [box(0, 80, 30, 40), box(40, 100, 30, 0), box(90, 82, 9, 40)],
    )
    assert lines_of(scripts, [*first, *second]) == [2, 3]
    assert lines_of(scripts, [*second, *first]) == [2, 3]
    assert lines_of(scripts, [*first, *second, *[box(0, 170, 30, 40)]]) == [2, 3, 1]


@pytest.mark.parametrize(
    "strokes",
    [
        [box(0, 0, 30, 40)],
        [box(0, 0, 30, 40), box(0, 60, 40, 1), box(0, 80, 30, 40)],  # a fraction
        [box(0, 0, 30, 40), box(0, 43, 30, 40)],  # too close
        [box(0, 0, 10, 10), box(0, 20, 40, 50), box(0, 80, 10, 10)],  # a sum with limits
        [box(0, 0, 5, 120), box(20, 0, 30, 40), box(20, 80, 30, 40)],  # a bracket in front of two rows
        [],
    ],
)
def test_one_formula_is_not_divided(scripts: Page, strokes: list[Stroke]) -> None:
    """Parts above and below each other are no lines."""
    assert lines_of(scripts, strokes) == []


def test_only_examples_of_lines_are_divided(scripts: Page) -> None:
    """The others have fractions, limits, and a matrix."""
    found = {example.name: len(lines_of(scripts, example.strokes)) for example in example_inks()}
    assert found == {
        example.name: example.latex.count(r"\\") + 1 if "aligned" in example.latex else 0 for example in example_inks()
    }
    assert 2 in found.values()


@pytest.mark.parametrize(
    ("lines", "latex"),
    [
        (["x+y=3", "x-y=1"], r"\begin{aligned}x+y&=3\\x-y&=1\end{aligned}"),
        (["x+1", "y"], r"\begin{gathered}x+1\\y\end{gathered}"),
        ([r"\sum_{i=0}^{n}i\leq1", r"\{x\}<2"], r"\begin{aligned}\sum_{i=0}^{n}i&\leq1\\\{x\}&<2\end{aligned}"),
        ([r"\left\{x", "a=b"], r"\begin{gathered}\left\{x\\a=b\end{gathered}"),
    ],
)
def test_lines_become_one_formula(scripts: Page, lines: list[str], latex: str) -> None:
    """Aligned at their relation signs if all have one outside of braces."""
    assert scripts.value(f"linesLatex({json.dumps(lines)})") == latex


def answer(latex: str, confidence: float, *others: tuple[str, float]) -> dict[str, Any]:
    """An answer as the service gives it."""
    alternatives = [{"latex": other, "confidence": share} for other, share in others]
    return {"latex": latex, "confidence": confidence, "calibrated": True, "alternatives": alternatives}


def test_the_surer_way_comes_first_and_the_other_can_be_chosen(scripts: Page) -> None:
    """The model judges whether it is one formula; what it judges wrong is one click away."""
    whole, lines = answer("x^{y}", 0.4), [answer("x", 0.9, ("X", 0.05)), answer("y", 0.8)]
    found = scripts.value(f"joined({json.dumps(whole)}, {json.dumps(lines)})")
    assert found["latex"] == r"\begin{gathered}x\\y\end{gathered}"
    assert found["confidence"] == pytest.approx(0.72)
    assert [other["latex"] for other in found["alternatives"]] == [r"\begin{gathered}X\\y\end{gathered}", "x^{y}"]
    assert found["alternatives"][1]["note"] == "as one line"
    surer = scripts.value(f"joined({json.dumps(answer('z', 0.9))}, {json.dumps(lines)})")
    assert surer["latex"] == "z"
    assert surer["alternatives"][-1]["note"] == "as 2 lines"


@pytest.mark.parametrize("confidence", [0.4, 0.9])
def test_a_formula_that_both_ways_give_is_listed_once(scripts: Page, confidence: float) -> None:
    """The model knows aligned lines, too; two equal readings would be a riddle, and both be marked as chosen."""
    latex = r"\begin{aligned}x&=3\\y&=1\end{aligned}"
    lines = [answer("x=3", 0.9, ("X=3", 0.05)), answer("y=1", 0.8)]
    other = r"\begin{aligned}X&=3\\y&=1\end{aligned}"
    found = scripts.value(f"joined({json.dumps(answer(latex, confidence, (other, 0.02)))}, {json.dumps(lines)})")
    assert [found["latex"], *(each["latex"] for each in found["alternatives"])] == [latex, other]
    assert found["confidence"] == pytest.approx(max(confidence, 0.72))
    last = scripts.value(f"joined({json.dumps(answer(other, 0.01))}, {json.dumps(lines)})")["alternatives"]
    assert [(each["latex"], each.get("note")) for each in last] == [(other, "as one line")]


def test_two_written_lines_are_read_as_two(page: Page) -> None:
    """With earlier models, one reading of both together was nonsense, said with half confidence."""
    low = [[(x, y + 150) for x, y in stroke] for stroke in [*PLUS, *ONE]]
    write(page, [*PLUS, *ONE, *low])
    page.wait_for("find('latex').value.startsWith('\\\\begin{')")
    assert wait_for_answer(page) == r"\begin{gathered}+1\\+1\end{gathered}"
