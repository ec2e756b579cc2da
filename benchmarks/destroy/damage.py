"""Damage to the bytes and to the elements of sound InkML."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from benchmarks.destroy import texts

Expected = Literal["any", "rejected", "row", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A file, and what may become of it.

    expected: `same`: the strokes and the label of `base`. `row`: an ink. `rejected`: no ink, for what is left is not
        what was written. `any`: either.
    """

    data: bytes
    expected: Expected = "any"
    base: bytes = b""


Mutation = Callable[[Random, Sequence[bytes]], Mutant]

_TAG = re.compile(rb"<[^<>]*>")
_LEAF = re.compile(rb"<([\w:]+)\b[^<>]*>[^<>]*</\1>")
_LABEL = re.compile(
    rb"(<(?:\w+:)?annotation[^>]*type=.(?:truth|label|normalizedLabel).[^>]*>)(?:[^<]|<!\[CDATA\[.*?\]\]>)*(?=</)"
)
_TRACE = re.compile(rb"(?<=>)[^<>]*\d[^<>]*(?=</(?:\w+:)?trace>)")
_NUMERAL = re.compile(rb"[^\s,]+")
_ROOT = re.compile(rb"<(?:\w+:)?ink\b[^>]*>")
_PLACES = re.compile(rb"(?<=[^?\]]>)(?=\s*<)")
_NOISE_BYTES = (
    b"<",
    b">",
    b"&",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"'",
    b'"',
    b"%",
    b"\n",
    b"/",
)


def truncated(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """A file that breaks off before its root ends."""
    data = rng.choice(sound)
    return Mutant(data=data[: rng.randint(0, data.rindex(b"</"))], expected="rejected")


def flipped_bits(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """One to a few hundred bits turned over."""
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 2, 5, 20, 300))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return Mutant(data=bytes(data))


def inserted_bytes(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Random bytes, or ones that mean something in XML, put in between."""
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 3, 30))):
        place = rng.randrange(len(data) + 1)
        data[place:place] = rng.choice((rng.randbytes(rng.randint(1, 20)), rng.choice(_NOISE_BYTES)))
    return Mutant(data=bytes(data))


def deleted_bytes(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Ranges of bytes gone."""
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 3, 10))):
        place = rng.randrange(len(data) + 1)
        del data[place : place + rng.choice((1, 2, 10, 500))]
    return Mutant(data=bytes(data))


