"""Untrusted XML bytes in, a parsed tree out: forgiving about encodings and names, strict about everything else.

lxml's default parser refuses every CROHME file (``xml:id="3_1"`` is no NCName), and its recovering one silently drops
the tail of a truncated file, strokes included. So: recover, then refuse what was not well-formed after all.
"""

import codecs
import re
import threading
from typing import Any

from lxml import etree

from latexify.pipeline.inks.ink import Reason

MAX_DETAIL_CHARS = 200

# Longest mark first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What "<" looks like in UTF-16 without a mark (XML 1.0, appendix F).
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_XML_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
_DECLARED_ENCODING = re.compile(rb"\s*<\?xml\b[^>]*\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
# Python knows more codecs than these, some of which (punycode, unicode_escape) are no text encodings at all.
_TEXT_ENCODING = re.compile(r"utf|ascii|iso8859|cp\d|euc|shift_jis|gb|big5|koi8|mac", re.IGNORECASE)

_OF_THREAD = threading.local()
"""Threads must not share a parser: its error log is that of whoever parsed last."""


class UnusableInkError(ValueError):
    """An input that cannot become an ink, and why; caught where it is turned into a `Rejection`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = " ".join(detail.split())[:MAX_DETAIL_CHARS]

    def untraced(self) -> "UnusableInkError":
        """The same, to be kept: its traceback would keep all that was in the hands of those who raised and caught it.

        Among that would be a chunk of inks, and through it the error itself: a cycle, which may live for minutes.
        """
        return UnusableInkError(self.reason, self.detail)


def parse_markup(data: bytes) -> Any:
    """Parse an XML document into its root element (lxml).

    No entity is expanded, no DTD loaded, nothing fetched; libxml2's limits on depth and text length stay on.

    Raises UnusableInkError (EMPTY_FILE, MALFORMED_XML, HOSTILE_XML).
    """
    if not data.strip():
        raise UnusableInkError(Reason.EMPTY_FILE, "no content" if not data else "nothing but white space")
    text = decode(data)
    if "\0" in text:
        raise UnusableInkError(Reason.MALFORMED_XML, "contains NUL characters")
    if "<!ENTITY" in text:
        raise UnusableInkError(Reason.HOSTILE_XML, "declares XML entities")
    parser = _parser()
    try:
        root = etree.fromstring(_without_declaration(text).encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        raise UnusableInkError(Reason.MALFORMED_XML, str(error)) from None
    _refuse_malformed(root, parser)
    document = root.getroottree().docinfo
    external = document.system_url or document.public_id
    if external:
        raise UnusableInkError(Reason.HOSTILE_XML, f"refers to an external DTD: {external}")
    if document.internalDTD is not None and next(root.iter(etree.Entity), None) is not None:
        # a parser passes over it where another parameter entity might have declared it
        raise UnusableInkError(Reason.HOSTILE_XML, "refers to entities that it does not declare")
    return root


def _parser() -> Any:
    """The parser of this thread: a new one for each file would take a fifth of the time again."""
    if not hasattr(_OF_THREAD, "parser"):
        _OF_THREAD.parser = etree.XMLParser(
            recover=True,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,  # ids are neither needed nor unique
            encoding="utf-8",
        )
    return _OF_THREAD.parser


def decode(data: bytes) -> str:
    """Text of an XML file: by byte order mark, by declared encoding, as UTF-8, and failing all those as Latin-1.

    Latin-1 cannot fail: old files hold single raw bytes (0xB7) in an otherwise ASCII text.
    """
    for encoding in (*_likely_encodings(data), "utf-8"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _likely_encodings(data: bytes) -> list[str]:
    for mark, encoding in _BYTE_ORDER_MARKS + _UNMARKED:
        if data.startswith(mark):
            return [encoding]
    declared = _DECLARED_ENCODING.match(data[:200])
    if declared is None:
        return []
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name
    except LookupError:
        return []
    # A file that says UTF-16 in single bytes is not in UTF-16.
    return [name] if _TEXT_ENCODING.match(name) and not name.startswith(("utf-16", "utf-32")) else []


def _without_declaration(text: str) -> str:
    """The declaration names an encoding that no longer holds; white space before it would be malformed."""
    declaration = _XML_DECLARATION.match(text)
    return text[declaration.end() :] if declaration else text


def _refuse_malformed(root: Any, parser: Any) -> None:
    """A name out of place or an undeclared prefix may pass; text that is not well-formed has lost some of itself."""
    fatal = parser.error_log.filter_from_fatals()
    if len(fatal):
        raise UnusableInkError(Reason.MALFORMED_XML, f"line {fatal[0].line}: {fatal[0].message}")
    if root is None:
        raise UnusableInkError(Reason.MALFORMED_XML, "holds no element")
