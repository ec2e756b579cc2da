"""The name of the root element of markup, from the beginning of a file, without a parser."""

import re

SNIFFED_BYTES = 4096  # from the beginning of a file, to tell its format

_BEFORE_ROOT = r"(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\])?\s*>)*+"
_ROOT = re.compile(rf"\ufeff?{_BEFORE_ROOT}<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL)


def root_name(data: bytes) -> str:
    """Return the name of the root element, without its prefix; empty if the beginning of the file does not show one.

    The encoding hardly matters, because names of elements are ASCII.
    """
    text = data[:SNIFFED_BYTES].replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    found = _ROOT.match(text.decode("utf-8", "replace"))
    return found[1] if found else ""
