"""Drawing: what the model sees must be the whole ink, legible, and the same for the same shape."""

import itertools
import os
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cairo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from PIL import Image

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing import draw
from latexify.pipeline.drawing.draw import SHIFT_PX, Canvas, draw_ink, draw_points, encode_png, gather_strokes
from latexify.pipeline.inks.ink import Stroke

CANVAS = Canvas(height_px=48, width_px=192, margin_px=2.0, pen_width_px=1.5)
SMALL = Canvas(height_px=24, width_px=32, margin_px=2.0, pen_width_px=2.0)

WAVE = [(float(x), float(4 * np.sin(x / 2))) for x in range(20)]
GOLDEN: dict[str, list[list[tuple[float, float]]]] = {
    "dot": [[(7, 7)]],
    "slash": [[(0, 10), (5, 0)]],
    "two-strokes": [[(0, 0), (10, 10)], [(0, 10), (10, 0)]],
    "equal-points": [[(3, 3), (3, 3), (3, 3)], [(0, 0), (0, 9)], [(12, 9)]],
    "wave": [WAVE],
}


def ink_of(*strokes: Sequence[tuple[float, float]]) -> list[Stroke]:
    """Strokes as they come out of a file."""
    return [np.array(stroke, dtype=np.float32) for stroke in strokes]


