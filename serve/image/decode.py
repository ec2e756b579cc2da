"""Image files of any kind to grey pixels, upright and of a bearable size. Reads nothing that would take all memory."""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from latexify.common.errors import LatexifyError

MAX_PIXELS = 100_000_000
"""Larger pictures are refused from their header alone: decoded, this one takes 400 MB. Telephones make 50 million."""

WORKING_PX = 1600
"""Longest side that is looked at: a pen stroke is then still some pixels wide."""

MAX_ELONGATION = 100
"""Of the sides of a picture: no formula is so long."""

Grey = npt.NDArray[np.uint8]


def decode_picture(data: bytes) -> Grey:
    """Decode an image file of any format that Pillow knows: uint8 [height, width], at most `WORKING_PX` a side.

    Turned as its EXIF says; of several frames the first; colours by their brightness. Transparent parts are light
    behind dark ink and dark behind light ink. Raises LatexifyError where it is no image, damaged, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about oddities that it copes with
            with Image.open(io.BytesIO(data)) as image:
                _require_bearable(image)
                image.draft("L", (WORKING_PX, WORKING_PX))  # a JPEG is decoded at a fraction of its size
                image.load()
                return np.asarray(_grey(_shrunk(ImageOps.exif_transpose(image))))
    except UnidentifiedImageError:
        raise LatexifyError("it is no image (or of a format that Pillow does not know)") from None
    except Image.DecompressionBombError:
        raise LatexifyError(f"the image has more than {MAX_PIXELS:,} pixels: make it smaller") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, LatexifyError):
            raise
        # Pillow's words for a damaged file, of whatever class its plug-in chose
        raise LatexifyError(f"the image is damaged ({' '.join(str(error).split())})") from None


def _require_bearable(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise LatexifyError(
            f"the image has {width} x {height} pixels, at most {MAX_PIXELS:,} are read: make it smaller"
        )
    if max(width, height) > MAX_ELONGATION * min(width, height):
        raise LatexifyError(f"the image is {width} x {height} pixels: cut out the formula")


def _shrunk(image: Image.Image) -> Image.Image:
    """At most `WORKING_PX` a side; nothing is enlarged."""
    factor = max(image.size) / WORKING_PX
    if factor <= 1:
        return image
    if image.mode in {"P", "1", "PA"}:
        image = image.convert("RGBA")  # numbers of colours cannot be averaged
    size = (max(1, round(image.width / factor)), max(1, round(image.height / factor)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None)


def _grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    if image.has_transparency_data:
        return _on_contrast(image.convert("RGBA"))
    return image.convert("L")


def _from_deep(image: Image.Image) -> Image.Image:
    """More than 8 bits a pixel: from the darkest to the brightest, whatever the file's scale is."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.round().astype(np.uint8))


def _on_contrast(image: Image.Image) -> Image.Image:
    """Put what can be seen on paper that it can be seen on."""
    grey, alpha = (np.asarray(band, dtype=np.float32) for band in (image.convert("L"), image.getchannel("A")))
    opaque = float(alpha.sum())
    is_light = opaque > 0 and float((grey * alpha).sum()) / opaque > 127.5
    paper = 0.0 if is_light and float(alpha.min()) < 255 else 255.0
    mixed = (grey * alpha + paper * (255 - alpha)) / 255
    return Image.fromarray(mixed.round().astype(np.uint8))
