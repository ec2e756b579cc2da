"""The report's gallery, cards and charts: a fair choice of samples, and any content is displayed."""

import base64
import io
import re

import numpy as np
from PIL import Image, ImageDraw

from latexify.eval.report.cards import mark_differences, picture_uri
from latexify.eval.report.charts import Bar, Series, column_chart, interval_chart, line_chart
from latexify.eval.report.gallery import GalleryCandidate, fill_gallery, gallery_order


def test_largest_usual_canvas_stays_small_enough() -> None:
    """300 pictures of 384x384 grey pixels fit into the gallery beside their formulas."""
    canvas = Image.new("L", (384, 384), 255)
    pen = ImageDraw.Draw(canvas)
    for x in range(20, 380, 40):
        pen.ellipse((x, 100, x + 30, 280), outline=0, width=3)
    pixels = np.asarray(canvas.resize((370, 384), Image.Resampling.BILINEAR))
    assert 300 * len(picture_uri(pixels)) < 2_500_000


def test_picture_keeps_ink_and_paper() -> None:
    """The 16 shades must include black and white, or every ink would look faded."""
    pixels = np.array([[0, 255, 128, 17]], dtype=np.uint8)
    png = base64.b64decode(picture_uri(pixels).removeprefix("data:image/png;base64,"))
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert shown.tolist() == [[0, 255, 136, 17]]


def test_differences_are_marked_and_nothing_is_lost() -> None:
    """The marks show what to correct; the text itself must not change."""
    reference, prediction = mark_differences(r"\frac{x}{y}+1", r"\frac{x}{2}+12z")
    assert "".join(piece.text for piece in reference) == r"\frac{x}{y}+1"
    assert "".join(piece.text for piece in prediction) == r"\frac{x}{2}+12z"
    assert [piece.text for piece in reference if piece.mark == "missing"] == ["y"]
    assert [piece.text for piece in prediction if piece.mark == "wrong"] == ["2", "2z"]


def candidates(errors: list[int]) -> list[GalleryCandidate]:
    """Samples with these numbers of errors, in ascending confidence."""
    return [
        GalleryCandidate(
            key=f"{row:03}",
            num_errors=count,
            error_rate=count / 10,
            confidence=row / len(errors),
            classes=("rare",) if row == 7 else ("common",),
        )
        for row, count in enumerate(errors)
    ]


def test_half_of_what_is_shown_is_a_fair_sample() -> None:
    """A gallery of only the worst or the best would mislead; the random half is the same draw at any size."""
    samples = candidates([row % 3 for row in range(100)])
    named = list(gallery_order(samples, seed=1))
    random = [row for group, row in named if group == "random"]
    assert sorted(random) == list(range(100))
    assert [group for group, _ in named[:20]].count("random") == 10
    other = [
        row
        for group, row in gallery_order(candidates([2 - row % 3 for row in range(100)]), seed=1)
        if group == "random"
    ]
    assert random == other, "the random sample must not depend on which predictions are right"


def test_groups_hold_what_they_promise() -> None:
    """Worst: most edits for the length. Confident: the most confident errors. A rare class comes early."""
    named = list(gallery_order(candidates([0, 1, 9, 0, 2, 1, *[0] * 30]), seed=1))
    assert [row for group, row in named if group == "worst"] == [2, 4, 5, 1]
    assert [row for group, row in named if group == "confident"] == [5, 4, 2, 1]
    assert 7 in [row for group, row in named if group == "class"][:2]


def test_a_perfect_model_has_a_gallery_too() -> None:
    """The groups of errors are empty then."""
    assert {row for _, row in gallery_order(candidates([0] * 9), seed=1)} == set(range(9))


def test_gallery_takes_each_sample_once_and_keeps_its_bounds() -> None:
    """A sample that is random and worst at once has one card that names both reasons."""
    named = [("random", 4), ("worst", 4), ("class", 2), ("worst", 1), ("random", 3)]
    shown = fill_gallery(iter(named), make=lambda row: row, size_of=lambda _: 10, num_samples=3, max_bytes=100)
    assert {row: one.groups for row, one in shown.items()} == {4: ["random", "worst"], 2: ["class"], 1: ["worst"]}
    assert list(fill_gallery(iter(named), make=str, size_of=lambda _: 10, num_samples=9, max_bytes=25)) == [4, 2]


def test_charts_stay_inside_and_escape() -> None:
    """Values beyond the scale, single points and names with markup occur in real runs."""
    one = Series(name="<b>", x=[5.0], y=[0.0])
    line = line_chart([one, Series(name="none", x=[], y=[])], title="a<b", x_name="step", percent=True)
    assert "<b>" not in line
    wide = Bar(label="<b>", value=1.0, low=0.5, high=40.0, note="<i>")
    rows = interval_chart([wide, Bar(label="0", value=0.0, note="")], title="t", reference=1.5)
    assert "<b>" not in rows
    assert "<i>" not in rows
    columns = column_chart([Bar(label="0", value=0.0, note=""), wide], title="t", x_name="x")
    for svg in (line, rows, columns):
        assert "nan" not in svg
        for name, value in re.findall(r' (c?[xy]\d?)="([^"]+)"', svg):
            assert -1 <= float(value) <= 700, name
