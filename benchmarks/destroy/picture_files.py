"""Sound picture files of many formats, drawn here, and files of hostile content."""

import io
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.studies.picture_kinds import photo

Pixels = npt.NDArray[np.generic]
SOUND_PX = 320  # longest side of the sound pictures
HOSTILE_PX = (64, 400, 1600, 2600)  # longest sides of the pictures of hostile content


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.info.pop("icc_profile", None)  # Pillow's own profile for LAB holds the time of the day
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that Pillow will drop
        image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def formula() -> Image.Image:
    """A drawn formula, grey."""
    turn = np.linspace(0, 2 * np.pi, 40)
    lines = [[(0, 50), (100, 52)], [(30, 5), (62, 38)], [(62, 5), (30, 38)], [(120, 44), (150, 44)]]
    ring = np.stack([30 + 14 * np.cos(turn), 75 + 16 * np.sin(turn)], axis=1)
    strokes = [np.array(line, np.float32) for line in [*lines, ring]]
    image = photo(strokes, np.random.default_rng(1))
    return image.resize((SOUND_PX, round(SOUND_PX * image.height / image.width)))


def sound_pictures() -> list[bytes]:
    """Files of every format that Pillow writes, in many modes; the same on every machine with the same Pillow."""
    grey = formula()
    colour, deep = grey.convert("RGB"), Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    clear = Image.merge("LA", (Image.new("L", grey.size), grey.point(lambda value: 255 - value)))
    frames = {"save_all": True, "append_images": [grey.rotate(5), grey.rotate(9)], "duration": 50}
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        *(encoded(grey.convert(mode), "PNG") for mode in ("1", "L", "P", "RGB", "RGBA")),
        *(encoded(image, "PNG") for image in (clear, deep)),
        encoded(grey, "PNG", **frames),
        encoded(grey.convert("P"), "PNG", transparency=3),
        *(encoded(grey.convert(mode), "JPEG", quality=60) for mode in ("L", "RGB", "CMYK")),
        *(encoded(colour, "JPEG", quality=60, **more) for more in ({"progressive": True}, {"exif": exif})),
        encoded(grey.convert("P"), "GIF"),
        encoded(grey.convert("P"), "GIF", **frames),
        *(encoded(colour, "WEBP", **more) for more in ({"quality": 50}, {"lossless": True}, frames)),
        *(
            encoded(colour, "TIFF", compression=name)
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        *(encoded(image, "TIFF") for image in (deep, grey.convert("F"), colour.convert("LAB"), grey.convert("1"))),
        encoded(grey, "TIFF", **frames),
        *(encoded(grey, kind) for kind in ("BMP", "PPM", "TGA", "PCX", "SGI", "IM", "DDS", "JPEG2000", "SPIDER")),
        *(encoded(colour, kind) for kind in ("QOI", "ICO", "ICNS", "AVIF", "TGA", "BMP", "MPO")),
        *(encoded(grey.convert("1"), kind) for kind in ("MSP", "XBM", "PPM", "BMP")),
        encoded(grey.convert("F"), "PPM"),
        encoded(grey.convert("P"), "BLP"),
    ]
    return [data for data in files if len(data) > 0]


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    return rng.integers(0, 256, size)


def _sparse(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    return np.where(rng.random(size) < rng.choice([0.01, 0.1, 0.3]), 0, 255)


def _blobs(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    cell = int(rng.integers(2, 12))
    coarse = rng.integers(0, 2, (size[0] // cell + 1, size[1] // cell + 1)) * 255
    return np.kron(coarse, np.ones((cell, cell), np.int64))[: size[0], : size[1]]


def _stripes(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    period, slope = int(rng.integers(2, 40)), rng.choice([0, 0.05, 0.7, 3.0])
    return np.where((rows + slope * columns) % period < period / 3, 0, 255)


def _mesh(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    period = int(rng.integers(4, 30))
    return np.where((rows % period < 2) | (columns % period < 2), 0, 255)


def _dots(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    period = int(rng.integers(4, 30))
    return np.where(np.hypot(rows % period - period / 2, columns % period - period / 2) < period / 4, 0, 255)


def _spiral(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    y, x = rows - size[0] / 2, columns - size[1] / 2
    period = int(rng.integers(5, 40))
    return np.where((np.hypot(x, y) + period * np.arctan2(y, x) / (2 * np.pi)) % period < period / 3, 0, 255)


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    return np.asarray((rows * rng.random() + columns * rng.random()) % 256)


def _frames(rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    inward = np.minimum(np.minimum(rows, size[0] - 1 - rows), np.minimum(columns, size[1] - 1 - columns))
    period = int(rng.integers(6, 60))
    return np.where(inward % period < 3, 0, 255)


CONTENTS: Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Pixels]] = {
    "noise": _noise,
    "sparse": _sparse,
    "blobs": _blobs,
    "stripes": _stripes,
    "mesh": _mesh,
    "dots": _dots,
    "spiral": _spiral,
    "gradient": _gradient,
    "frames": _frames,
}
"""What gives tracing the most to do: no formula, much ink."""


def hostile_content(rng: Random) -> Image.Image:
    """A picture full of ink of one kind, light on dark or the reverse, grey or, rarely, noisy."""
    random = np.random.default_rng(rng.randrange(2**32))
    longest = rng.choice(HOSTILE_PX)
    sides = [longest, max(1, round(longest * rng.choice((1, 0.7, 0.2, 0.02))))]
    rng.shuffle(sides)
    pixels = CONTENTS[rng.choice(sorted(CONTENTS))](random, (sides[0], sides[1])).astype(np.float64)
    if rng.random() < 0.4:
        pixels = 255 - pixels
    if rng.random() < 0.3:
        pixels += random.normal(0, rng.choice((3, 30)), pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
