"""PNG of 8-bit grey pictures (ISO/IEC 15948): written for speed and for equal bytes everywhere that zlib is the same.

zlib-ng compresses and ISA-L decompresses. ISA-L would compress faster, but picks its hash function and match finder by
the processor, so that its bytes are not promised to be the same on another machine. zlib-ng's run-length strategy looks
nothing up: its bytes are those of zlib, in two thirds of the time.
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

MAX_SIDE_PX = 4096
"""Largest height and width that are decoded; `rasterize.height_px` and `rasterize.width_px` are no larger."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ZLIB_HEADER = b"\x78\x01"  # deflate, a window of 32 KiB, no dictionary, the fastest level
_GREY = bytes((8, 0, 0, 0, 0))  # bit depth 8, colour type 0 (grey), deflate, adaptive filtering, no interlace
_HEADER_BYTES = 33  # of signature and IHDR chunk
_ADLER_PRIME = 65521
_FRAME_BYTES = 12  # of length, kind and CRC around a chunk's data


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode uint8 [height, width] as an 8-bit grey PNG, every line with filter 0, in one IDAT chunk.

    Ink on paper is runs of equal pixels, so no filter and run-length matches (``Z_RLE``) make smaller files than
    Pillow's adaptive filters at many times their speed, and files that decode faster. Lines of paper (255) above and
    below the ink are compressed once for all pictures.
    """
    return _encode(pixels, paper=255)


def encode_coverage(coverage: npt.NDArray[np.uint8]) -> bytes:
    """``encode_png(255 - coverage)``, in less time."""
    return _encode(coverage, paper=0)


def _encode(picture: npt.NDArray[np.uint8], *, paper: Literal[0, 255]) -> bytes:
    height, width = picture.shape
    first, end = _inked_lines(picture, paper=paper)
    above, below = _paper(first, width), _paper(height - end, width)
    lines = np.empty((end - first, 1 + width), dtype=np.uint8)
    lines[:, 0] = 0  # a line begins with the number of its filter
    np.bitwise_xor(picture[first:end], 255 - paper, out=lines[:, 1:])
    ink = lines.data
    adler32 = _joined_adler32(isal_zlib.adler32(ink, above.adler32), below)
    data = (_ZLIB_HEADER, above.deflated, _deflate(ink, last=False), below.deflated_last, adler32.to_bytes(4, "big"))
    return b"".join((_opening(height, width), _chunk(b"IDAT", b"".join(data)), _CLOSING))


def decode_png(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Decode an 8-bit grey PNG, of at most 4096 x 4096 pixels, to uint8 [height, width].

    Raises ValueError where `data` is not such a PNG or is damaged: the CRC of every chunk and the Adler-32 of the
    pixels are compared. No more is decompressed than the picture's size allows.
    """
    if len(data) < _HEADER_BYTES or data[: len(_SIGNATURE)] != _SIGNATURE:
        raise ValueError("not a PNG: it does not begin like one")
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ValueError(f"PNG of {height} x {width} pixels: from 1 x 1 to {MAX_SIDE_PX} x {MAX_SIDE_PX} are decoded")
    pixels = np.empty((height, width), dtype=np.uint8)
    decode_png_into(data, pixels)
    return pixels


def decode_png_into(data: bytes | memoryview, pixels: npt.NDArray[np.uint8]) -> None:
    """:func:`decode_png` into uint8 [height, width], such as one place of a batch.

    Raises ValueError also where the PNG is of another size. `pixels` may be overwritten in part by then.
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
    """The five bytes of the header that follow the size, and the compressed pixels; every CRC is compared."""
    view = memoryview(data)
    if view[:_HEADER_BYTES] == _opening(height, width) and view[-len(_CLOSING) :] == _CLOSING:
        kind, content, end = _read_chunk(view, _HEADER_BYTES)
        if kind == b"IDAT" and end == len(view) - len(_CLOSING):  # as `encode_png` writes it
            return _GREY, content
    chunks = list(_chunks(view))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise ValueError("not a whole PNG: it does not go from IHDR to IEND")
    header = bytes(chunks[0][1])
    if struct.unpack_from(">II", header) != (width, height):
        found_width, found_height = struct.unpack_from(">II", header)
        raise ValueError(f"PNG of {found_height} x {found_width} pixels, expected {height} x {width}")
    return header[8:], b"".join(content for kind, content in chunks if kind == b"IDAT")


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of every chunk up to the end of `view`."""
    if view[: len(_SIGNATURE)] != _SIGNATURE:
        raise ValueError("not a PNG: it does not begin like one")
    start = len(_SIGNATURE)
    while start < len(view):
        kind, content, start = _read_chunk(view, start)
        yield kind, content


def _read_chunk(view: memoryview, start: int) -> tuple[bytes, memoryview, int]:
    """Kind and content of the chunk that begins at `start`, and where it ends."""
    end = start + _FRAME_BYTES + int.from_bytes(view[start : start + 4], "big")
    if end > len(view) or len(view) - start < _FRAME_BYTES:
        raise ValueError("not a whole PNG: it ends within a chunk")
    if isal_zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
        raise ValueError("not a whole PNG: the CRC of a chunk is wrong")
    return bytes(view[start + 4 : start + 8]), view[start + 8 : end - 4], end


def _inflate(compressed: bytes | memoryview, *, height: int, width: int) -> bytes:
    """The lines, each of 1 + width bytes, the first of which is the number of its filter."""
    num_bytes = height * (1 + width)
    inflater = isal_zlib.decompressobj()
    try:
        lines = inflater.decompress(compressed, num_bytes + 1)  # compares the Adler-32 at the end
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub takes the class for an instance
        raise ValueError(f"not a whole PNG: {error}") from None
    if not inflater.eof or inflater.unused_data or len(lines) != num_bytes:
        raise ValueError("not a whole PNG: its pixels are not as many as its header says")
    return lines


def _decode_by_pillow(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Decode a PNG, whose chunks are whole, that filters its lines or is of another kind than ours."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's words for a damaged PNG
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
    """The first line that is not all paper, and the one behind the last such; 0 and 0 where there is none."""
    height, width = picture.shape
    flat = np.ascontiguousarray(picture).reshape(-1)
    words = flat.view(np.uint64) if width % 8 == 0 else flat  # eight pixels at a time
    # bytes are searched backward as fast as forward, arrays are not
    has_ink = (words != int.from_bytes(bytes([paper]) * words.itemsize)).tobytes()
    first, last = has_ink.find(1), has_ink.rfind(1)
    words_per_line = len(words) // height
    return (first // words_per_line, last // words_per_line + 1) if first >= 0 else (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paper:
    """Lines of nothing but paper. deflated: as blocks that others may follow; deflated_last: as the stream's last."""

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


def _joined_adler32(adler32: int, behind: _Paper) -> int:
    """The checksum of what has `adler32` and the paper behind it (RFC 1950: two sums modulo a prime)."""
    low = (adler32 & 0xFFFF) + (behind.adler32 & 0xFFFF) - 1
    high = (adler32 >> 16) + (behind.adler32 >> 16) + behind.num_bytes * ((adler32 & 0xFFFF) - 1)
    return (high % _ADLER_PRIME) << 16 | low % _ADLER_PRIME


def _deflate(data: bytes | memoryview, *, last: bool, level: int = 3, strategy: int = zlib.Z_RLE) -> bytes:
    """Deflate blocks that end on a whole byte, so that others may follow; the `last` ones end the stream."""
    deflater = zlib_ng.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return deflater.compress(data) + deflater.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
