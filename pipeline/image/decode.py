"""Decode image files of any kind to upright grey pixels, within bounds of memory."""

import io
import warnings
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from latexify.common.errors import one_line
from latexify.common.extras import missing_extra
from latexify.pipeline.image.errors import PictureError
from latexify.pipeline.image.formats import NOT_PICTURES
from latexify.pipeline.inks.ink import Reason

MAX_PIXELS = 100_000_000
"""Larger images are refused by their header alone: this many pixels take 400 MB. Phones take 50 million."""
WORKING_PX = 1600  # images are reduced to this longest side; a pen stroke is then still several pixels wide
MAX_ASPECT_RATIO = 100  # no formula is this elongated
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
Grey = npt.NDArray[np.uint8]


def decode_image(data: bytes) -> Grey:
    """Decode an image file of any format that Pillow supports.

    The EXIF orientation is applied, the first of several frames is taken, and colours become their brightness.
    Transparent areas become light behind dark ink and dark behind light ink. Returns pixels, uint8 [height, width], at
    most `WORKING_PX` a side.

    Raises:
        PictureError: If the data is not an image, damaged, or too large, or a package is needed to read it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of oddities that it can handle
            if is_heif(data):
                _enable_heif()
            with Image.open(io.BytesIO(data)) as image:
                if image.format in NOT_PICTURES:
                    problem = f"{image.format} is not a format that can be read: save it as PNG or JPEG"
                    raise PictureError(Reason.NOT_PICTURE, problem)
                _check_size(image)
                image.draft("L", (WORKING_PX, WORKING_PX))  # decodes a JPEG at a fraction of its size
                image.load()
                return np.asarray(_to_grey(_reduce(ImageOps.exif_transpose(image))))
    except UnidentifiedImageError:
        problem = "this is not an image (or Pillow does not support its format)"
        raise PictureError(Reason.NOT_PICTURE, problem) from None
    except Image.DecompressionBombError:
        raise PictureError(
            Reason.TOO_LARGE, f"the image has more than {MAX_PIXELS:,} pixels: make it smaller"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, PictureError):
            raise
        # each of Pillow's plug-ins has its own exception for a damaged file
        raise PictureError(Reason.DAMAGED_PICTURE, f"the image is damaged ({one_line(error)})") from None


def is_heif(data: bytes) -> bool:
    """Whether a file is in the format of iPhones, HEIF with HEVC, by the brands in its first box."""
    if data[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, length - 3, 4))}
    return bool(brands & HEIF_BRANDS)


def _enable_heif() -> None:
    if find_spec("pillow_heif") is None:
        problem = missing_extra("heic", package="pillow-heif", needed_by="HEIC, the format of this picture,")
        raise PictureError(Reason.UNSUPPORTED_PICTURE, str(problem))
    from pillow_heif import register_heif_opener  # noqa: PLC0415  # only where it is needed

    register_heif_opener(thumbnails=False)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        problem = f"the image has {width} x {height} pixels, the limit is {MAX_PIXELS:,}: make it smaller"
        raise PictureError(Reason.TOO_LARGE, problem)
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        problem = f"the image is {width} x {height} pixels, too elongated: crop it to the formula"
        raise PictureError(Reason.TOO_LARGE, problem)


def _reduce(image: Image.Image) -> Image.Image:
    """Reduce to at most `WORKING_PX` a side; never enlarge."""
    factor = max(image.size) / WORKING_PX
    if factor <= 1:
        return image
    if image.mode in {"P", "1", "PA"}:
        image = image.convert("RGBA")  # palette indices cannot be averaged
    size = (max(1, round(image.width / factor)), max(1, round(image.height / factor)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None)


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_high_depth(image)
    if image.has_transparency_data:
        return _on_contrasting_paper(image.convert("RGBA"))
    return image.convert("L")


def _from_high_depth(image: Image.Image) -> Image.Image:
    """Scale more than 8 bits a pixel so that the darkest becomes 0 and the brightest 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.round().astype(np.uint8))


def _on_contrasting_paper(image: Image.Image) -> Image.Image:
    """Put light content on black and dark content on white."""
    grey, alpha = (np.asarray(band, dtype=np.float32) for band in (image.convert("L"), image.getchannel("A")))
    opaque = float(alpha.sum())
    is_light = opaque > 0 and float((grey * alpha).sum()) / opaque > 127.5
    paper = 0.0 if is_light and float(alpha.min()) < 255 else 255.0
    mixed = (grey * alpha + paper * (255 - alpha)) / 255
    return Image.fromarray(mixed.round().astype(np.uint8))
