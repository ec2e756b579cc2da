"""SVG: strokes where they are seen, outlines refused, everything else named."""

import numpy as np
import pytest

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.ink_file import read_ink_file

PEN = 'fill="none" stroke="black"'


def drawing(body: str, *, attributes: str = "") -> InkFile:
    """What is read of a drawing."""
    return read_ink_file(f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'.encode())


def points(body: str, *, attributes: str = "") -> list[list[float]]:
    """The points of its only stroke."""
    (stroke,) = drawing(body, attributes=attributes).strokes
    return [[round(float(value), 3) for value in point] for point in stroke]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<path {PEN} d="M1,2L3,4"/>', [[1, 2], [3, 4]]),
        (f'<path {PEN} d="m1 2 2 2"/>', [[1, 2], [3, 4]]),
        (f'<path {PEN} d="M1-2.5.5.5"/>', [[1, -2.5], [0.5, 0.5]]),
        (f'<path {PEN} d="M1e1 2E0 h-2 V7z"/>', [[10, 2], [8, 2], [8, 7], [10, 2]]),
        (f'<polyline {PEN} points="1,2 3,4 5 6"/>', [[1, 2], [3, 4], [5, 6]]),
        (f'<polygon {PEN} points="1,2 3,4 5 6"/>', [[1, 2], [3, 4], [5, 6], [1, 2]]),
        (f'<line {PEN} x1="1" y1="2" x2="3px"/>', [[1, 2], [3, 0]]),
        (f'<rect {PEN} x="1" y="2" width="3" height="4"/>', [[1, 2], [4, 2], [4, 6], [1, 6], [1, 2]]),
    ],
)
def test_lines_of_every_kind(body: str, expected: list[list[float]]) -> None:
    """Numbers are packed in many ways; a misread one moves a stroke."""
    assert points(body) == expected


@pytest.mark.parametrize(
    ("body", "middle", "end"),
    [
        (f'<path {PEN} d="M0 0C0 4 4 4 4 0"/>', [2, 3], [4, 0]),
        (f'<path {PEN} d="M0 0Q2 4 4 0"/>', [2, 2], [4, 0]),
        (f'<path {PEN} d="M0 0A2 2 0 0 1 4 0"/>', [2, -2], [4, 0]),
        (f'<path {PEN} d="M0 0a2 2 0 014 0"/>', [2, -2], [4, 0]),
        (f'<path {PEN} d="M0 0A2,2\n0 0,1\n4,0"/>', [2, -2], [4, 0]),
    ],
)
def test_curves_become_points(body: str, middle: list[float], end: list[float]) -> None:
    """Pads and drawing programs smooth what is written."""
    found = np.array(points(body))
    assert len(found) > 10
    assert np.abs(found - middle).sum(axis=1).min() < 0.05
    assert found[-1].tolist() == pytest.approx(end, abs=1e-3)


def test_a_stroked_circle_is_a_ring() -> None:
    """A zero drawn with the circle tool."""
    ring = np.array(points(f'<circle {PEN} cx="5" cy="6" r="2"/>'))
    assert np.allclose(np.hypot(*(ring - [5, 6]).T), 2, atol=1e-3)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("translate(10,20)", [11, 22]),
        ("translate(10)", [11, 2]),
        ("scale(2)", [2, 4]),
        ("scale(2 -1)", [2, -2]),
        ("rotate(90)", [-2, 1]),
        ("rotate(90, 1, 0)", [-1, 0]),
        ("matrix(1 0 0 1 5 5)", [6, 7]),
        ("skewX(45)", [3, 2]),
        ("skewY(45)", [1, 3]),
        ("translate(10,0) scale(2)", [12, 4]),
        ("scale(2), translate(10 0)", [22, 4]),
    ],
)
def test_transforms_are_applied_in_their_order(transform: str, expected: list[float]) -> None:
    """A mirrored or turned formula reads as another."""
    line = f'<path {PEN} d="M1 2L0 0"/>'
    assert points(f'<g transform="{transform}">{line}</g>')[0] == pytest.approx(expected)
    assert points(line.replace("<path", f'<path transform="{transform}"'))[0] == pytest.approx(expected)


def test_nested_transforms_and_styles_are_inherited() -> None:
    """As Inkscape writes layers."""
    body = (
        '<g style="fill:none;stroke:#000" transform="translate(1,1)"><g transform="scale(2)"><path d="M1 1"/></g></g>'
    )
    assert points(body) == [[3, 3]]


