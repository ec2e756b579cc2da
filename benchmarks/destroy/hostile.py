"""Files made to harm: entity bombs, external entities, encodings that lie, and documents of absurd size."""

import codecs
from collections.abc import Sequence
from random import Random

from benchmarks.destroy.damage import Expected, Mutant

LURE_URL = "http://lure.invalid/ink"
"""Stands for the address of the loopback server that nobody may contact; put in place of it before a file is read."""
LURE_FILE = "file:///lure.invalid"
"""Stands for a file whose content may appear nowhere."""

_DEFAULT_TRACE = "<trace>1 2, 3 4</trace>"
_DECLARED = (
    "utf-8", "UTF-16", "utf-16-le", "UTF-32", "ISO-8859-1", "latin1", "windows-1252", "us-ascii", "shift_jis",
    "gb18030", "big5", "euc-kr", "koi8-r", "utf-7", "utf-8-sig", "punycode", "idna", "unicode_escape",
    "raw_unicode_escape", "rot13", "zlib", "hex", "base64", "undefined", "mbcs", "cp65001", "cp500", "iso2022_jp",
    "ucs-4", "no-such", "mac-roman", "..", "utf_8.py", "charmap", "palmos", "ebcdic-cp-us", "a" * 150,
)  # fmt: skip


def entity_bombs(rng: Random, _sound: Sequence[bytes]) -> Mutant:
    """Billion laughs, quadratic blow-up, recursive and parameter entities, in any encoding."""
    levels, width = rng.choice(((10, 10), (30, 10), (3, 1000), (60, 2))), rng.choice((1, 100, 50_000))
    depth, fan = levels
    laughs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * fan}">' for n in range(1, depth))
    declared = rng.choice(
        (
            f'<!ENTITY e0 "{"ha" * width}">{laughs}',
            f'<!ENTITY e{depth - 1} "{"A" * width}">',
            f'<!ENTITY e{depth - 1} "&e{depth - 1};">',
            f"<!ENTITY % p \"<!ENTITY e{depth - 1} 'x'>\"> %p;",
            f'<!ENTITY % a "%b;"><!ENTITY % b "%a;"> %a;<!ENTITY e{depth - 1} "x">',
        )
    )
    uses = f"&e{depth - 1};" * rng.choice((1, 50_000))
    where = rng.choice((f'<ink a="{uses}">{_DEFAULT_TRACE}', f"<ink>{_annotation(uses)}{_DEFAULT_TRACE}"))
    return Mutant(data=_encoded(rng, f"<!DOCTYPE ink [{declared}]>{where}</ink>"), expected="rejected")


def external_references(rng: Random, _sound: Sequence[bytes]) -> Mutant:
    """Whatever could make a parser open a file or an address."""
    target = rng.choice(
        (LURE_URL, LURE_FILE, "file:///etc/passwd", "/etc/passwd", "jar:" + LURE_URL, "php://filter/read=x")
    )
    cases: tuple[tuple[str, str, Expected], ...] = (
        (f'<!DOCTYPE ink SYSTEM "{target}">', "", "rejected"),
        (f'<!DOCTYPE ink PUBLIC "-//W3C//DTD INKML" "{target}">', "", "rejected"),
        (f'<!DOCTYPE ink [<!ENTITY x SYSTEM "{target}">]>', _annotation("&x;"), "rejected"),
        (f'<!DOCTYPE ink [<!ENTITY x SYSTEM "{target}">]>', "<trace>&x;</trace>", "rejected"),
        (f'<!DOCTYPE ink [<!ENTITY % x SYSTEM "{target}"> %x;]>', _annotation("x"), "rejected"),
        (f'<!DOCTYPE ink [<!NOTATION n SYSTEM "{target}">]>', _annotation("x"), "any"),
        ("<!DOCTYPE ink [%undeclared;]>", _annotation("a&x;b"), "rejected"),
        (f'<?xml-stylesheet type="text/xsl" href="{target}"?>', _annotation("x"), "row"),
        ("", f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{target}" parse="text"/>', "any"),
        ("", f'<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="u {target}"/>', "any"),
    )
    prologue, body, expected = rng.choice(cases)
    return Mutant(data=f"{prologue}<ink>{body}{_DEFAULT_TRACE}</ink>".encode(), expected=expected)


def right_encodings(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """The same text in another encoding that a mark or the declaration names."""
    base = rng.choice([data for data in sound if _is_utf8(data)])
    text = (
        base.decode()
        .removeprefix('<?xml version="1.0" encoding="UTF-8"?>')
        .removeprefix('<?xml version="1.0"?>')
        .lstrip()
    )
    named = '<?xml version="1.0" encoding="{}"?>'
    written = [
        codecs.BOM_UTF8 + text.encode(),
        text.encode("utf-16"),
        text.encode("utf-32"),
        codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
        (named.format("UTF-16") + text).encode("utf-16"),
        named.format("UTF-16").encode() + text.encode(),
        named.format("no-such").encode() + text.encode(),
        (named.format("gb18030") + text).encode("gb18030"),
        b" \r\n" + named.format("utf-8").encode() + text.encode(),
    ]
    if text.isascii():
        written += [(named.format(name) + text).encode(name) for name in ("latin-1", "cp1252", "ascii", "shift_jis")]
        written += [text.encode("utf-16-le"), text.encode("utf-16-be")]
    return Mutant(data=rng.choice(written), expected="same", base=base)


def wrong_encodings(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """A declaration, a mark and the bytes that contradict each other; halves of surrogates; odd numbers of bytes."""
    text = rng.choice(sound).decode("utf-8", "replace")
    if rng.random() < 0.3:
        place = rng.randrange(len(text))
        text = text[:place] + chr(rng.randrange(0xD800, 0xE000)) + text[place:]
    if rng.random() < 0.6:
        text = f'<?xml version="1.0" encoding="{rng.choice(_DECLARED)}"?>' + text
    names = (
        "utf-8",
        "utf-8",
        "utf-16-le",
        "utf-16-be",
        "utf-32-le",
        "utf-32-be",
        "utf-7",
        "cp500",
        "latin-1",
        "gb18030",
    )
    data = text.encode(rng.choice(names), "ignore")
    if rng.random() < 0.4:
        data = text.encode(rng.choice(("utf-8", "utf-16-le", "utf-32-be")), "surrogatepass")
    marks = (
        b"",
        b"",
        codecs.BOM_UTF8,
        codecs.BOM_UTF8 * 2,
        codecs.BOM_UTF16_LE,
        codecs.BOM_UTF16_BE,
        codecs.BOM_UTF32_LE,
    )
    return Mutant(data=rng.choice(marks) + data[: len(data) - (rng.random() < 0.2)])


def nul_bytes(rng: Random, sound: Sequence[bytes]) -> Mutant:
    """Zeros in between, or as a character reference, or control characters that XML forbids."""
    data = rng.choice(sound)
    place = rng.randrange(len(data.rstrip()))
    filling = rng.choice(
        (b"\0", b"&#0;", b"\0" * 4096, b"&#x1;", b"\x01", b"\x0b", b"&#xD800;", b"&#x110000;", b"&#xFFFE;")
    )
    return Mutant(data=data[:place] + filling + data[place:])


def _annotation(text: str) -> str:
    return f'<annotation type="truth">{text}</annotation>'


def _encoded(rng: Random, text: str) -> bytes:
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32")))


def _is_utf8(data: bytes) -> bool:
    try:
        return "\ufeff" not in data.decode()
    except UnicodeDecodeError:
        return False
