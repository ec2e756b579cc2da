"""Find a sheet of paper on a desk: a large light area with straight edges and writing in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from latexify.pipeline.image.paper import NARROW, dilate, paper_within

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
SEARCH_PX = 256  # sheets are looked for in a picture of this longest side
NUM_LEVELS = 12  # brightnesses that are tried as the border between desk and paper
FLAT_STEPS = (10, 20, 40)  # of 255: larger steps in brightness end the area of a sheet
RULE_PX = 5  # darker lines on the paper that are thinner than this do not divide it
MIN_AREA, MAX_AREA = 0.04, 0.985  # of the picture, that a sheet covers
MIN_PAPER = 0.7  # smallest fraction of a sheet that its writing leaves free
MIN_SOLIDITY = 0.93  # smallest area of a sheet, as a fraction of its convex hull's
MAX_DESK_BRIGHTNESS = 0.9  # of the paper nearby
MAX_LIGHT_DESK = 0.5  # largest fraction of the desk that is lighter
MIN_EDGE_CONTRAST = 20.0  # of 255, between paper and desk
CLEAR_EDGES = 0.5
"""Of the contrast of the clearest edges found. Of the areas with as much, the one with the longest edges is taken."""
MIN_SHARP_FRACTION = 0.7  # smallest fraction of each edge with that contrast
MIN_CONTRAST = 14.0  # of 255, of writing
BEND = 0.012  # largest distance of a straight edge from its chord, as a fraction of the sheet's size
MIN_EDGE_FRACTION = 0.08  # of the sheet's perimeter: shorter edges are parts of a curve
MIN_STRAIGHT_FRACTION = 0.85  # smallest fraction of the perimeter that is straight
BORDER_PX = 3.0  # edges at most this far from the picture's are where the picture ends, not the sheet
MAX_CUT_OFF = 0.15  # of the picture's size: corners of a sheet may be this far outside of the picture
MIN_TOUCHED = 0.15  # fraction of a side of the picture that is sheet: the sheet goes on there
INK_PX = 800  # ink outside of the sheet is looked for in a picture of this longest side
SAME_INK = 0.7  # what has at least this fraction of the ink's contrast on the sheet is ink as well
MAX_INK_OUTSIDE = 0.05  # more ink outside, as a fraction of that on the sheet, shows that the dark area is a shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A sheet of paper in a picture."""

    area: Mask  # [height, width] of a reduced picture: the sheet with its writing
    corners: (
        Floats | None
    )  # [4, 2]: x and y in pixels of the picture, clockwise from the upper left; None: not all seen
    degrees: float  # by which the sheet is turned clockwise, -45 to 45


@dataclass(frozen=True, slots=True)
class _Outline:
    starts: Floats  # [num_edges, 2]: x and y of the first point of each straight edge, clockwise
    ends: Floats  # [num_edges, 2]
    is_free: Mask  # [num_edges]: whether the sheet ends there; elsewhere, the picture does

    def free_length(self) -> float:
        return float(np.hypot(*(self.ends - self.starts)[self.is_free].T).sum())


