"""A sheet on a desk is found, and nothing else is taken for one."""

import numpy as np
import pytest
from PIL import Image

from latexify.pipeline.image.rectify import cut_out, perspective, turn
from latexify.pipeline.image.sheet import find_sheet
from tests.support.handwriting import ink

RANDOM = np.random.default_rng(1)
SIZE = (640, 480)  # width and height of the pictures, in pixels
UPRIGHT = np.array([(120.0, 90), (520, 90), (520, 390), (120, 390)])
TURNED = np.array([(150.0, 60), (540, 110), (500, 410), (110, 360)])
FROM_ASIDE = np.array([(120.0, 90), (520, 130), (520, 350), (120, 390)])


def on_desk(corners: np.ndarray, *, desk: float = 60.0, paper: float = 230.0) -> np.ndarray:
    """A picture of a sheet with writing between four corners, on a desk."""
    pen = ink(pen_px=6, height_px=300, width_px=400, margin_px=50)
    sheet = Image.fromarray((paper * (1 - 0.8 * pen)).astype(np.uint8))
    source = np.array([(0, 0), (400, 0), (400, 300), (0, 300)], dtype=np.float64)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    data = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    method, resample = Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
    layers = [
        np.asarray(layer.transform(SIZE, method, data, resample), dtype=np.float64)
        for layer in (sheet, Image.new("L", sheet.size, 255))
    ]
    table = RANDOM.normal(desk, 4, (SIZE[1], SIZE[0]))
    return (layers[0] + table * (1 - layers[1] / 255)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("corners", [UPRIGHT, TURNED, FROM_ASIDE], ids=["upright", "turned", "from aside"])
@pytest.mark.parametrize("desk", [20.0, 60.0, 130.0])
def test_the_corners_of_a_sheet_are_found(corners: np.ndarray, desk: float) -> None:
    """Its edges were read as fraction bars, and a dark desk turned ink into paper."""
    sheet = find_sheet(on_desk(corners, desk=desk))
    assert sheet is not None
    assert sheet.corners is not None
    assert np.abs(sheet.corners - corners).max() < 6


def test_a_sheet_in_uneven_light_is_found_whole() -> None:
    """The desk in the light is as bright as the paper in the shade."""
    picture = on_desk(UPRIGHT, desk=120) * np.linspace(0.55, 1, SIZE[0])
    sheet = find_sheet(picture.astype(np.uint8))
    assert sheet is not None
    assert sheet.corners is not None
    assert np.abs(sheet.corners - UPRIGHT).max() < 6


BEYOND = TURNED + np.array([(0, -70), (0, -70), (0, -70), (0, -70)])


@pytest.mark.parametrize(
    "corners", [UPRIGHT, TURNED, FROM_ASIDE, BEYOND], ids=["upright", "turned", "from aside", "a corner outside"]
)
def test_a_sheet_is_shown_from_above(corners: np.ndarray) -> None:
    """Perspective distorts symbols, and the desk is not paper; nor is what the picture does not show ink."""
    grey = on_desk(corners)
    sheet = find_sheet(grey)
    assert sheet is not None
    flat = cut_out(grey, sheet)
    resized = np.asarray(Image.fromarray(flat).resize((400, 300))).astype(np.float64)
    pen = ink(pen_px=6, height_px=300, width_px=400, margin_px=50)
    rim = np.concatenate([resized[0], resized[-1], resized[:, 0], resized[:, -1]])
    assert rim.min() > 200
    assert resized[pen > 0.9].mean() < 130
    assert resized[pen < 0.1].mean() > 215


def test_a_sheet_that_is_cut_off_is_turned_upright_without_the_desk() -> None:
    """Nobody takes care to get all four corners into the picture."""
    grey = on_desk(TURNED)[:, 135:]
    sheet = find_sheet(grey)
    assert sheet is not None
    assert sheet.corners is None
    assert sheet.degrees == pytest.approx(7.3, abs=1)
    upright = cut_out(grey, sheet)
    rim = np.concatenate([upright[0], upright[-1], upright[:, 0], upright[:, -1]])
    assert rim.min() > 200


def shadow() -> np.ndarray:
    """Paper with writing; the upper left half is in the shade, with a sharp edge."""
    rows, columns = np.mgrid[0:300, 0:400]
    return 230 * (1 - 0.8 * ink(height_px=300, width_px=400)) * np.where(rows + columns > 330, 1, 0.45)


def window() -> np.ndarray:
    """Paper with writing; light falls on a part of it through a window, from side to side."""
    rows = np.mgrid[0:300, 0:400][0]
    return 230 * (1 - 0.8 * ink(height_px=300, width_px=400)) * np.where(abs(rows - 150) < 70, 1, 0.45)


def bar() -> np.ndarray:
    """A minus sign, white on black."""
    picture = np.zeros((300, 400))
    picture[120:180, 60:340] = 255
    return picture


def ring() -> np.ndarray:
    """A thick zero, white on black."""
    rows, columns = np.mgrid[0:300, 0:300]
    radius = np.hypot(rows - 150, columns - 150)
    return np.where((radius < 120) & (radius > 40), 255.0, 0.0)


def framed() -> np.ndarray:
    """A formula in a thick frame on white paper."""
    picture = np.full((300, 400), 235.0)
    picture[30:-30, 30:-30] = 30
    picture[50:-50, 50:-50] = (235 - 200 * ink(height_px=300, width_px=400, margin_px=80))[50:-50, 50:-50]
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(230 - 190 * ink(), id="paper"),
        pytest.param((80 + 150 * np.mgrid[0:420, 0:700][1] / 700) * (1 - 0.8 * ink()), id="uneven light"),
        pytest.param(255 * ink(pen_px=40), id="thick and light on dark"),
        pytest.param(shadow(), id="shadow"),
        pytest.param(window(), id="window"),
        pytest.param(bar(), id="bar"),
        pytest.param(ring(), id="ring"),
        pytest.param(framed(), id="frame"),
        pytest.param(np.full((200, 300), 200.0), id="blank"),
        pytest.param(np.full((3, 300), 200.0), id="strip"),
    ],
)
def test_other_pictures_have_no_sheet(picture: np.ndarray) -> None:
    """Ink outside of what is wrongly taken for a sheet would be lost."""
    assert find_sheet(picture.astype(np.uint8)) is None


def test_a_picture_is_turned_counterclockwise_and_its_edges_go_on() -> None:
    """Black corners would be strokes."""
    grey = np.full((100, 200), 220, np.uint8)
    grey[50, 20:180] = 0
    turned = turn(grey, 10)
    rows, columns = np.nonzero(turned < 150)
    assert np.polyfit(columns, rows, 1)[0] == pytest.approx(-np.tan(np.radians(10)), abs=0.01)
    assert np.concatenate([turned[0], turned[-1], turned[:, 0], turned[:, -1]]).min() > 210


def test_perspective_maps_the_corners() -> None:
    """Pillow asks where each pixel of the result comes from."""
    a, b, c, d, e, f, g, h = perspective(FROM_ASIDE, 400, 300)
    for (x, y), corner in zip([(0, 0), (400, 0), (400, 300), (0, 300)], FROM_ASIDE, strict=True):
        divisor = g * x + h * y + 1
        assert ((a * x + b * y + c) / divisor, (d * x + e * y + f) / divisor) == pytest.approx(tuple(corner))