def overwritten_range(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """A range of random bytes, zeros, or another part of the file."""
    data = bytearray(rng.choice(sound))
    start, length = rng.randrange(len(data)), rng.choice((1, 16, 512, 4096))
    other = rng.randrange(len(data))
    length = min(length, len(data) - start)
    filling = rng.choice((rng.randbytes(length), bytes(length), bytes(data[other : other + length])))
    data[start : start + length] = filling
    return Mutant(data=bytes(data))


def spliced_files(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """The beginning of one file with the end of another, or files one after another."""
    first, second = rng.choice(sound), rng.choice(sound)
    if rng.random() < 0.3:
        return Mutant(data=first + second, expected="rejected")
    return Mutant(data=first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :])


def blank(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Nothing, white space, zeros, random bytes, a mark alone, or text that is no XML."""
    length = rng.choice((0, 1, 7, 512, 100_000))
    other = (
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\0\0\xfe\xff",
        b"PK\3\4",
        b"{}",
        b"<",
        b"<ink",
        b"<ink/>",
        b"<?xml?>",
        b"\x1f\x8b",
    )
    signs = rng.choices(b" \t\r\n", k=length)
    texts = (bytes(signs), bytes(length), rng.randbytes(length), rng.choice(sound)[:3] * length, *other)
    return Mutant(data=rng.choice(texts), expected="rejected")


def changed_elements(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Elements doubled, moved, or put into another."""
    data = rng.choice(sound)
    for _ in range(rng.randint(1, 3)):
        leaves = [match.span() for match in _LEAF.finditer(data)]
        if not leaves:
            break
        start, end = rng.choice(leaves)
        place = rng.choice(leaves)[rng.randrange(2)] if rng.random() < 0.5 else rng.choice(leaves)[0]
        element = data[start:end] * rng.choice((1, 1, 2, 50))
        if rng.random() < 0.3:
            inner = data.index(b">", place) + 1 if place in dict(leaves) else place
            place = inner
        data = data[:place] + element + data[place:]
    return Mutant(data=data)


def changed_tags(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Tags lost, doubled, exchanged or renamed, attributes doubled or broken."""
    data = rng.choice(sound)
    for _ in range(rng.randint(1, 3)):
        tags = [match.span() for match in _TAG.finditer(data)]
        if len(tags) < 2:
            break
        (start, end), (other_start, other_end) = sorted(rng.sample(tags, 2))
        first, between, second = data[start:end], data[end:other_start], data[other_start:other_end]
        changes = (
            between + second,
            second + between + first,
            first * 2 + between + second,
            first.replace(b"trace", rng.choice((b"Trace", b"x", b"traceGroup", b"ink", b"annotation")))
            + between
            + second,
            first.replace(b"=", b"= ''", 1) + between + second,
            first.replace(b" ", b" type='penUp' ", 1) + between + second,
            first.replace(b'"', b"", 1) + between + second,
            first.replace(b"<", b"<a:", 1) + between + second,
        )
        data = data[:start] + rng.choice(changes) + data[other_end:]
    return Mutant(data=data)


def ragged_points(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Values lost or doubled, commas lost, doubled or written in another way."""
    data = rng.choice(sound)
    match = _pick(rng, _TRACE, data)
    if match is None:
        return Mutant(data=data)
    text = match[0]
    for _ in range(rng.randint(1, 4)):
        values = [found.span() for found in _NUMERAL.finditer(text)]
        start, end = rng.choice(values) if values else (0, 0)
        choices = (b"", text[start:end] + b" " + text[start:end], b",", b",,", b"; 1", b"*", b"'1'2", b"!3", b" " * 999)
        text = text[:start] + rng.choice(choices) + text[end:]
    if rng.random() < 0.1:
        text = text.replace(b",", rng.choice((b" ", b";", b"\n", b", ,", b"\xef\xbc\x8c")))
    return Mutant(data=data[: match.start()] + text + data[match.end() :])


def finite_numbers(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Numbers in every allowed form."""
    return _with_numeral(rng, sound, texts.finite_numeral(rng), expected="row")


def broken_numbers(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """One coordinate that is no number, or too large."""
    return _with_numeral(rng, sound, texts.broken_numeral(rng), expected="rejected")


def coded_numbers(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """A coded value where a plain one was."""
    return _with_numeral(rng, sound, texts.coded_numeral(rng), expected="any")


def differences(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """The x and y of all traces as first differences: the same ink."""
    base = _with_plain_traces(rng, sound)
    order = rng.choice(("'", '"'))

    def encode(match: re.Match[bytes]) -> bytes:
        points = [point.split() for point in match[0].decode().split(",") if point.strip()]
        return escape(texts.as_differences(points, order=order)).encode()

    return Mutant(data=_TRACE.sub(encode, base), expected="same", base=base)


def contexts(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Contexts, references and views around the traces, sound or not."""
    data = _with_plain_traces(rng, sound)
    root = _ROOT.search(data)
    assert root is not None
    added = texts.context(rng).encode()
    if rng.random() < 0.3:
        data = data.replace(b"<trace ", b"<trace continuation='%s' " % rng.choice((b"begin", b"middle", b"end")), 2)
    return Mutant(data=data[: root.end()] + added + data[root.end() :])


def comma_decimals(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Decimal commas, which also separate points."""
    numbers = [f"{rng.randrange(100)},{rng.randrange(100)}" for _ in range(2 * rng.randint(1, 20))]
    points = ", ".join(" ".join(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    return _with_trace(rng, sound, points, expected="rejected")


def other_labels(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """LaTeX that is broken, nested, foreign, or far too long; in valid XML."""
    data = rng.choice(sound)
    match = _LABEL.search(data)
    if match is None:
        return Mutant(data=data)
    old = re.sub(rb"<!\[CDATA\[|\]\]>", b"", match[0][len(match[1]) :]).decode("utf-8", "replace")
    make = rng.choice((None, None, None, texts.token_soup, texts.token_soup, texts.nested_label, texts.foreign_label))
    if rng.random() < 0.03:
        make = texts.long_label
    label = make(rng) if make else texts.broken_label(rng, old)
    written = escape(label).encode("utf-8", "replace")
    return Mutant(data=data[: match.start()] + match[1] + written + data[match.end() :])


def dressed(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Comments, processing instructions and unknown elements between elements: nothing that is ink."""
    base = data = rng.choice(sound)
    root = _ROOT.search(data)
    assert root is not None
    inside = (root.end() - 1, data.rindex(b"</"))
    places = [match.start() for match in _PLACES.finditer(data, *inside)]
    for place in sorted(rng.sample(places, min(3, len(places))), reverse=True):
        noise = (
            b"<!-- <trace>1 2</trace> -->",
            b"<?pen <trace>1 2</trace>?>",
            b"<unknown a='1'/>",
            b"\r\n\t",
            b"<!--" + b"x" * 9999 + b"-->",
        )
        data = data[:place] + rng.choice(noise) + data[place:]
    return Mutant(data=data, expected="same", base=base)


def other_namespace(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Another namespace, none, or more of them than are used."""
    base = rng.choice(sound)
    name = b'xmlns="http://www.w3.org/2003/InkML"'
    spelt = (b"", b'xmlns="urn:other"', b"xmlns=" + quoteattr("\u05d0 \u2026").encode(), name + b' xmlns:q="urn:q"')
    return Mutant(data=base.replace(name, rng.choice(spelt), 1), expected="same", base=base)


def _pick(rng: Random, pattern: re.Pattern[bytes], data: bytes) -> re.Match[bytes] | None:
    matches = list(pattern.finditer(data))
    return rng.choice(matches) if matches else None


def _with_numeral(rng: Random, sound: Sequence[bytes], numeral: str, *, expected: Expected) -> Mutant:
    """Write `numeral` for one value of one trace that is ink."""
    data = _with_plain_traces(rng, sound)
    trace = _pick(rng, _TRACE, data)
    assert trace is not None
    start, end = rng.choice([found.span() for found in _NUMERAL.finditer(trace[0])])
    text = trace[0][:start] + escape(numeral).encode() + trace[0][end:]
    return Mutant(data=data[: trace.start()] + text + data[trace.end() :], expected=expected)


def _with_trace(rng: Random, sound: Sequence[bytes], text: str, *, expected: Expected) -> Mutant:
    data = _with_plain_traces(rng, sound)
    trace = _pick(rng, _TRACE, data)
    assert trace is not None
    return Mutant(data=data[: trace.start()] + text.encode() + data[trace.end() :], expected=expected)


def _with_plain_traces(rng: Random, sound: Sequence[bytes]) -> bytes:
    """A file all of whose traces are ink, in UTF-8."""
    return rng.choice([data for data in sound if b"penUp" not in data and b"\xb7" not in data and _TRACE.search(data)])
