"""Draws an ink on a sheet of paper that lies on a desk, and as it is seen from aside or askew."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.studies.picture_kinds import PAPER, Kind, Strokes, dotted, photo, ruled, squared

Floats = npt.NDArray[np.floating]
Corners = npt.NDArray[np.float64]  # [4, 2]: x and y of the corners, clockwise from the upper left one
Desk = Callable[[int, int, np.random.Generator], Floats]
SMALL_PX = 480  # longest side of the small sheets


def dark(height: int, width: int, random: np.random.Generator) -> Floats:
    """A dark table with horizontal grain."""
    grain = 70 + 12 * np.sin(np.arange(height)[:, None] / 9 + random.normal(0, 0.4, (height, 1)))
    return np.asarray(grain + random.normal(0, 5, (height, width)), dtype=np.float64)


def black(height: int, width: int, random: np.random.Generator) -> Floats:
    """An even, nearly black table."""
    return random.normal(25, 3, (height, width))


def brown(height: int, width: int, random: np.random.Generator) -> Floats:
    """A brown table, not much darker than paper in the shade."""
    return random.normal(125, 6, (height, width))


def wood(height: int, width: int, random: np.random.Generator) -> Floats:
    """A wooden table: bent, dark and light grain."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    phase = rows / 11 + 2.5 * np.sin(columns / 170 + random.uniform(0, 6)) + np.sin(columns / 61)
    return np.asarray(115 + 35 * np.sin(phase) + random.normal(0, 6, (height, width)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sheet lies in the picture."""

    share: float  # of the picture's area that the sheet covers
    degrees: float = 3.0  # by which it is turned, counterclockwise
    narrowing: float = 0.0  # of the far side, as a fraction of its length: the sheet is seen from aside
    far: str = "right"  # the side that is far: `right` or `top`
    shift: float = 0.0  # of the sheet to the left and up, as a fraction of its size: it is cut off there


def on_desk(  # noqa: PLR0913  # one parameter per property of a picture
    strokes: Strokes,
    random: np.random.Generator,
    *,
    place: Place,
    desk: Desk = dark,
    pattern: Callable[[Floats, Floats], Floats] | None = None,
    shade: bool = False,
    longest_px: int = 1000,
    margin_px: float = 70.0,
) -> Image.Image:
    """A sheet on a desk. shade: it becomes darker to one side, and the desk as well."""
    scale = longest_px / 1000
    sheet = photo(strokes, random, pattern=pattern, margin_px=margin_px, noise=2.0)
    sheet = sheet.resize((round(sheet.width * scale), round(sheet.height * scale)), Image.Resampling.BOX)
    width, height = (round(side / place.share**0.5) for side in sheet.size)
    corners = _corners(sheet.size, place) + (np.array([width, height]) - sheet.size) / 2
    corners -= place.shift * np.array(sheet.size)
    data = perspective(corners, (sheet.width, sheet.height))
    size, method, resample = (width, height), Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
    layers = [
        np.asarray(layer.transform(size, method, data, resample), dtype=np.float64)
        for layer in (sheet, Image.new("L", sheet.size, 255))
    ]
    light = 0.55 + 0.45 * np.arange(width) / width if shade else 1.0
    picture = (layers[0] + desk(height, width, random) * (1 - layers[1] / 255)) * light
    return Image.fromarray((picture + random.normal(0, 3, picture.shape)).clip(0, 255).round().astype(np.uint8))


def turned(strokes: Strokes, random: np.random.Generator, *, degrees: float) -> Image.Image:
    """A picture that was taken askew; the paper fills it."""
    image = photo(strokes, random, noise=0.0)
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=round(PAPER))


def aside(strokes: Strokes, random: np.random.Generator) -> Image.Image:
    """A sheet that was taken from aside: the far side is a quarter shorter."""
    image = photo(strokes, random, noise=0.0, margin_px=120.0)
    width, height = image.size
    corners = np.array([(0, 0), (width, height / 8), (width, height * 7 / 8), (0, height)])
    data = perspective(corners, image.size)
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC, fillcolor=round(PAPER)
    )


def askew(
    strokes: Strokes,
    random: np.random.Generator,
    *,
    degrees: float,
    pattern: Callable[[Floats, Floats], Floats] | None = None,
) -> Image.Image:
    """A picture of paper that fills it, turned counterclockwise."""
    image = photo(strokes, random, noise=0.0, pattern=pattern, margin_px=250.0)
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=round(PAPER))
    cut = 110
    return turned.crop((cut, cut, turned.width - cut, turned.height - cut))


def perspective(corners: Corners, size: tuple[int, int]) -> list[float]:
    """Coefficients for Pillow that show a picture of a size (width, height) between four corners."""
    width, height = size
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solution: list[float] = np.linalg.solve(np.array(rows, np.float64), np.array(values, np.float64)).tolist()
    return solution


def _corners(size: tuple[int, int], place: Place) -> Corners:
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    if place.far == "right":
        corners[1, 1] += place.narrowing / 2 * height
        corners[2, 1] -= place.narrowing / 2 * height
    else:
        corners[0, 0] += place.narrowing / 2 * width
        corners[1, 0] -= place.narrowing / 2 * width
    angle = np.radians(-place.degrees)
    middle = np.array([width, height]) / 2
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return np.asarray((corners - middle) @ turn.T + middle, dtype=np.float64)


SHEETS: dict[str, Kind] = {
    **{
        f"sheet, {percent} % of the picture": partial(on_desk, place=Place(percent / 100))
        for percent in (80, 60, 40, 20)
    },
    **{
        f"small sheet, {percent} %": partial(on_desk, place=Place(percent / 100), longest_px=SMALL_PX)
        for percent in (80, 60, 40, 20)
    },
    "sheet on black, 60 %": partial(on_desk, place=Place(0.6), desk=black),
    "sheet on brown, 60 %": partial(on_desk, place=Place(0.6), desk=brown),
    "sheet on wood, 60 %": partial(on_desk, place=Place(0.6), desk=wood),
    "sheet on wood, 30 %": partial(on_desk, place=Place(0.3), desk=wood),
    "sheet on brown, 60 %, in the shade": partial(on_desk, place=Place(0.6), desk=brown, shade=True),
    "ruled sheet, 60 %": partial(on_desk, place=Place(0.6), pattern=ruled),
    "squared sheet, 60 %": partial(on_desk, place=Place(0.6), pattern=squared),
    "sheet turned 10°, 50 %": partial(on_desk, place=Place(0.5, degrees=10)),
    "sheet turned -10°, 50 %": partial(on_desk, place=Place(0.5, degrees=-10)),
    "sheet turned 20°, 40 %": partial(on_desk, place=Place(0.4, degrees=20), margin_px=150),
    "sheet from aside, 60 %": partial(on_desk, place=Place(0.6, degrees=0, narrowing=0.3)),
    "sheet from below, 60 %": partial(on_desk, place=Place(0.6, degrees=5, narrowing=0.3, far="top")),
    "sheet cut off, 60 %": partial(on_desk, place=Place(0.6, shift=0.2), margin_px=220),
    **{f"turned {degrees}°": partial(turned, degrees=degrees) for degrees in (5, 10)},
    "from aside": aside,
    "not turned, in as wide a margin": partial(askew, degrees=0),
    "ruled, turned 10°": partial(askew, degrees=10, pattern=ruled),
    "squared, turned -7°": partial(askew, degrees=-7, pattern=squared),
    "dot grid, turned 5°": partial(askew, degrees=5, pattern=dotted),
    "turned -10°": partial(askew, degrees=-10),
    "turned 15°": partial(askew, degrees=15),
}
"""Formulas of any length."""
