"""Hostile requests: each kind is made at random, with its right statuses."""

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

CROSS = json.dumps({"strokes": [[[0, 0], [10, 12]], [[10, 0], [0, 12]]]}).encode()


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A request as bytes.

    Attributes:
        kind: Name of the attack.
        pieces: Sent in turn, `pause_s` apart; at an empty one the client disconnects.
        statuses: The right statuses; 0 means that the connection is closed without an answer.
        pause_s: Pause after each piece.
    """

    kind: str
    pieces: list[bytes]
    statuses: frozenset[int]
    pause_s: float = 0.0


def request(body: bytes, content_type: str, *, length: int | None = None) -> bytes:
    """Make a POST that claims `length` bytes (default: its real length)."""
    head = f"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def picture(rng: random.Random, kind: str = "PNG") -> bytes:
    """Make a small image that is not blank."""
    image = Image.new("L", (rng.randrange(20, 200), rng.randrange(20, 200)), 255)
    image.paste(0, (5, 5, 15, rng.randrange(7, 19)))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def broken_image(rng: random.Random) -> Attack:
    """Cut an image off and change bytes; it may still be valid."""
    data = bytearray(picture(rng, rng.choice(("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"))))
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    content = bytes(data[: rng.randrange(1, len(data) + 1)])
    return Attack(kind="broken image", pieces=[request(content, "image/png")], statuses=frozenset({200, 413, 415, 422}))


def bomb(rng: random.Random) -> Attack:
    """Make kilobytes that would decode to gigabytes of pixels."""
    width_px, height_px = rng.choice(((50_000, 50_000), (2**31 - 1, 1), (20_000, 20_000), (9_000, 9_000)))
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    pieces = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in pieces
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    return Attack(kind="bomb", pieces=[request(png, "image/png")], statuses=frozenset({413}))


def claim(rng: random.Random) -> Attack:
    """Claim a gigabyte, and send little or nothing of it."""
    sent = bytes(rng.choice((0, 10, 100_000)))
    return Attack(kind="claim of 1 GB", pieces=[request(sent, "image/png", length=10**9)], statuses=frozenset({413}))


def flood(_: random.Random) -> Attack:
    """Send chunks without end."""
    head = b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    return Attack(kind="chunked flood", pieces=[head] + [chunk] * 12, statuses=frozenset({413}))


def slow(rng: random.Random) -> Attack:
    """Send a body or a head at one byte per second."""
    whole = request(CROSS, "application/json")
    start = rng.choice((30, len(whole) - len(CROSS) + 3))
    drips = [whole[start + n : start + n + 1] for n in range(20)]
    return Attack(kind="slow", pieces=[whole[:start], *drips], statuses=frozenset({0, 408}), pause_s=1.0)


def malformed(rng: random.Random) -> Attack:
    """Send invalid, deeply nested or wrongly structured JSON."""
    body = rng.choice(
        (CROSS[: rng.randrange(len(CROSS))], b"[" * 100_000, b'{"strokes": {}}', b"\xff\xfe{", b"[[[[1]]]]")
    )
    statuses = frozenset({400, 422})
    return Attack(kind="malformed JSON", pieces=[request(body, "application/json")], statuses=statuses)


def not_a_number(rng: random.Random) -> Attack:
    """Send strokes with coordinates that are not numbers."""
    value = rng.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 400, b"null", b'"1"'))
    body = b'{"strokes": [[[0, 0], [' + value + b", 1]]]}"
    return Attack(kind="NaN strokes", pieces=[request(body, "application/json")], statuses=frozenset({422}))


def too_much(rng: random.Random) -> Attack:
    """Send more points, strokes or items than allowed."""
    stroke = [[n % 100, n % 37] for n in range(60_000)]
    image = base64.b64encode(picture(rng)).decode()
    content = rng.choice(({"strokes": [stroke]}, {"strokes": [[[0, 0]]] * 2_500}, [{"image": image}] * 33))
    body = json.dumps(content).encode()
    return Attack(kind="too much", pieces=[request(body, "application/json")], statuses=frozenset({413, 422}))


def xml(rng: random.Random) -> Attack:
    """Send entities, deep nesting, and XML that is not InkML."""
    laughs = b'<!DOCTYPE ink [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><ink><trace>&b;</trace></ink>'
    body = rng.choice((laughs, b"<a>" * 50_000, b"<svg/>", b"<ink><trace>1 2, x</trace></ink>", b"<ink>\0</ink>"))
    return Attack(kind="hostile XML", pieces=[request(body, "application/inkml+xml")], statuses=frozenset({422}))


def not_http(rng: random.Random) -> Attack:
    """Send random bytes, or disconnect halfway."""
    data = rng.choice(
        (rng.randbytes(200) + b"\r\n\r\n", b"GET / HTTP/x\r\n\r\n", request(b"x" * 10, "image/png", length=99))
    )
    return Attack(kind="not HTTP, or gone", pieces=[data, b""], statuses=frozenset({0, 400}))


Maker = Callable[[random.Random], Attack]

KINDS: dict[Maker, int] = {
    broken_image: 30, bomb: 10, claim: 10, flood: 2, slow: 2, malformed: 15, not_a_number: 15, too_much: 4, xml: 10,
    not_http: 10,
}  # fmt: skip
"""Relative frequency of each kind."""