def inked_box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Free columns to the left and right and free rows above and below the ink."""
    rows, columns = np.nonzero(pixels < 255)
    height, width = pixels.shape
    return columns.min(), width - 1 - columns.max(), rows.min(), height - 1 - rows.max()


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_drawings(name: str) -> None:
    """A change of geometry, pen or polarity would make a trained model blind.

    The tolerance is for other versions of cairo. After a wanted change: LATEXIFY_UPDATE_GOLDEN=1, and look at them.
    """
    path = Path(__file__).parent / "golden" / f"{name}.png"
    pixels = draw_ink(ink_of(*GOLDEN[name]), SMALL)
    if "LATEXIFY_UPDATE_GOLDEN" in os.environ:
        path.write_bytes(encode_png(pixels))
    with Image.open(path) as image:
        difference = np.abs(pixels.astype(int) - np.asarray(image))
    assert difference.max() <= 24
    assert difference.mean() <= 0.5


coordinates = (
    st.floats(-(2.0**127), 2.0**127, width=32) | st.floats(-100, 100, width=32) | st.sampled_from([0.0, 1e-30, 5.0])
)
inks = st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(strokes=inks)
def test_any_finite_ink_is_drawn_inside_the_margins(strokes: list[list[tuple[float, float]]]) -> None:
    """One ink of odd scale would stop the stage, or lie cut off at the border or outside of the picture."""
    pixels = draw_ink(ink_of(*strokes), CANVAS)
    assert pixels.shape == (48, 192)
    assert pixels.dtype == np.uint8
    assert pixels.min() < 160, "there must be ink to see"
    assert min(inked_box(pixels)) >= 1, "margin of 2 px, antialiasing may touch the next pixel"


@pytest.mark.parametrize(
    ("strokes", "touched"), [([WAVE], (2, 3)), ([[(0, 0), (1, 30), (2, 0)]], (2, 3)), ([[(0, 0), (200, 0)]], (0, 1))]
)
def test_ink_fills_the_canvas_and_is_centred(
    strokes: list[list[tuple[float, float]]], touched: tuple[int, int]
) -> None:
    """Ink smaller than it could be is harder to read; off the centre, positions mean nothing."""
    left, right, above, below = box = inked_box(draw_ink(ink_of(*strokes), CANVAS))
    assert {box[side] for side in touched} <= {1, 2}
    assert abs(left - right) <= 1
    assert abs(above - below) <= 1


@given(scale=st.sampled_from([1e-2, 0.3, 7.0, 1e4]), shift=st.sampled_from([-1000.0, 0.0, 50.0]))
def test_unit_and_origin_of_the_file_do_not_matter(scale: float, shift: float) -> None:
    """Devices count in anything from inches to microns: the same shape is the same picture."""
    shape = np.array(WAVE)
    moved = draw_ink([((shape + shift * 1e-2) * scale).astype(np.float64)], CANVAS)
    assert np.abs(moved.astype(int) - draw_ink([shape], CANVAS)).max() <= 8


def test_aspect_ratio_is_kept() -> None:
    """Squeezed to the canvas, a long expression would be unreadable and a `1` would be wide."""
    square = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]
    left, right, above, below = inked_box(draw_ink(ink_of(square), CANVAS))
    assert abs((192 - left - right) - (48 - above - below)) <= 1


@pytest.mark.parametrize("stroke", [[(5, 5)], [(5, 5)] * 4, [(5, 5), (5, 5.001)], [(1e6, 1e6), (1e6 + 0.25, 1e6)]])
def test_a_lone_dot_stays_a_dot(stroke: list[tuple[float, float]]) -> None:
    """Blown up to the canvas, a dot or the trembling of a pen would look like a fraction bar."""
    pixels = draw_ink(ink_of(stroke), CANVAS)
    left, right, above, below = inked_box(pixels)
    assert 192 - left - right <= 6
    assert 48 - above - below <= 6
    ink_px = (255 - pixels.astype(float)).sum() / 255
    assert ink_px > 1.2, "a disc of the pen's width has 1.77 px"


def test_dots_of_an_expression_are_seen() -> None:
    """`i` would read as a dotless i, and 1.5 as 15."""
    stem = [(0, 10), (0, 30)]
    for dot in ([(0, 0)], [(0, 0), (0, 0)]):
        pixels = draw_ink(ink_of(stem, dot), CANVAS)
        assert pixels[:8].min() < 150
        assert pixels[10:14].min() == 255


def test_dropped_points_do_not_show() -> None:
    """Points are dropped for speed alone: a sharp corner or the end of a stroke must stay where it is."""
    steps = np.linspace(0, 1, 4000)[:, None]
    corners = np.array([(0, 0), (40, 30), (80, 0), (120, 30)], dtype=float)
    dense = np.concatenate([a + (b - a) * steps for a, b in itertools.pairwise(corners)])
    difference = np.abs(draw_ink([dense], CANVAS).astype(int) - draw_ink([corners], CANVAS))
    assert difference.max() <= 64  # a quarter: one step of the fast antialiasing
    assert difference.mean() < 1.2


def test_long_strokes_have_no_gaps() -> None:
    """A stroke that is painted in pieces must look as if it were painted at once."""
    wide = Canvas(height_px=200, width_px=4000, margin_px=2, pen_width_px=2)
    line = np.stack([np.arange(3000), 40 * np.sin(np.arange(3000) / 50)], axis=1)
    pixels = draw_ink([line], wide)
    assert (pixels.min(axis=0)[4:-4] < 100).all()


def test_a_scribble_does_not_stop_the_stage() -> None:
    """Cairo takes minutes for a single path of this length; ingest lets through inks of 200,000 points."""
    points = np.random.default_rng(0).uniform(0, 1000, (20_000, 2))
    started = time.process_time()
    draw_points(points, np.array([len(points)]), CANVAS)
    assert time.process_time() - started < 5


def test_crossing_strokes_are_not_darker_than_ink() -> None:
    """Ink laid twice would make crossings stand out; order of strokes would show."""
    strokes = ink_of([(0, 0), (10, 10)], [(0, 10), (10, 0)])
    assert np.array_equal(draw_ink(strokes, CANVAS), draw_ink(strokes[::-1], CANVAS))


def test_odd_widths_are_not_sheared() -> None:
    """Cairo pads its lines to four bytes."""
    canvas = Canvas(height_px=31, width_px=33, margin_px=1, pen_width_px=1)
    pixels = draw_ink(ink_of([(0, 0), (0, 10)]), canvas)
    assert pixels.shape == (31, 33)
    assert (pixels[5:-5, 16] < 200).all()
    assert (pixels[:, :14] == 255).all()


@pytest.mark.parametrize("strokes", [[], [np.empty((0, 2), np.float32)]])
def test_no_points_is_said(strokes: list[Stroke]) -> None:
    """A person who sends an empty drawing gets told so, and no guess at an empty picture."""
    with pytest.raises(LatexifyError, match="no points"):
        draw_ink(strokes, CANVAS)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_no_numbers_are_refused(bad: float) -> None:
    """The whole picture would come out empty."""
    with pytest.raises(LatexifyError, match="not a finite number"):
        draw_ink(ink_of([(0, 0), (bad, 1)]), CANVAS)


def test_canvas_without_room_is_refused() -> None:
    """The ink would be turned inside out by a negative scale."""
    with pytest.raises(LatexifyError, match="no room"):
        Canvas(height_px=8, width_px=64, margin_px=3, pen_width_px=2)


def crohme_strokes(archive: Path, count: int) -> Iterator[list[Stroke]]:
    """Strokes of the first inks of a CROHME archive, read with the least of code; ingest does it properly."""
    parser = etree.XMLParser(recover=True)
    with tarfile.open(archive) as tar:
        files = (member for member in tar if member.name.endswith(".inkml"))
        for member in itertools.islice(files, count):
            file = tar.extractfile(member)
            assert file is not None
            traces = etree.parse(file, parser).iter("{*}trace")
            points = [[pair.split()[:2] for pair in trace.text.split(",")] for trace in traces]
            yield [np.array(stroke, dtype=np.float32) for stroke in points]


@pytest.mark.real
def test_real_inks_fill_the_canvas(real_data: Path) -> None:
    """Units differ a hundred thousandfold between the sources of CROHME: none may come out tiny or cut off."""
    for strokes in crohme_strokes(real_data / "crohme" / "test2014.tar.xz", 300):
        pixels = draw_ink(strokes, CANVAS)
        box = inked_box(pixels)
        assert min(box) >= 1
        assert min(box[0], box[2]) <= 2, "one of the sides is filled"
        assert (pixels < 128).sum() >= 20


def test_fast_antialiasing_lies_where_the_exact_kind_does() -> None:
    """Another cairo may sample elsewhere: all ink would lie a quarter of a pixel beside what a model was trained on."""
    canvas = Canvas(height_px=120, width_px=400, margin_px=2, pen_width_px=1.5)
    angles = np.linspace(0, 12 * np.pi, 300)
    spiral = np.stack([angles * np.cos(angles) * 2, angles * np.sin(angles)], axis=1)
    lengths = np.array([len(spiral)])
    fast = draw_points(spiral, lengths, canvas).astype(int)
    errors = {}
    for shift in ((0.0, 0.0), SHIFT_PX, (2 * SHIFT_PX[0], 0.0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cairo, "ANTIALIAS_FAST", cairo.ANTIALIAS_GRAY)
            patch.setattr(draw, "SHIFT_PX", (SHIFT_PX[0] - shift[0], SHIFT_PX[1] - shift[1]))
            exact = draw_points(spiral, lengths, canvas).astype(int)
        errors[shift] = np.abs(fast - exact)[exact < 255].mean()
    assert min(errors, key=errors.__getitem__) == SHIFT_PX
    assert errors[SHIFT_PX] < 20


def test_strokes_of_a_scribble_are_cut_into_short_paths_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap would be white in the picture, and a long path would take too long to draw."""
    monkeypatch.setattr(draw, "MAX_PATH_POINTS", 4)
    stroke_lengths, num_strokes = np.array([2, 10, 3, 1]), np.array([1, 2, 1])
    lines = gather_strokes(stroke_lengths, num_strokes)
    cut = list(zip(lines.starts.tolist(), lines.lengths.tolist(), strict=True))
    assert cut == [(0, 2), (2, 4), (5, 4), (8, 4), (12, 3), (15, 1)]
    assert lines.paths == [[3], [5, 5, 5, 4], [2]]
