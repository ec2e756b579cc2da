"""Documents of absurd size and depth: of a million elements, a hundred thousand levels, 50 MB."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from benchmarks.destroy.damage import Mutant

FIFTY_MB = 50_000_000
ALLOWED_BYTES = 7_900_000
"""As much as `ingest.max_file_bytes` lets through by default."""

Body = Callable[[int, Random], bytes]


def _numbered(pattern: bytes) -> Body:
    """Repeat a pattern that holds a number until `num_bytes` are full."""

    def body(num_bytes: int, _rng: Random) -> bytes:
        count = num_bytes // (len(pattern) + 5)
        return b"".join(pattern % number for number in range(count))

    return body


def _repeated(pattern: bytes) -> Body:
    return lambda num_bytes, _rng: pattern * (num_bytes // len(pattern))


def _within(opening: bytes, inner: Body, closing: bytes) -> Body:
    return lambda num_bytes, rng: opening + inner(num_bytes, rng) + closing


def _scribble(num_bytes: int, rng: Random) -> bytes:
    """As many points as are allowed, each a canvas away from the last: nothing can be thinned."""
    count = min(num_bytes // 12, 199_000)
    return (
        b"<trace>"
        + ",".join(f"{rng.randrange(9999)} {rng.randrange(9999)}" for _ in range(count)).encode()
        + b"</trace>"
    )


BODIES: Mapping[str, Body] = {
    "points": _within(b"<trace>", _repeated(b"1.25 2.5,"), b"</trace>"),
    "values of one point": _within(b"<trace>", _repeated(b"1 "), b"</trace>"),
    "digits of one number": _within(b"<trace>1 ", _repeated(b"7"), b"</trace>"),
    "zeros behind a point": _within(b"<trace>1 0.", _repeated(b"0"), b"1</trace>"),
    "spaces in a trace": _within(b"<trace>1", _repeated(b" "), b"2</trace>"),
    "commas": _within(b"<trace>1 2", _repeated(b","), b"</trace>"),
    "scribble": _scribble,
    "dots": _numbered(b"<trace>%d 1</trace>"),
    "empty traces": _repeated(b"<trace/>"),
    "elements": _repeated(b"<a/>"),
    "attributes": _within(b"<t ", _numbered(b"a%d='' "), b"/>"),
    "equal attributes": _within(b"<t ", _repeated(b"a='' "), b"/>"),
    "namespaces": _within(b"<t ", _numbered(b"xmlns:n%d='u' "), b"/>"),
    "prefixes": _numbered(b"<n%d:a/>"),
    "annotations": _numbered(b"<annotation type='%d'>x</annotation>"),
    "label": _within(b"<annotation type='truth'>", _repeated(b"\\frac{"), b"</annotation>"),
    "writer": _within(b"<annotation type='writer'>", _repeated(b"w"), b"</annotation>"),
    "tag name": _within(b"<", _repeated(b"n"), b"/>"),
    "attribute value": _within(b"<trace type='", _repeated(b"v"), b"'>1 2</trace>"),
    "comments": _repeated(b"<!---->"),
    "one comment": _within(b"<!--", _repeated(b"c"), b"-->"),
    "instructions": _repeated(b"<?a?>"),
    "character references": _within(b"<trace>", _repeated(b"&#49; &#50;,"), b"</trace>"),
    "CDATA sections": _within(b"<trace>", _repeated(b"<![CDATA[1 2,]]>"), b"</trace>"),
    "comments in a trace": _within(b"<trace>", _repeated(b"1<!----> 2,"), b"</trace>"),
    "channels": _within(b"<traceFormat>", _numbered(b"<channel name='%d'/>"), b"</traceFormat>"),
    "faulty ids": _repeated(b"<a xml:id='1'/>"),
    "stray brackets": _repeated(b"< "),
    "stray ampersands": _repeated(b"& "),
    "forbidden characters": _repeated(b"&#1;"),
    "levels": _repeated(b"<traceGroup>"),
    "nested traces": lambda n, _rng: b"<trace>" * 200 + b"1 2 " * (n // 4) + b"</trace>" * 200,
    "nested traces with points": lambda n, _rng: b"<trace>1 2," * 250 + b"3 4," * min(n // 4, 700) + b"</trace>" * 250,
    "nested traces with points each": lambda n, _rng: b"<trace>" * 200 + b"<i>1</i> " * (n // 9) + b"</trace>" * 200,
}
_LABEL = b"<annotation type='truth'>x</annotation>"


def giants(rng: Random, _sound: Sequence[bytes]) -> Mutant:
    """Documents as large as is allowed, or somewhat smaller, made of one thing."""
    body = BODIES[rng.choice(sorted(BODIES))]
    num_bytes = rng.choice((100_000, 1_000_000, ALLOWED_BYTES))
    return Mutant(data=b"<ink>" + _LABEL + body(num_bytes, rng) + b"<trace>1 2</trace></ink>")


def fifty_megabytes(rng: Random, _sound: Sequence[bytes]) -> Mutant:
    """The same at 50 MB: rejected for their size."""
    body = BODIES[rng.choice(sorted(set(BODIES) - {"scribble", "nested traces with points"}))]
    return Mutant(data=b"<ink>" + _LABEL + body(FIFTY_MB, rng) + b"</ink>", expected="rejected")


def levels(rng: Random, _sound: Sequence[bytes]) -> Mutant:
    """Elements inside elements: a few levels are read, a hundred thousand are rejected."""
    name = rng.choice((b"traceGroup", b"trace", b"a", b"ink", b"annotation", b"n:g"))
    depth = rng.choice((10, 100, 250, 256, 257, 1000, 100_000))
    closing = (b"</" + name + b">") * rng.choice((depth, depth - 1, 0))
    inside = b"<trace>1 2, 3 4</trace>"
    return Mutant(data=b"<ink>" + _LABEL + (b"<" + name + b">") * depth + inside + closing + b"</ink>")
