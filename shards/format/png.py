"""PNG files of 8-bit grey pictures (ISO/IEC 15948), fast, and with the same bytes on every machine.

zlib-ng compresses and ISA-L decompresses. ISA-L would compress faster, but chooses its hash function and match finder
by the processor, so its bytes may differ between machines. zlib-ng's run-length strategy uses neither: it makes the
bytes that zlib makes, in two thirds of the time.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image
from zlib_ng import zlib_ng

MAX_SIDE_PX = 4096  # largest height and width that are decoded; also the limit of the parameters of `rasterize`
PAPER = 255  # grey of a pixel without ink
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ZLIB_HEADER = b"\x78\x01"  # deflate, a window of 32 KiB, no dictionary, the fastest level
_GREY = bytes((8, 0, 0, 0, 0))  # bit depth 8, colour type 0 (grey), deflate, adaptive filtering, no interlace
_HEADER_BYTES = 33  # of signature and IHDR chunk
_ADLER_PRIME = 65521
_FRAME_BYTES = 12  # of length, kind and CRC around a chunk's data


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode uint8 [height, width] as an 8-bit grey PNG with one IDAT chunk and filter 0 for every line.

    Ink on paper consists of runs of equal pixels. So no filter and run-length matches (``Z_RLE``) are many times faster
    than Pillow's adaptive filters, and give smaller files that decode faster. The lines of paper (255) above and below
    the ink are compressed once for all pictures.
    """
    return _encode(pixels, paper=255)


def encode_coverage(coverage: npt.NDArray[np.uint8]) -> bytes:
    """Return ``encode_png(255 - coverage)``, but faster."""
    return _encode(coverage, paper=0)


def _encode(picture: npt.NDArray[np.uint8], *, paper: Literal[0, 255]) -> bytes:
    height, width = picture.shape
    first, end = _inked_lines(picture, paper=paper)
    above, below = _paper(first, width), _paper(height - end, width)
    lines = np.empty((end - first, 1 + width), dtype=np.uint8)
    lines[:, 0] = 0  # each line begins with its filter type
    np.bitwise_xor(picture[first:end], 255 - paper, out=lines[:, 1:])
    ink = lines.data
    adler32 = _join_adler32(isal_zlib.adler32(ink, above.adler32), below)
    data = (_ZLIB_HEADER, above.deflated, _deflate(ink, last=False), below.deflated_last, adler32.to_bytes(4, "big"))
    return b"".join((_opening(height, width), _chunk(b"IDAT", b"".join(data)), _CLOSING))


