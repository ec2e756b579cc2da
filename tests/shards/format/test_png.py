"""PNG: what was drawn is what the model sees, or an error; never other pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from zlib_ng import zlib_ng

from latexify.shards.format.png import MAX_SIDE_PX, decode_png, decode_png_into, encode_coverage, encode_png

any_pixels = npst.arrays(
    np.uint8,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=70),
    elements=st.integers(0, 255),
    fill=st.sampled_from([0, 255]),
)


def ink_on_paper() -> np.ndarray:
    """A picture as they are drawn: a few strokes, paper around them."""
    pixels = np.full((40, 90), 255, dtype=np.uint8)
    pixels[12:25, 20:24] = pixels[18:21, 10:70] = 0
    pixels[25, 20:24] = 130
    return pixels


def by_pillow(pixels: np.ndarray, **options: object) -> bytes:
    """The same picture as Pillow writes it: with adaptive filters, in other chunks."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with the right CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(lines: bytes, height: int, width: int, *, parts: int = 1) -> bytes:
    """A grey PNG of these filtered lines, whether or not they fit its header, in several IDAT chunks."""
    compressed = zlib.compress(lines)
    size = -(-len(compressed) // parts)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"".join(chunk(b"IDAT", compressed[start : start + size]) for start in range(0, len(compressed), size))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + content + chunk(b"IEND", b"")


@settings(max_examples=100, deadline=None)
@given(pixels=any_pixels)
def test_every_picture_returns_and_other_programs_read_it(pixels: np.ndarray) -> None:
    """Every picture, of any size, reaches the model as it was drawn; people open shards with other tools."""
    data = encode_png(pixels)
    assert np.array_equal(decode_png(data), pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.mode, image.size) == ("L", pixels.shape[::-1])
        assert np.array_equal(np.asarray(image), pixels)


@settings(max_examples=100, deadline=None)
@given(pixels=any_pixels)
def test_coverage_is_encoded_as_the_picture_that_it_makes(pixels: np.ndarray) -> None:
    """`rasterize` encodes what cairo leaves; a shard would hold a negative, or other bytes than the same picture's."""
    assert encode_coverage(255 - pixels) == encode_png(pixels)


@settings(max_examples=50, deadline=None)
@given(pixels=any_pixels, optimize=st.booleans())
def test_png_of_other_programs_is_read_as_pillow_reads_it(*, pixels: np.ndarray, optimize: bool) -> None:
    """Shards that were made by other tools, or by older versions of ours, must not look otherwise."""
    assert np.array_equal(decode_png(by_pillow(pixels, optimize=optimize)), pixels)


def test_several_data_chunks_are_one_stream() -> None:
    """Most programs cut the data into chunks of 8 or 64 KiB."""
    pixels = ink_on_paper()
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    assert np.array_equal(decode_png(png_of(lines, 40, 90, parts=3)), pixels)


def test_paper_costs_next_to_nothing() -> None:
    """Most of a large canvas is paper: shards would be several times as large."""
    pixels = np.full((384, 384), 255, dtype=np.uint8)
    assert len(encode_png(pixels)) < 700
    pixels[190] = 0
    assert len(encode_png(pixels)) < 700


def test_decoding_fills_one_place_of_a_batch_and_no_other() -> None:
    """Samples of a batch would overwrite each other."""
    batch = np.full((3, 40, 90), 7, dtype=np.uint8)
    for data in (encode_png(ink_on_paper()), by_pillow(ink_on_paper())):
        decode_png_into(data, batch[1])
        assert np.array_equal(batch[1], ink_on_paper())
        assert (batch[::2] == 7).all()
        batch[1] = 7


def test_a_picture_of_another_size_is_refused() -> None:
    """It would be spread over the lines of its place in the batch, or leave a part of it as it was."""
    with pytest.raises(ValueError, match="40 x 90 pixels, expected 40 x 91"):
        decode_png_into(encode_png(ink_on_paper()), np.empty((40, 91), dtype=np.uint8))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), foreign=st.booleans())
def test_damage_is_an_error_or_does_no_harm(*, data: st.DataObject, foreign: bool) -> None:
    """Training would go on with wrong pixels; Pillow alone does not compare the CRC of the picture."""
    pixels = ink_on_paper()
    damaged = bytearray(by_pillow(pixels) if foreign else encode_png(pixels))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_png(bytes(damaged))
    except ValueError:
        return
    assert np.array_equal(found, pixels)


@settings(max_examples=60, deadline=None)
@given(keep=st.floats(0, 1, exclude_max=True), foreign=st.booleans())
def test_what_is_cut_off_is_refused(*, keep: float, foreign: bool) -> None:
    """The lower half of the picture would be taken for paper, or for what was in memory."""
    whole = by_pillow(ink_on_paper()) if foreign else encode_png(ink_on_paper())
    with pytest.raises(ValueError, match="PNG"):
        decode_png(whole[: int(keep * len(whole))])


@pytest.mark.parametrize("lines", [b"", b"\0" * 91 * 39, b"\0" * 91 * 41, b"\0" * (91 * 40 + 1)])
def test_too_few_or_too_many_pixels_are_refused(lines: bytes) -> None:
    """A header that promises another picture: what is missing would be what was in memory."""
    with pytest.raises(ValueError, match="number of pixels"):
        decode_png(png_of(lines, 40, 90))


def test_a_bomb_is_not_unpacked() -> None:
    """A few kilobytes that unpack to gigabytes would kill the trainer, or the machine."""
    with pytest.raises(ValueError, match="number of pixels"):
        decode_png(png_of(bytes(200_000_000), 40, 90))
    with pytest.raises(ValueError, match=f"to {MAX_SIDE_PX} x {MAX_SIDE_PX}"):
        decode_png(png_of(b"", 100_000, 100_000))


def test_wrong_checksum_of_the_pixels_is_refused() -> None:
    """The CRC can be right and the stream wrong, where a program wrote both from damaged memory."""
    lines = np.pad(ink_on_paper(), ((0, 0), (1, 0))).tobytes()
    compressed = bytearray(zlib.compress(lines))
    compressed[-1] ^= 1
    header = struct.pack(">IIBBBBB", 90, 40, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", bytes(compressed)) + chunk(b"IEND", b"")
    with pytest.raises(ValueError, match="checksum"):
        decode_png(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("mode", ["RGB", "P", "1", "LA", "I;16"])
def test_png_of_another_kind_is_refused(mode: str) -> None:
    """A colour picture would give batches of another shape, or its palette's numbers for darkness."""
    buffer = io.BytesIO()
    Image.new(mode, (3, 2)).save(buffer, "PNG")
    with pytest.raises(ValueError, match=f"mode {mode}"):
        decode_png(buffer.getvalue())


@given(
    pixels=npst.arrays(
        np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 90)), elements=st.sampled_from([0, 9, 255])
    )
)
def test_zlib_ng_compresses_to_the_bytes_of_zlib(pixels: np.ndarray) -> None:
    """Its run-length strategy is promised to look nothing up; else shards would depend on the processor."""
    ours = zlib_ng.compressobj(3, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    theirs = zlib.compressobj(3, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    data = pixels.tobytes()
    assert ours.compress(data) + ours.flush() == theirs.compress(data) + theirs.flush()
