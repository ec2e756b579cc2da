"""Decode image files of any kind to upright grey pixels, within bounds of memory."""

import io
import warnings
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from latexify.common.errors import one_line
from latexify.common.extras import missing_extra
from latexify.pipeline.image.errors import PictureError
from latexify.pipeline.image.formats import NOT_PICTURES
from latexify.pipeline.inks.ink import Reason

MAX_PIXELS = 80_000_000
"""Larger images are refused by their header alone: this many pixels take 320 MB. Phones take 50 million."""
MAX_PIXELS_WHOLE = 40_000_000
"""The same for coloured images of formats whose decoders hold all of the image in another form as well."""
WHOLE_FORMATS = {"AVIF", "JPEG2000", "TIFF", "WEBP"}
MAX_SCAN_PIXELS = 400_000_000  # of a JPEG, times its scans: each scan goes over all pixels, in 5 ns each
JPEG_SCAN = b"\xff\xda"  # what each scan begins with
STRIP_BYTES = 16_000_000  # images are reduced by strips of about this size, because a conversion copies them
WORKING_PX = 1600  # images are reduced to this longest side; a pen stroke is then still several pixels wide
MAX_ASPECT_RATIO = 100  # no formula is this elongated
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, LookupError, TypeError, AttributeError)
"""What Pillow's plug-ins raise for a damaged file: each has its own exceptions."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn an image upright, by its EXIF orientation."""
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
                _check(image, data)
                image.draft("L", (WORKING_PX, WORKING_PX))  # decodes a JPEG at a fraction of its size
                image.load()
                return np.asarray(_to_grey(_upright(_reduce(image), image)))
    except UnidentifiedImageError:
        problem = "this is not an image that Pillow can read, and no ink"
        if data.startswith(b"%PDF"):
            problem = "PDF files are not read: save the page, or the formula in it, as PNG"
        raise PictureError(Reason.NOT_PICTURE, problem) from None
    except Image.DecompressionBombError:
        raise PictureError(
            Reason.TOO_LARGE, f"the image has more than {MAX_PIXELS:,} pixels: make it smaller"
        ) from None
    except PictureError:
        raise
    except DAMAGED as error:
        raise PictureError(Reason.DAMAGED_PICTURE, f"the image is damaged ({one_line(error)})") from None


def decoding_bytes(image: Image.Image) -> int:
    """Return about how much memory :func:`decode_image` takes for an image that was opened but not decoded."""
    pixels = image.width * image.height
    pixel_bytes = 1 if image.mode in {"1", "L", "P"} else 4
    if image.format in {"JPEG", "MPO"}:
        halvings = min(3, max(1, max(image.size) // WORKING_PX).bit_length() - 1)
        reduced = (pixels * pixel_bytes) >> (2 * halvings)
        # of a progressive one, all coefficients are held, of two bytes each
        return reduced + (2 * pixels * len(image.getbands()) if "progressive" in image.info else 0)
    return pixels * pixel_bytes * (2 if image.format in WHOLE_FORMATS else 1)


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


def _check(image: Image.Image, data: bytes) -> None:
    if image.format in NOT_PICTURES:
        problem = f"{image.format} is not a format that can be read: save it as PNG or JPEG"
        raise PictureError(Reason.NOT_PICTURE, problem)
    width, height = image.size
    is_progressive = image.format in {"JPEG", "MPO"} and "progressive" in image.info
    is_whole = is_progressive or image.format in WHOLE_FORMATS
    limit = MAX_PIXELS_WHOLE if is_whole and len(image.getbands()) > 1 else MAX_PIXELS
    problem = ""
    if width * height > limit:
        problem = f"the image has {width} x {height} pixels, the limit is {limit:,}: make it smaller"
    elif max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        problem = f"the image is {width} x {height} pixels, too elongated: crop it to the formula"
    elif is_progressive and width * height * data.count(JPEG_SCAN) > MAX_SCAN_PIXELS:
        problem = f"the image has {data.count(JPEG_SCAN)} scans, too many: save it again as PNG or JPEG"
    if problem:
        raise PictureError(Reason.TOO_LARGE, problem)


def _upright(image: Image.Image, original: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of the original; EXIF that cannot be read says nothing of it."""
    try:
        orientation = original.getexif().get(ExifTags.Base.Orientation)
    except DAMAGED:
        orientation = None
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _reduce(image: Image.Image) -> Image.Image:
    """Reduce to at most `WORKING_PX` a side; never enlarge."""
    factor = max(image.size) / WORKING_PX
    if factor <= 1:
        return image
    if factor >= 2:
        image = _reduce_by(image, int(factor))
        factor = max(image.size) / WORKING_PX
    image = _averageable(image)
    size = (max(1, round(image.width / factor)), max(1, round(image.height / factor)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=None)


def _reduce_by(image: Image.Image, factor: int) -> Image.Image:
    """Average squares of pixels, by strips."""
    width, height = image.size
    strip_height = max(1, STRIP_BYTES // (4 * width * factor)) * factor
    reduced: Image.Image | None = None
    for top in range(0, height, strip_height):
        strip = _averageable(image.crop((0, top, width, min(height, top + strip_height)))).reduce(factor)
        if reduced is None:
            reduced = Image.new(strip.mode, (strip.width, -(-height // factor)))
        reduced.paste(strip, (0, top // factor))
    return image if reduced is None else reduced


def _averageable(image: Image.Image) -> Image.Image:
    """Convert palette indices, which cannot be averaged, and other modes that Pillow cannot reduce."""
    if image.mode in {"P", "PA"}:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("F") if image.mode.startswith("I") else image


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_high_depth(image)
    if image.mode == "LAB":
        return image.getchannel("L")  # lightness
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