def find_sheet(grey: Grey) -> Sheet | None:
    """Find the sheet on a picture, uint8 [height, width], or None if there is none or it fills the picture."""
    factor = max(1.0, max(grey.shape) / SEARCH_PX)
    size = (max(1, round(grey.shape[1] / factor)), max(1, round(grey.shape[0] / factor)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    if min(small.shape) < 4 * RULE_PX:
        return None
    closed = 255 - dilate(255 - dilate(small, RULE_PX), RULE_PX)
    rim = np.concatenate([closed[0], closed[-1], closed[:, 0], closed[:, -1]])
    if rim.min() > MAX_DESK_BRIGHTNESS * np.percentile(closed, 98):
        return None  # all around is paper, as in most pictures: no time for a search
    steps = ndimage.maximum_filter(closed, RULE_PX) - ndimage.minimum_filter(closed, RULE_PX)
    found: list[tuple[float, Mask, _Outline]] = []
    for light in _light_masks(closed, steps):
        area = _largest_area(light)
        outline = None if area is None else _outline(area)
        if area is None or outline is None:
            continue
        contrast = _edge_contrast(outline, steps)
        if contrast >= MIN_EDGE_CONTRAST and _holds_writing(small, closed, area) and _is_lighter(closed, area):
            found.append((contrast, area, outline))
    if not found:
        return None
    # in uneven light, sheet and desk may look like one area that ends at one edge of the sheet
    least = CLEAR_EDGES * max(contrast for contrast, _, _ in found)
    _, area, outline = max((each for each in found if each[0] >= least), key=lambda each: each[2].free_length())
    if _num_touched(area) > 1 and _is_in_the_light(grey, area):
        return None
    scale = np.array([grey.shape[1] / size[0], grey.shape[0] / size[1]])
    return Sheet(area=area, corners=_corners(outline, area.shape, scale), degrees=_degrees(outline))


def _light_masks(closed: Grey, steps: Grey) -> Iterator[Mask]:
    """Yield masks of which the largest piece may be the sheet: what is light, and what has no steps in brightness."""
    low, high = np.percentile(closed, (2, 98))
    for level in np.linspace(low, high, NUM_LEVELS + 2)[1:-1]:
        yield closed > level
    for step in FLAT_STEPS:  # in uneven light, the desk is as light in one place as the paper in another
        zones, count = ndimage.label(steps < step)
        if count:
            zone = zones == 1 + np.bincount(zones.ravel())[1:].argmax()
            yield ndimage.binary_dilation(zone, iterations=RULE_PX // 2)
            middle = zones[zones.shape[0] // 4 : -zones.shape[0] // 4, zones.shape[1] // 4 : -zones.shape[1] // 4]
            central = np.bincount(middle.ravel(), minlength=count + 1)
            central[0] = 0
            yield ndimage.binary_dilation(zones == central.argmax(), iterations=RULE_PX // 2)


def _largest_area(light: Mask) -> Mask | None:
    """The largest piece of a mask, without holes, or None if it can be no sheet."""
    labels, count = ndimage.label(ndimage.binary_opening(light, np.ones((3, 3))))
    if not count:
        return None
    piece = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    gaps, count = ndimage.label(~piece)
    is_hole = np.ones(count + 1, np.bool_)
    is_hole[np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])] = False
    is_hole[0] = True
    area: Mask = is_hole[gaps]
    return area if MIN_AREA <= area.mean() <= MAX_AREA and piece.sum() >= MIN_PAPER * area.sum() else None


def _is_lighter(closed: Grey, area: Mask) -> bool:
    """Whether a sheet is lighter than what is beside it, and most of the rest of the picture is darker as well."""
    inner = ndimage.binary_erosion(area, iterations=RULE_PX, border_value=1)
    if not inner.any() or area.all():
        return False
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    paper = closed[tuple(nearest)].astype(np.float64)
    is_light = closed > MAX_DESK_BRIGHTNESS * paper
    beside = ndimage.binary_dilation(area, iterations=RULE_PX) & ~ndimage.binary_dilation(area, iterations=2)
    return bool(is_light[~area].mean() <= MAX_LIGHT_DESK and is_light[beside].mean() <= MAX_LIGHT_DESK)


def _outline(area: Mask) -> _Outline | None:
    """The straight edges of an area, or None if it is not convex or its outline is bent."""
    rows, columns = np.nonzero(area & ~ndimage.binary_erosion(area))
    try:
        hull = ConvexHull(np.stack([columns, rows], axis=1))
    except QhullError:
        return None
    if area.sum() < MIN_SOLIDITY * hull.volume:
        return None
    points = _simplified(hull.points[hull.vertices], max(1.5, BEND * float(np.ptp(hull.points, axis=0).max())))
    starts, ends = points, np.roll(points, -1, axis=0)
    lengths = np.hypot(*(ends - starts).T)
    is_straight = lengths >= MIN_EDGE_FRACTION * lengths.sum()
    if lengths[is_straight].sum() < MIN_STRAIGHT_FRACTION * lengths.sum():
        return None
    starts, ends = starts[is_straight], ends[is_straight]
    far = np.array(area.shape[::-1]) - 1 - BORDER_PX
    is_at_edge = ((starts <= BORDER_PX) & (ends <= BORDER_PX)) | ((starts >= far) & (ends >= far))
    is_free = ~is_at_edge.any(axis=1)
    return _Outline(starts, ends, is_free) if is_free.any() else None


def _simplified(points: Floats, reach: float) -> Floats:
    """Leave out the points of a convex polygon, float [num_points, 2], that are near the line of their neighbours."""
    while len(points) > 3:
        before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
        chord, step = after - before, points - before
        heights = np.abs(chord[:, 0] * step[:, 1] - chord[:, 1] * step[:, 0]) / np.maximum(np.hypot(*chord.T), 1e-9)
        if heights.min() > reach:
            break
        points = np.delete(points, heights.argmin(), axis=0)
    return points


def _edge_contrast(outline: _Outline, steps: Grey) -> float:
    """Difference in brightness across most of the edge with the least, of those that are not the picture's."""
    contrasts = []
    for start, end in zip(outline.starts[outline.is_free], outline.ends[outline.is_free], strict=True):
        points = np.linspace(start, end, max(2, round(float(np.hypot(*(end - start)))))).round().astype(np.intp)
        contrasts.append(float(np.percentile(steps[points[:, 1], points[:, 0]], 100 * (1 - MIN_SHARP_FRACTION))))
    return min(contrasts)


def _holds_writing(small: Grey, closed: Grey, area: Mask) -> bool:
    """Whether there is anything thin and dark on an area; a thick light stroke on a dark picture has nothing."""
    inner = ndimage.binary_erosion(area, iterations=RULE_PX, border_value=1)
    return bool((inner & (closed > small + MIN_CONTRAST)).any())


def _num_touched(area: Mask) -> int:
    """On how many sides the picture ends before the sheet."""
    return sum(bool(side.mean() >= MIN_TOUCHED) for side in (area[0], area[-1], area[:, 0], area[:, -1]))


def _is_in_the_light(grey: Grey, area: Mask) -> bool:
    """Whether a light area is only where the light falls: then there is ink outside of it as well."""
    factor = max(1.0, max(grey.shape) / INK_PX)
    size = (max(1, round(grey.shape[1] / factor)), max(1, round(grey.shape[0] / factor)))
    picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    contrasts = []
    for part in (area, ~area):
        is_seen = np.asarray(Image.fromarray(ndimage.binary_erosion(part, iterations=3, border_value=1)).resize(size))
        paper = paper_within(picture, is_seen, max(size) // NARROW)
        contrasts.append(1 - picture[is_seen] / np.maximum(paper[is_seen], 1).astype(np.float64))
    inside, outside = contrasts
    if not inside.size or not outside.size:
        return not inside.size
    ink = SAME_INK * np.percentile(inside, 99.9)
    return bool((outside > ink).sum() > MAX_INK_OUTSIDE * (inside > ink).sum())


def _corners(outline: _Outline, shape: tuple[int, ...], scale: Floats) -> Floats | None:
    """Corners of a sheet, float [4, 2], in the picture's pixels; None unless it has four edges and all are seen."""
    starts, ends = outline.starts[outline.is_free], outline.ends[outline.is_free]
    if len(starts) != 4:
        return None
    found = []
    for number in range(4):
        (a, b), (c, d) = ((starts[i], ends[i]) for i in (number - 1, number))
        first, second = b - a, d - c
        turn = first[0] * second[1] - first[1] * second[0]
        if abs(turn) < 1e-6:
            return None
        found.append(a + first * ((c - a)[0] * second[1] - (c - a)[1] * second[0]) / turn)
    corners = np.array(found)
    size = np.array(shape[::-1])
    if (corners < -MAX_CUT_OFF * size).any() or (corners > (1 + MAX_CUT_OFF) * size).any():
        return None
    # the edge that points to the right the most is the upper one
    directions = np.roll(corners, -1, axis=0) - corners
    first = int((directions[:, 0] / np.hypot(*directions.T)).argmax())
    return (np.roll(corners, -first, axis=0) + 0.5) * scale


def _degrees(outline: _Outline) -> float:
    """By how much the longest edge of the sheet is turned from the nearest axis, clockwise."""
    steps = (outline.ends - outline.starts)[outline.is_free]
    step = steps[np.hypot(*steps.T).argmax()]
    return float((np.degrees(np.arctan2(step[1], step[0])) + 45) % 90 - 45)
