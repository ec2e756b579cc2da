"""Make thick strokes thinner, so that strokes that touch come apart and loops that are filled open again.

All points of a round pen's mark are within half its width of the pen's course. What is left of the mark after an
erosion by a little less than that is the course where strokes are apart. Where they overlap it is an area, and the
course is on its outline.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
MIN_WIDTH_FRACTION = 0.028  # of the longest side of the ink: thinner strokes rarely run together
ERODED = 0.43  # of the stroke width: how far strokes are eroded from each side
HOLLOW = 0.73
"""Of the stroke width: what is further inside is where strokes overlap. Where two of them cross at right angles, the
middle is 0.71 stroke widths inside."""


def slim(mask: Mask, width_px: float) -> tuple[Mask, float]:
    """Thin the strokes, `width_px` wide, of a mask, bool [height, width], if they are thick for its size.

    Returns the mask, of the same shape, and the new width. Pieces that an erosion would remove stay as they are.
    """
    if width_px < MIN_WIDTH_FRACTION * max(mask.shape):
        return mask, width_px
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    is_ridge = mask & (depth > 1) & (depth == ndimage.maximum_filter(depth, size=3))
    if not is_ridge.any():
        return mask, width_px
    # outlines of strokes that overlap are short for their area, which makes the measured width too large
    width_px = min(width_px, 2 * float(np.median(depth[is_ridge])))
    slimmer = (depth > ERODED * width_px) & (depth < HOLLOW * width_px)
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    is_lost = np.ones(count + 1, np.bool_)
    is_lost[pieces[slimmer]] = False
    is_lost[0] = False
    return slimmer | is_lost[pieces], width_px * (1 - 2 * ERODED)
