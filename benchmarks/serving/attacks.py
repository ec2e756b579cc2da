"""What hostile clients send: each kind at random from a generator, with the statuses that are right for it."""

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

    pieces: sent one after another, `pause_s` apart; at an empty one the client leaves. statuses: that are right; 0
    stands for a connection that is closed without an answer.
    """

    kind: str
    pieces: list[bytes]
    statuses: frozenset[int]
    pause_s: float = 0.0


def request(body: bytes, content_type: str, *, length: int | None = None) -> bytes:
    """A POST that claims `length` bytes, its own if not given."""
    head = f"POST /recognize HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def picture(rng: random.Random, kind: str = "PNG") -> bytes:
    """A small image with something on it."""
    image = Image.new("L", (rng.randrange(20, 200), rng.randrange(20, 200)), 255)
    image.paste(0, (5, 5, 15, rng.randrange(7, 19)))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def broken_image(rng: random.Random) -> Attack:
    """Cut off, or with bytes changed; what is left may still be an image."""
    data = bytearray(picture(rng, rng.choice(("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"))))
    for _ in range(rng.randrange(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    content = bytes(data[: rng.randrange(1, len(data) + 1)])
    return Attack(kind="broken image", pieces=[request(content, "image/png")], statuses=frozenset({200, 413, 415, 422}))


def bomb(rng: random.Random) -> Attack:
    """Some kilobytes that would be gigabytes of pixels."""
    width_px, height_px = rng.choice(((50_000, 50_000), (2**31 - 1, 1), (20_000, 20_000), (9_000, 9_000)))
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    pieces = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in pieces
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    return Attack(kind="bomb", pieces=[request(png, "image/png")], statuses=frozenset({413}))


def claim(rng: random.Random) -> Attack:
    """A gigabyte that never comes, or comes for a while."""
    sent = bytes(rng.choice((0, 10, 100_000)))
    return Attack(kind="claim of 1 GB", pieces=[request(sent, "image/png", length=10**9)], statuses=frozenset({413}))


def flood(_: random.Random) -> Attack:
    """Chunks without an announced end."""
    head = b"POST /recognize HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    return Attack(kind="chunked flood", pieces=[head] + [chunk] * 12, statuses=frozenset({413}))


def slow(rng: random.Random) -> Attack:
    """A body, or a head, that comes a byte a second."""
    whole = request(CROSS, "application/json")
    start = rng.choice((30, len(whole) - len(CROSS) + 3))
    drips = [whole[start + n : start + n + 1] for n in range(20)]
    return Attack(kind="slow", pieces=[whole[:start], *drips], statuses=frozenset({0, 408}), pause_s=1.0)


def malformed(rng: random.Random) -> Attack:
    """JSON that is none, too deep, or of another shape."""
    body = rng.choice(
        (CROSS[: rng.randrange(len(CROSS))], b"[" * 100_000, b'{"strokes": {}}', b"\xff\xfe{", b"[[[[1]]]]")
    )
    statuses = frozenset({400, 422})
    return Attack(kind="malformed JSON", pieces=[request(body, "application/json")], statuses=statuses)


def not_a_number(rng: random.Random) -> Attack:
    """Strokes with coordinates that are no numbers."""
    value = rng.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 400, b"null", b'"1"'))
    body = b'{"strokes": [[[0, 0], [' + value + b", 1]]]}"
    return Attack(kind="NaN strokes", pieces=[request(body, "application/json")], statuses=frozenset({422}))


def too_much(rng: random.Random) -> Attack:
    """More points, strokes or items than are taken."""
    stroke = [[n % 100, n % 37] for n in range(60_000)]
    image = base64.b64encode(picture(rng)).decode()
    content = rng.choice(({"strokes": [stroke]}, {"strokes": [[[0, 0]]] * 2_500}, [{"image": image}] * 33))
    body = json.dumps(content).encode()
    return Attack(kind="too much", pieces=[request(body, "application/json")], statuses=frozenset({413, 422}))


def xml(rng: random.Random) -> Attack:
    """Entities, depth, and what is no InkML."""
    laughs = b'<!DOCTYPE ink [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><ink><trace>&b;</trace></ink>'
    body = rng.choice((laughs, b"<a>" * 50_000, b"<svg/>", b"<ink><trace>1 2, x</trace></ink>", b"<ink>\0</ink>"))
    return Attack(kind="hostile XML", pieces=[request(body, "application/inkml+xml")], statuses=frozenset({422}))


def no_http(rng: random.Random) -> Attack:
    """Bytes, or a client that leaves in the middle."""
    data = rng.choice(
        (rng.randbytes(200) + b"\r\n\r\n", b"GET / HTTP/x\r\n\r\n", request(b"x" * 10, "image/png", length=99))
    )
    return Attack(kind="no HTTP, or gone", pieces=[data, b""], statuses=frozenset({0, 400}))


Maker = Callable[[random.Random], Attack]

KINDS: dict[Maker, int] = {
    broken_image: 30, bomb: 10, claim: 10, flood: 2, slow: 2, malformed: 15, not_a_number: 15, too_much: 4, xml: 10,
    no_http: 10,
}  # fmt: skip
"""How often each is chosen, relative to the others."""
