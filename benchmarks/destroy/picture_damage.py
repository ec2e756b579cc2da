"""Damaged and hostile picture files: every file follows from a seed, a kind and a number."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np
from PIL import Image

from benchmarks.destroy import damage
from benchmarks.destroy.picture_files import encoded, formula, hostile_content

Mutation = Callable[[Random, Sequence[bytes]], bytes]
SIZES = (0, 1, 2, 3, 7, 255, 256, 4096, 9999, 10_000, 30_000, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
KINDS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "TGA", "PCX", "SGI", "ICO", "JPEG2000", "QOI", "SPIDER")
BOMB_PX = (5_000, 9_900, 12_000)  # sides of pictures that are small only as files
BOMB_KINDS = (
    *(("PNG", mode) for mode in ("1", "L", "P", "RGB", "LA", "I;16")),
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("TIFF", mode) for mode in ("1", "L", "RGBA")),
    ("GIF", "P"), ("JPEG2000", "L"), ("JPEG2000", "RGB"), ("AVIF", "RGB"), ("WEBP", "RGB"), ("QOI", "RGB"),
)  # fmt: skip
MAGIC = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\0\1\0\0WEBPVP8X", b"P6\n",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"8BPS", b"qoif", b"\0\0\1\0", b"icns", b"DDS ", b"BLP2", b"\x0a\5\1\x08", b"\1\xda",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", b"/* XPM */", b"#define x_width 9",
    b"%!PS-Adobe-3.0 EPSF", b"SIMPLE  =", b"\x59\xa6\x6a\x95", b"\xd7\xcd\xc6\x9a", b"\x89HDF\r\n\x1a\n", b"GRIB",
)  # fmt: skip


def truncated(rng: Random, sound: Sequence[bytes]) -> bytes:
    """A file that breaks off."""
    data = rng.choice(sound)
    return data[: rng.randint(0, len(data) - 1)]


def damaged_head(rng: Random, sound: Sequence[bytes]) -> bytes:
    """Bits turned over and bytes changed where sizes, modes and tables stand."""
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 2, 4, 10))):
        place = rng.randrange(min(len(data), rng.choice((32, 64, 200))))
        data[place] = rng.choice((0, 1, 127, 128, 255, data[place] ^ (1 << rng.randrange(8)), rng.randrange(256)))
    return bytes(data)


def claimed_size(rng: Random, sound: Sequence[bytes]) -> bytes:
    """Another width or height than the data have: zero, one, as many as a number can hold."""
    data = bytearray(rng.choice(sound))
    width, height = formula().size
    for side in (width, height):
        for pattern in (">I", "<I", ">H", "<H"):
            place = data.find(struct.pack(pattern, side), 0, 4096)
            if place >= 0 and rng.random() < 0.6:
                largest = 2 ** (8 * struct.calcsize(pattern)) - 1
                struct.pack_into(pattern, data, place, min(rng.choice(SIZES), largest))
    if data[:8] == MAGIC[0]:
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def odd_modes(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """Every mode in every format that takes it, with values that are hardly ever there."""
    mode, kind = rng.choice(MODES), rng.choice(KINDS)
    size = (rng.randint(1, 200), rng.randint(1, 200))
    if mode == "F":
        values = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.choice((1e-30, 1, 1e30)), size[::-1])
        values.flat[:: rng.randint(2, 50)] = rng.choice((np.nan, np.inf, -np.inf, 0))
        image = Image.fromarray(values.astype(np.float32))
    elif mode == "I;16":
        image = Image.fromarray((np.arange(size[0] * size[1]) % 65_536).astype(np.uint16).reshape(size[::-1]))
    else:
        image = formula().resize(size).convert("RGB").convert("L" if mode in {"PA", "LAB", "I"} else "RGB")
        image = _converted(image, mode)
    try:
        return encoded(image, kind)
    except (OSError, ValueError, KeyError):
        return encoded(image.convert("RGB"), "TIFF")  # no format takes all modes


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "LAB":
        return Image.merge("LAB", (image, image, image))
    return image.convert(mode)


def odd_sizes(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """One pixel, lines of pixels, and just above and below the limits."""
    long = rng.choice((1, 2, 3, 99, 100, 101, 5000, 20_000, 60_000))
    size = [rng.choice((1, 2, 3)), long]
    rng.shuffle(size)
    image = Image.new(rng.choice(("L", "RGB", "1", "RGBA")), (size[0], size[1]), rng.choice((0, 1)))
    bands = len(image.getbands())
    image.putpixel((size[0] // 2, size[1] // 2), 255 if bands == 1 else (255, 9, 9, 255)[:bands])
    kind = rng.choice(("PNG", "TIFF", "BMP", "PPM" if image.mode != "RGBA" else "PNG"))
    return encoded(image, kind)


def bombs(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """Small files of many pixels, below and above the limit."""
    size = (rng.choice(BOMB_PX), rng.choice(BOMB_PX))
    kind, mode = rng.choice(BOMB_KINDS)
    if kind in {"AVIF", "WEBP", "JPEG2000"}:  # slow to make
        size = (min(size[0], 9_900), rng.choice((500, 2_000, 4_000)))
    image = Image.new(mode, size)
    ink, place = Image.new("L", (size[0] // 6, 200), 255), (size[0] // 3, size[1] // 3)
    image.paste(ink.convert("RGB").convert(mode) if mode not in {"I;16", "LA", "1"} else ink.convert(mode), place)
    if kind == "TIFF":
        return encoded(image, kind, compression="tiff_adobe_deflate")
    return encoded(image, kind, compress_level=1) if kind == "PNG" else encoded(image, kind)


def turned_by_exif(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """Orientations that there are and are not, and EXIF that is none."""
    image = formula().convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65_535))
    data = bytearray(exif.tobytes())
    if rng.random() < 0.6:
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.2:
        data += rng.randbytes(rng.choice((1, 500, 60_000)))
    return encoded(image, rng.choice(("JPEG", "PNG", "WEBP")), exif=bytes(data[:65_000]))


def animated(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """Many frames, of which only the first counts, some cut off."""
    base = formula().convert("P")
    others = [base.rotate(number) for number in range(rng.choice((1, 5, 40)))]
    data = encoded(base, rng.choice(("GIF", "PNG", "WEBP", "TIFF")), save_all=True, append_images=others)
    return data if rng.random() < 0.5 else data[: rng.randint(len(data) // 4, len(data))]


def hostile_chunks(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """PNG with chunks that unpack to much, lie about their length, contradict or repeat one another."""
    data = encoded(formula().convert(rng.choice(("L", "P", "RGB", "RGBA"))), "PNG")
    bomb = zlib.compress(bytes(rng.choice((10**4, 10**7, 10**8))), 9)
    names = (b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"PLTE", b"gAMA", b"acTL", b"fcTL", b"fdAT", b"IHDR", b"eXIf", b"IDAT")
    for _ in range(rng.choice((1, 2, 50))):
        name = rng.choice(names)
        text = {b"zTXt": b"a\0\0" + bomb, b"iTXt": b"a\0\1\0\0\0" + bomb, b"iCCP": b"a\0\0" + bomb}
        content = text.get(name, rng.randbytes(rng.choice((0, 1, 13, 26, 768, 5000))))
        length = len(content) if rng.random() < 0.9 else rng.choice(SIZES[:-1])
        chunk = struct.pack(">I", length) + name + content + struct.pack(">I", zlib.crc32(name + content))
        place = rng.choice((8, 33, len(data) - 12))
        data = data[:place] + chunk + data[place:]
    return data


def many_scans(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """A progressive JPEG whose scans are repeated, so that a small file takes long to decode."""
    image = Image.new("L", (rng.choice((500, 2000, 8000)),) * 2, 128)
    data = encoded(image, "JPEG", progressive=True, quality=5)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * rng.choice((10, 200, 1000)) + data[-2:]


def linked_tiff(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """A TIFF of random entries: strips that overlap, directories in a circle, counts that are too large."""
    few = SIZES[:10]
    entries = [
        (256, 4, 1, rng.choice(few)),  # width
        (257, 4, 1, rng.choice(few)),  # height
        (258, 3, rng.choice((1, 3, 1000)), rng.choice((1, 8, 16, 200))),  # bits per sample
        (259, 3, 1, rng.choice((1, 2, 5, 7, 8, 32_773, 34_712))),  # compression
        (262, 3, 1, rng.choice((0, 1, 2, 3, 5, 6, 8))),  # photometric interpretation
        (273, 4, rng.choice((1, 50, 10**6)), 8),  # where the strips are
        (278, 4, 1, rng.choice((1, 100))),  # rows per strip
        (279, 4, rng.choice((1, 50, 10**6)), rng.choice(few)),  # bytes of the strips
    ]
    entries += [
        (rng.randrange(65_536), rng.randrange(14), rng.choice((1, 5, 10**8)), rng.choice(SIZES))
        for _ in range(rng.choice((0, 3, 200)))
    ]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    body = struct.pack("<H", len(entries)) + packed + struct.pack("<I", rng.choice((0, 8, 2**31)))
    return b"II*\0" + struct.pack("<I", 8) + body + rng.randbytes(rng.choice((0, 100, 5000)))


def no_picture(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """The first bytes of a format, and nothing or anything behind them."""
    return rng.choice(MAGIC) + rng.choice((b"", bytes(1000), rng.randbytes(rng.choice((3, 40, 3000)))))


def hostile_ink(rng: Random, _sound: Sequence[bytes]) -> bytes:
    """What gives tracing the most to do."""
    return encoded(hostile_content(rng), "PNG", compress_level=1)


SHARES: Mapping[str, tuple[Mutation, int]] = {
    "truncated": (truncated, 2500),
    "bits flipped": (lambda rng, sound: damage.flipped_bits(rng, sound).data, 2500),
    "bytes inserted": (lambda rng, sound: damage.inserted_bytes(rng, sound).data, 1500),
    "bytes deleted": (lambda rng, sound: damage.deleted_bytes(rng, sound).data, 1500),
    "range overwritten": (lambda rng, sound: damage.overwritten_range(rng, sound).data, 1500),
    "files spliced": (lambda rng, sound: damage.spliced_files(rng, sound).data, 1000),
    "head damaged": (damaged_head, 2500),
    "size claimed": (claimed_size, 1500),
    "odd modes": (odd_modes, 1000),
    "odd sizes": (odd_sizes, 500),
    "EXIF": (turned_by_exif, 700),
    "animated": (animated, 300),
    "PNG chunks": (hostile_chunks, 500),
    "TIFF directories": (linked_tiff, 1000),
    "no picture": (no_picture, 700),
    "full of ink": (hostile_ink, 600),
    "many scans": (many_scans, 60),
    "bombs": (bombs, 140),
}
"""Kinds of damage, and how many of 20,000 files each gets."""

_TOTAL = sum(share for _, share in SHARES.values())


def counts(num_files: int) -> dict[str, int]:
    """How many files of each kind: in proportion to `SHARES`, at least one."""
    return {kind: max(1, round(share * num_files / _TOTAL)) for kind, (_, share) in SHARES.items()}


def mutant(kind: str, number: int, *, seed: int, sound: Sequence[bytes]) -> bytes:
    """File `number` of a kind; the same bytes for the same arguments and the same Pillow."""
    return SHARES[kind][0](Random(f"{seed}/{kind}/{number}"), sound)
