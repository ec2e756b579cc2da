"""Crop a grey picture to its ink, and make everything else paper."""

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from latexify.pipeline.image.binarize import BLUR_SIGMA_PX, MIN_INK_PIXELS, SMALL_PX, Grey, contrast_of, find_ink
from latexify.pipeline.image.components import usual_size
from latexify.pipeline.image.rectify import paper_of
from latexify.pipeline.inks.ink import CroppedPicture
from latexify.shards.format.png import encode_coverage

BLACK_PERCENTILE = 90  # of the contrast of the ink: as much and more is black
MIN_STROKE_RATIO = 2.5  # smallest ratio of the longer side of a stroke and its measured width; a disc has 2
EDGE_PX = 1  # how far the soft edge of a stroke reaches beyond its pixels with the contrast of ink


def crop_picture(grey: Grey) -> CroppedPicture:
    """Crop a picture, uint8 [height, width], to its ink: dark on light, whatever it was. Light may be uneven.

    The ink is what `binarize` would find on the sheet, if the picture shows one on a desk, without frames and ruled
    lines, but edges of strokes stay soft, and faint strokes fainter than others. Raises PictureError if the picture is
    blank.
    """
    grey = paper_of(grey)
    if max(grey.shape) > SMALL_PX // 2:
        grey = np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(BLUR_SIGMA_PX)))
    contrast = contrast_of(grey)
    # a small picture is not enlarged, which would take four times as long, so dots have fewer pixels
    factor = max(SMALL_PX // max(grey.shape), 1)
    components, width_px = find_ink(contrast, min_pixels=max(MIN_INK_PIXELS // factor**2, 2))
    top, left = components.boxes[:, :2].min(axis=0)
    bottom, right = components.boxes[:, 2:].max(axis=0)
    inside = np.s_[top:bottom, left:right]
    mask = components.mask()
    black = float(np.percentile(contrast[inside][mask], BLACK_PERCENTILE))
    near = ndimage.maximum_filter(mask, size=2 * EDGE_PX + 1)
    coverage = (contrast[inside] * near * np.float32(255 / black)).clip(0, 255).round().astype(np.uint8)
    # the width that is measured on dots alone is half of theirs
    is_dots = (components.boxes[:, 2:] - components.boxes[:, :2]).max() < MIN_STROKE_RATIO * width_px
    usual_stroke_px = None if is_dots else usual_size(components, width_px)
    return CroppedPicture(png=encode_coverage(coverage), usual_stroke_px=usual_stroke_px)