@pytest.mark.parametrize(
    "body",
    [
        '<style>path{fill:none;stroke:red}</style><path d="M1 1"/>',
        '<style>/* a */ .p, .q {stroke: red; fill: none}</style><path class="a q" d="M1 1"/>',
        '<style>#me{stroke:red;fill:none}</style><path id="me" d="M1 1"/>',
        '<path style="fill:none;stroke:blue" fill="red" d="M1 1"/>',
        '<path stroke="currentColor" d="M1 1"/>',
        '<style>@media print { .x { a: b } } path{stroke:red}</style><path d="M1 1"/>',
    ],
)
def test_strokes_are_told_by_any_kind_of_style(body: str) -> None:
    """Each program has its own way to say that a path is a line."""
    assert points(body) == [[1, 1]]


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M0 0L9 0L9 1z"/>',
        '<path fill="black" d="M0 0L9 0L9 1z"/>',
        '<path style="stroke:none" d="M0 0L9 0L9 1z"/>',
        '<path stroke="black" stroke-width="0" d="M0 0L9 0L9 1z"/>',
        '<polygon points="0 0 9 0 9 1"/>',
        f'<path {PEN} d="M1 1"/><path d="M0 0L9 0L9 1z"/>',
    ],
)
def test_filled_outlines_are_refused(body: str) -> None:
    """The edges of a fat line are two lines: another formula, read without a word."""
    with pytest.raises(UnusableInkError) as refused:
        drawing(body)
    assert refused.value.reason == Reason.FILLED_OUTLINE
    assert "outline" in refused.value.detail


def test_a_small_filled_circle_is_a_dot_and_a_large_one_is_left_out() -> None:
    """Signature pads write the dot of an i so; a blot is none."""
    line = f'<path {PEN} d="M0 0L100 0"/>'
    ink = drawing(f'{line}<circle cx="50" cy="20" r="1.5"/>{line}<circle cx="50" cy="20" r="30"/>')
    assert [len(stroke) for stroke in ink.strokes] == [2, 1, 2]
    assert ink.strokes[1].tolist() == [[50, 20]]
    assert ink.left_out == {"filled circle": 1}


def test_what_is_no_stroke_is_counted() -> None:
    """The user sees it in the picture, the model does not."""
    ink = drawing(
        '<defs><path d="M0 0L1 1z"/></defs><title>a</title><rect width="9" height="9" fill="white"/>'
        f'<text>x</text><image/><use/><path {PEN} d="M1 1"/><g display="none"><path d="M0 0L1 1z"/></g>'
    )
    assert len(ink.strokes) == 1
    assert ink.left_out == {"filled rect": 1, "text": 1, "image": 1, "use": 1, "hidden g": 1}


def test_a_document_type_of_svg_is_no_danger() -> None:
    """Older programs write it into every file; the DTD is never fetched."""
    doctype = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
        '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    )
    ink = read_ink_file(f'{doctype}<svg><path {PEN} d="M1 1"/></svg>'.encode())
    assert len(ink.strokes) == 1
    with pytest.raises(UnusableInkError) as refused:
        read_ink_file(b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>')
    assert refused.value.reason == Reason.HOSTILE_XML


@pytest.mark.parametrize(
    "body",
    [
        f'<path {PEN} d="M0 0L1"/>',
        f'<path {PEN} d="L1 1"/>',
        f'<path {PEN} d="M0 0 L NaN 1"/>',
        f'<path {PEN} d="M0 0 L 1,1 ?"/>',
        f'<path {PEN} d="1 1"/>',
        f'<path {PEN} d="M0 0A1 1 0 2 0 1 1"/>',
        f'<polyline {PEN} points="1 2 3"/>',
        f'<polyline {PEN} points="1 b"/>',
        f'<line {PEN} x1="50%"/>',
        f'<path {PEN} transform="spin(3)" d="M1 1"/>',
        f'<path {PEN} transform="rotate(1 2)" d="M1 1"/>',
        f'<path {PEN} transform="scale(x)" d="M1 1"/>',
        f'<path {PEN} d="M1e999 1"/>',
    ],
)
def test_numbers_that_cannot_be_read_are_refused(body: str) -> None:
    """A parser that skips what it does not know would move the rest of the path."""
    with pytest.raises(UnusableInkError) as refused:
        drawing(body)
    assert refused.value.reason == Reason.BAD_POINTS


@pytest.mark.parametrize(
    "body",
    [
        f'<path {PEN} d="M0 0{"T1 1" * 30_000}"/>',
        f'<path {PEN} d="M{"1" * 300_000}x"/>',
        f"<style>{'a' * 300_000}</style>",
        f"<style>{'/*' * 150_000}</style>",
        f'<path {PEN} transform="{"1" * 300_000}" d="M1 1"/>',
        f'<circle {PEN} r="1"/>' * 5_000,
    ],
)
def test_hostile_drawings_end_soon(body: str) -> None:
    """Patterns that try every way to split a text would take hours."""
    with pytest.raises(UnusableInkError):
        drawing(body)
