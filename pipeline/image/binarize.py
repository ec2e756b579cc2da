"""Find the ink on a grey picture: everything that differs from the paper and is thin enough for a stroke."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from latexify.pipeline.image.components import ConnectedComponents, label_components
from latexify.pipeline.image.errors import PictureError
from latexify.pipeline.image.frames import remove_frames
from latexify.pipeline.image.paper import NARROW, WIDE, even_contrast, local_contrast, otsu_threshold
from latexify.pipeline.image.printed import is_answer_line, is_grid_dot
from latexify.pipeline.image.ruled_lines import remove_ruled_lines
from latexify.pipeline.inks.ink import Reason

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
SMALL_PX = 800  # pictures whose longest side is at most half of this are enlarged
BLUR_SIGMA_PX = 0.8  # standard deviation of the blur that all other pictures get
MIN_CONTRAST = 14.0  # of 255: a picture without anything of more contrast is blank
NOISE_LAG_PX = 6  # after blurring or enlarging, pixels this far apart do not share their noise
NOISE_FACTOR = 5.0  # ink differs from the background by more than this many standard deviations of the noise
MIN_INK_CONTRAST = 0.45
"""As a fraction of typical ink's contrast: fainter marks, such as ruled lines and folds, are not ink."""
MIN_PEAK_CONTRAST = 0.7
"""As a fraction of typical ink's darkest contrast: a component that is nowhere as dark is not ink."""
MIN_SPECK_AREA = 0.3
"""As a fraction of the squared stroke width: smaller components are dust. A dot of the pen covers 0.8."""
MIN_THICK_FRACTION = 0.6  # strokes are thick for a window that they fill by more than this fraction
MIN_THICK_CONTRAST = 0.85  # as a fraction of the contrast of thin ink: thick strokes have at least as much
MIN_INK_PIXELS = 12
MAX_RULE_AREA = 4.0  # times stroke width times length: a component from edge to edge with less area is a ruled line


def binarize(grey: Grey) -> tuple[Mask, float]:
    """Find the ink of a picture, uint8 [height, width]: dark on light paper or the reverse. Light may be uneven.

    Returns the ink, bool [height, width] cropped to it, and the width of its strokes in pixels. Raises PictureError if
    the picture is blank.
    """
    contrast = contrast_of(_smooth(Image.fromarray(grey)))
    components, _ = find_ink(contrast, min_pixels=MIN_INK_PIXELS)
    return components.mask(), components.stroke_width()


def find_ink(contrast: Floats, *, min_pixels: int) -> tuple[ConnectedComponents, float]:
    """Find the pieces of ink, without frames, ruled lines, dust and shadows, and the width of strokes in pixels.

    contrast: of each pixel, float32 [height, width], see `contrast_of`. min_pixels: pixels of all ink, at least; a
    piece has half as many. Raises PictureError if there is no ink.
    """
    components = label_components(remove_frames(remove_ruled_lines(remove_frames(_ink(contrast)))))
    components = components.select(components.areas >= min_pixels // 2)
    components = components.select(~is_grid_dot(components))
    if not components.count:
        raise _blank()
    # the tip of a shadow is as thin as ink, but not as dark
    peaks = components.peaks(contrast)
    components = components.select(peaks >= MIN_PEAK_CONTRAST * float(np.median(np.repeat(peaks, components.areas))))
    width_px = components.stroke_width()
    is_speck = components.areas < MIN_SPECK_AREA * width_px**2
    components = components.select(~_is_ruled_line(components, width_px) & ~is_speck)
    if not components.count or components.areas.sum() < min_pixels:
        raise _blank()
    components = components.select(~is_answer_line(components, components.stroke_width()))
    return components, width_px


def _smooth(picture: Image.Image) -> Grey:
    """Blur the finest noise of a large picture; enlarge a small one so that its strokes stay apart."""
    factor = SMALL_PX // max(picture.size)
    if factor > 1:
        size = (picture.width * factor, picture.height * factor)
        return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR_SIGMA_PX)))


def _blank() -> PictureError:
    return PictureError(Reason.BLANK_PICTURE, "the image is blank: nothing on it has the contrast of ink")


def _is_light_on_dark(grey: Grey) -> bool:
    """Whether pixels that leave the median of their neighbourhood are mostly brighter: ink is the minority."""
    side = max(grey.shape) // 12 + 1
    rows, columns = -(-grey.shape[0] // side), -(-grey.shape[1] // side)
    padded = np.pad(grey, ((0, rows * side - grey.shape[0]), (0, columns * side - grey.shape[1])), mode="edge")
    tiles = padded.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, -1)
    deviations = tiles.astype(np.float32) - np.median(tiles, axis=2, keepdims=True)
    return bool((deviations**3).mean() > 0)


def contrast_of(smooth: Grey) -> Floats:
    """Return how much each pixel stands out from the paper as ink does, 0 to 255, float32 [height, width]."""
    even = even_contrast(smooth)
    if even is not None:
        return even
    dark = 255 - smooth if _is_light_on_dark(smooth) else smooth
    narrow, wide = local_contrast(dark, NARROW), local_contrast(dark, WIDE)
    return wide if _is_thick(narrow, wide) else narrow


def _is_thick(narrow: Floats, wide: Floats) -> bool:
    """Whether the strokes are too thick for the narrow window. In the wide one they are as dark, a shadow is not."""
    ink, thin_ink = _ink(wide), _ink(narrow)
    if not ink.any():
        return False
    width_px, side = label_components(ink).stroke_width(), max(ink.shape)
    if not MIN_THICK_FRACTION * side / NARROW < width_px < side / WIDE:
        return False
    return not thin_ink.any() or bool(np.median(wide[ink]) > MIN_THICK_CONTRAST * np.median(narrow[thin_ink]))


def _ink(contrast: Floats) -> Mask:
    """Return the mask of the pixels with the contrast of ink."""
    noise = _noise(contrast)
    visible = contrast[contrast > max(NOISE_FACTOR * noise, MIN_CONTRAST)]
    if visible.size < MIN_INK_PIXELS:
        return np.zeros(contrast.shape, np.bool_)
    # ruled lines, folds and the grain of a table are visible too, and may cover more area, but ink is darker
    ink = visible[visible > otsu_threshold(visible)]
    return contrast > max(MIN_INK_CONTRAST * float(np.median(ink)), MIN_CONTRAST)


def _noise(contrast: Floats) -> float:
    """Standard deviation of the noise, from pairs of pixels `NOISE_LAG_PX` apart, most of them on bare paper."""
    if contrast.shape[1] <= NOISE_LAG_PX:
        return 0.0
    differences = np.abs(contrast[:, NOISE_LAG_PX:] - contrast[:, :-NOISE_LAG_PX])
    return float(np.median(differences)) * 1.4826 / 2**0.5


def _is_ruled_line(components: ConnectedComponents, width_px: float) -> Mask:
    """Which components go from edge to edge and are hardly more than one line, possibly a bent one."""
    height, width = components.shape
    top, left, bottom, right = components.boxes.T
    edge = 2
    across = (left <= edge) & (right >= width - edge) & (components.areas < MAX_RULE_AREA * width_px * width)
    down = (top <= edge) & (bottom >= height - edge) & (components.areas < MAX_RULE_AREA * width_px * height)
    spans: Mask = across | down
    return spans if not spans.all() else np.zeros_like(spans)
