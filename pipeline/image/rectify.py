"""Show a sheet of paper as it is seen from above, without the desk around it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from latexify.pipeline.image.paper import paper_within
from latexify.pipeline.image.sheet import Sheet, find_sheet

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
RIM = 3
"""In pixels of the sheet's area, which is small: the outermost are edge, shadow, and desk that is too narrow to see."""
PAPER_WINDOWS = 12  # longest side of the area divided by the widest ink on it
MIN_TURN_DEGREES = 1.0  # a sheet that is turned by less stays as it is


def paper_of(grey: Grey) -> Grey:
    """Return the sheet of paper on a picture, uint8 [height, width], or the picture if paper fills it."""
    sheet = find_sheet(grey)
    return grey if sheet is None else cut_out(grey, sheet)


def cut_out(grey: Grey, sheet: Sheet) -> Grey:
    """Return the part of a picture, uint8 [height, width], that shows the sheet, upright; paper goes on around it.

    If the picture shows all corners, perspective is corrected, otherwise only rotation.
    """
    inner = ndimage.binary_erosion(sheet.area, iterations=RIM)
    if not inner.any():
        return grey
    rows, columns = ndimage.find_objects(inner.astype(np.int8))[0]
    height, width = grey.shape
    factor_y, factor_x = height / inner.shape[0], width / inner.shape[1]
    filled = _fill(grey, inner)
    if sheet.corners is not None:
        return _between_corners(filled, sheet.corners)
    box = (
        slice(round(rows.start * factor_y), round(rows.stop * factor_y)),
        slice(round(columns.start * factor_x), round(columns.stop * factor_x)),
    )
    return filled[box] if abs(sheet.degrees) < MIN_TURN_DEGREES else turn(filled[box], sheet.degrees)


def turn(grey: Grey, degrees: float) -> Grey:
    """Turn a picture counterclockwise around its middle, in a frame of its size; its edges go on around it."""
    angle = np.radians(degrees)
    # rows and columns of the result in the picture
    matrix = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    middle = (np.array(grey.shape) - 1) / 2
    offset = middle - matrix @ middle
    return np.asarray(ndimage.affine_transform(grey, matrix, offset, order=1, mode="nearest"))


def _fill(grey: Grey, inner: Mask) -> Grey:
    """Continue the paper over everything outside of the sheet's area."""
    size = (inner.shape[1], inner.shape[0])
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    paper = paper_within(small, inner, max(inner.shape) // PAPER_WINDOWS)
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    paper = paper[tuple(nearest)]
    full = (grey.shape[1], grey.shape[0])
    around = np.asarray(Image.fromarray(paper).resize(full, Image.Resampling.BILINEAR))
    is_sheet = np.asarray(Image.fromarray(inner).resize(full))
    return np.where(is_sheet, grey, around).astype(np.uint8)


def _between_corners(grey: Grey, corners: Floats) -> Grey:
    """The picture between four corners, float [4, 2] clockwise from the upper left, as a rectangle."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    width, height = (max(2, round(float(sides[i] + sides[i + 2]) / 2)) for i in (0, 1))
    # corners may be outside of the picture
    pad = max(0, round(float(-corners.min())), round(float((corners - grey.shape[::-1]).max()))) + 1
    grey = np.pad(grey, pad, mode="edge")
    data = perspective(corners + pad, width, height)
    method, resample = Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(grey).transform((width, height), method, data, resample))


def perspective(corners: Floats, width: int, height: int) -> Sequence[float]:
    """Coefficients with which Pillow maps a rectangle of a size in pixels to four corners, float [4, 2]."""
    rows, values = [], []
    for (x, y), (u, v) in zip([(0, 0), (width, 0), (width, height), (0, height)], corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solution: list[float] = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(values)).tolist()
    return solution
