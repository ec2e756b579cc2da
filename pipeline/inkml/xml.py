"""Parse untrusted XML bytes into a tree: lenient about encodings and names, strict about everything else.

lxml's default parser refuses every CROHME file (``xml:id="3_1"`` is not an NCName), and its recovering parser silently
drops the tail of a truncated file, strokes included. So we parse with recovery, then refuse what was not well-formed.
"""

import codecs
import re
import threading
from typing import Any

from lxml import etree

from latexify.pipeline.inks.ink import Reason

MAX_DETAIL_CHARS = 200

# Longest mark first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# "<" in UTF-16 without a mark (XML 1.0, appendix F).
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_XML_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
_DECLARED_ENCODING = re.compile(rb"\s*<\?xml\b[^>]*\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
# Other codecs of Python, such as punycode and unicode_escape, are not text encodings.
_TEXT_ENCODING = re.compile(r"utf|ascii|iso8859|cp\d|euc|shift_jis|gb|big5|koi8|mac", re.IGNORECASE)

_OF_THREAD = threading.local()
"""Threads must not share a parser, since its error log belongs to the last parse."""


class UnusableInkError(ValueError):
    """An input cannot become an ink. Ingest turns it into a `Rejection`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = " ".join(detail.split())[:MAX_DETAIL_CHARS]

    def untraced(self) -> "UnusableInkError":
        """Return a copy without traceback, to be stored.

        The traceback would keep a chunk of inks alive, and through it the error itself: a cycle that may live for
        minutes.
        """
        return UnusableInkError(self.reason, self.detail)


def contradictory(detail: str) -> UnusableInkError:
    """Return the error for InkML that contradicts itself or the Recommendation."""
    return UnusableInkError(Reason.CONTRADICTORY_INKML, detail)


def unsupported(detail: str) -> UnusableInkError:
    """Return the error for InkML that is correct, but that we cannot read."""
    return UnusableInkError(Reason.UNSUPPORTED_INKML, detail)


def parse_xml(data: bytes) -> Any:
    """Parse an XML document into its root element (lxml).

    Entities are not expanded, DTDs not loaded, nothing is fetched, and libxml2's limits on depth and text length apply.

    Raises UnusableInkError (EMPTY_FILE, MALFORMED_XML, HOSTILE_XML).
    """
    if not data.strip():
        raise UnusableInkError(Reason.EMPTY_FILE, "no content" if not data else "nothing but white space")
    text = decode(data)
    if "\0" in text:
        raise UnusableInkError(Reason.MALFORMED_XML, "contains NUL characters")
    if "<!ENTITY" in text:
        raise UnusableInkError(Reason.HOSTILE_XML, "declares XML entities")
    # a declared encoding no longer holds, and white space before a declaration is malformed
    declaration = _XML_DECLARATION.match(text)
    text = text[declaration.end() :] if declaration else text
    parser = _parser()
    try:
        root = etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        raise UnusableInkError(Reason.MALFORMED_XML, str(error)) from None
    fatal = parser.error_log.filter_from_fatals()  # without bad names and undeclared prefixes, which lose no content
    if len(fatal):
        raise UnusableInkError(Reason.MALFORMED_XML, f"line {fatal[0].line}: {fatal[0].message}")
    if root is None:
        raise UnusableInkError(Reason.MALFORMED_XML, "does not hold an element")
    document = root.getroottree().docinfo
    external = document.system_url or document.public_id
    if external:
        raise UnusableInkError(Reason.HOSTILE_XML, f"refers to an external DTD: {external}")
    if document.internalDTD is not None and next(root.iter(etree.Entity), None) is not None:
        # parsers skip an undeclared one if another parameter entity might have declared it
        raise UnusableInkError(Reason.HOSTILE_XML, "refers to entities that it does not declare")
    return root


def _parser() -> Any:
    """Return the parser of this thread; a new one per file would take 20 % longer."""
    if not hasattr(_OF_THREAD, "parser"):
        _OF_THREAD.parser = etree.XMLParser(
            recover=True,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,  # not needed, and not always unique
            encoding="utf-8",
        )
    return _OF_THREAD.parser


def decode(data: bytes) -> str:
    """Decode an XML file by its byte order mark, its declared encoding, as UTF-8, or else as Latin-1.

    Latin-1 cannot fail: some old files hold single raw bytes (0xB7) in otherwise ASCII text.
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
    # A declaration in single bytes cannot be in UTF-16.
    return [name] if _TEXT_ENCODING.match(name) and not name.startswith(("utf-16", "utf-32")) else []
