"""Decode the bytes of a list of labels."""

import codecs

from latexify.common.errors import LatexifyError

# the longest mark first: that of UTF-32 begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SNIFFED_BYTES = 1000
_MIN_ZEROS = 0.3  # smallest fraction of zero bytes of the high bytes of UTF-16


def decode_text(data: bytes, *, encoding: str | None) -> str:
    """Return the text of a file: UTF-8, or UTF-16 and UTF-32 by their byte order mark, unless `encoding` names another.

    Raises LatexifyError if the encoding is unknown, or the bytes are not of it.
    """
    found = encoding or _detected(data)
    try:
        return data.decode(found).removeprefix("\ufeff")
    except LookupError:
        raise LatexifyError(f"images.encoding: {found!r} is no encoding that Python knows") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        advice = "name another" if encoding else "name its encoding, such as latin-1,"
        raise LatexifyError(
            f"the bytes in line {line} are not {found} ({data[error.start : error.start + 4].hex(' ')}): "
            f"{advice} by images.encoding"
        ) from None


def _detected(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    start = data[:_SNIFFED_BYTES]
    if start[1::2].count(0) > _MIN_ZEROS * len(start) / 2:
        return "utf-16-le"
    if start[::2].count(0) > _MIN_ZEROS * len(start) / 2:
        return "utf-16-be"
    return "utf-8"