def decode_png(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Decode an 8-bit grey PNG of at most 4096 x 4096 pixels to uint8 [height, width].

    No more is decompressed than the picture's size allows. Raises ValueError if `data` is not such a PNG, or the CRC of
    a chunk or the Adler-32 of the pixels is wrong.
    """
    if len(data) < _HEADER_BYTES or data[: len(_SIGNATURE)] != _SIGNATURE:
        raise ValueError("not a PNG: it has another signature")
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ValueError(f"PNG of {height} x {width} pixels: allowed are 1 x 1 to {MAX_SIDE_PX} x {MAX_SIDE_PX}")
    pixels = np.empty((height, width), dtype=np.uint8)
    decode_png_into(data, pixels)
    return pixels


def png_size(data: bytes | memoryview) -> tuple[int, int]:
    """Return the width and height that the header of a PNG gives, in pixels."""
    width, height = struct.unpack_from(">II", data, 16)
    return int(width), int(height)


def decode_png_into(data: bytes | memoryview, pixels: npt.NDArray[np.uint8]) -> None:
    """Decode as :func:`decode_png` does, into uint8 [height, width], such as one picture of a batch.

    Also raises ValueError if the PNG has another size. `pixels` may be partly overwritten by then.
    """
    height, width = pixels.shape
    header, compressed = _parse(data, height=height, width=width)
    if header == _GREY:
        lines = _inflate(compressed, height=height, width=width)
        if lines[:: 1 + width] == bytes(height):  # no line is filtered
            pixels[:] = np.frombuffer(lines, dtype=np.uint8).reshape(height, 1 + width)[:, 1:]
            return
    pixels[:] = _decode_by_pillow(data)


def _parse(data: bytes | memoryview, *, height: int, width: int) -> tuple[bytes, bytes | memoryview]:
    """Return the five bytes after the size in the header, and the compressed pixels; check every CRC."""
    view = memoryview(data)
    if view[:_HEADER_BYTES] == _opening(height, width) and view[-len(_CLOSING) :] == _CLOSING:
        kind, content, end = _read_chunk(view, _HEADER_BYTES)
        if kind == b"IDAT" and end == len(view) - len(_CLOSING):  # as `encode_png` writes it
            return _GREY, content
    chunks = list(_chunks(view))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise ValueError("not a whole PNG: its chunks do not run from IHDR to IEND")
    header = bytes(chunks[0][1])
    if struct.unpack_from(">II", header) != (width, height):
        found_width, found_height = struct.unpack_from(">II", header)
        raise ValueError(f"PNG of {found_height} x {found_width} pixels, expected {height} x {width}")
    return header[8:], b"".join(content for kind, content in chunks if kind == b"IDAT")


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of every chunk."""
    if view[: len(_SIGNATURE)] != _SIGNATURE:
        raise ValueError("not a PNG: it has another signature")
    start = len(_SIGNATURE)
    while start < len(view):
        kind, content, start = _read_chunk(view, start)
        yield kind, content


def _read_chunk(view: memoryview, start: int) -> tuple[bytes, memoryview, int]:
    """Return kind, content and end of the chunk that begins at `start`."""
    end = start + _FRAME_BYTES + int.from_bytes(view[start : start + 4], "big")
    if end > len(view) or len(view) - start < _FRAME_BYTES:
        raise ValueError("not a whole PNG: it ends within a chunk")
    if isal_zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
        raise ValueError("not a whole PNG: the CRC of a chunk is wrong")
    return bytes(view[start + 4 : start + 8]), view[start + 8 : end - 4], end


def _inflate(compressed: bytes | memoryview, *, height: int, width: int) -> bytes:
    """Return the lines, 1 + width bytes each, of which the first is the filter type."""
    num_bytes = height * (1 + width)
    inflater = isal_zlib.decompressobj()
    try:
        lines = inflater.decompress(compressed, num_bytes + 1)  # checks the Adler-32 at the end
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub declares an instance, not a class
        raise ValueError(f"not a whole PNG: {error}") from None
    if not inflater.eof or inflater.unused_data or len(lines) != num_bytes:
        raise ValueError("not a whole PNG: the number of pixels is not that of its header")
    return lines


def _decode_by_pillow(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Decode a PNG with intact chunks that filters its lines or is otherwise not like those of `encode_png`."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for a damaged PNG
        raise ValueError(f"not a whole PNG: {error}") from None
    if mode != "L":
        raise ValueError(f"PNG of mode {mode}, expected 8-bit grey")
    return pixels


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


_CLOSING = _chunk(b"IEND", b"")


@lru_cache(maxsize=16)
def _opening(height: int, width: int) -> bytes:
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">II", width, height) + _GREY)


def _inked_lines(picture: npt.NDArray[np.uint8], *, paper: int) -> tuple[int, int]:
    """Return the first line with ink and the line after the last one; 0 and 0 if there is no ink."""
    height, width = picture.shape
    flat = np.ascontiguousarray(picture).reshape(-1)
    words = flat.view(np.uint64) if width % 8 == 0 else flat  # eight pixels at a time
    # bytes can be searched backward as fast as forward, arrays cannot
    has_ink = (words != int.from_bytes(bytes([paper]) * words.itemsize)).tobytes()
    first, last = has_ink.find(1), has_ink.rfind(1)
    words_per_line = len(words) // height
    return (first // words_per_line, last // words_per_line + 1) if first >= 0 else (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paper:
    """Lines of paper; `deflated` may be followed by other blocks, `deflated_last` ends the stream."""

    num_bytes: int
    adler32: int
    deflated: bytes
    deflated_last: bytes


@lru_cache(maxsize=2 * MAX_SIDE_PX)
def _paper(count: int, width: int) -> _Paper:
    lines = (b"\x00" + b"\xff" * width) * count
    slow = {"level": 9, "strategy": zlib.Z_DEFAULT_STRATEGY}
    return _Paper(
        num_bytes=len(lines),
        adler32=isal_zlib.adler32(lines),
        deflated=_deflate(lines, last=False, **slow) if count else b"",
        deflated_last=_deflate(lines, last=True, **slow),
    )


def _join_adler32(adler32: int, paper: _Paper) -> int:
    """Return the checksum of data with checksum `adler32` followed by paper (RFC 1950: two sums modulo a prime)."""
    low = (adler32 & 0xFFFF) + (paper.adler32 & 0xFFFF) - 1
    high = (adler32 >> 16) + (paper.adler32 >> 16) + paper.num_bytes * ((adler32 & 0xFFFF) - 1)
    return (high % _ADLER_PRIME) << 16 | low % _ADLER_PRIME


def _deflate(data: bytes | memoryview, *, last: bool, level: int = 3, strategy: int = zlib.Z_RLE) -> bytes:
    """Return deflate blocks that end on a whole byte, so that others may follow; the `last` ones end the stream."""
    deflater = zlib_ng.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return deflater.compress(data) + deflater.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
