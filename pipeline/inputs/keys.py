"""Names of archive members in, keys that a shard can hold out."""

import re
import urllib.parse

INKML_SUFFIX = ".inkml"

_PLAIN = re.compile(r"[A-Za-z0-9_.~/+=,-]*")
"""Names that need no percent-encoding but of their dots."""


def is_inkml_name(name: str) -> bool:
    """Whether a member's name is that of an InkML file. Hidden files, such as those macOS adds to archives, are not."""
    folder, _, base = name.rpartition("/")
    return base.lower().endswith(INKML_SUFFIX) and not base.startswith(".") and "__MACOSX" not in folder.split("/")


def path_parts(name: str) -> list[str]:
    """Components of a member's name without those that mean nothing (``./a//b`` is ``a/b``)."""
    return [part for part in name.split("/") if part not in {"", "."}]


def key_of(name: str) -> str:
    """Key of the member `name`: its path without suffix, percent-encoded; slashes stay, equal paths give equal keys.

    Webdataset groups the members of a shard by what precedes their first dot, so dots are encoded, and with them
    whatever is not a plain ASCII character of a path (control characters, spaces, backslashes, bytes that are no text).
    """
    parts = path_parts(name)
    if parts and parts[-1].lower().endswith(INKML_SUFFIX):
        parts[-1] = parts[-1][: -len(INKML_SUFFIX)]
    path = "/".join(parts)
    if not _PLAIN.fullmatch(path):
        path = urllib.parse.quote(path.encode("utf-8", "surrogateescape"), safe="/+=,")
    return path.replace(".", "%2E")


def printable(name: str) -> str:
    """`name` as valid Unicode in one line: for messages and the `source` column, not for keys."""
    if name.isprintable():
        return name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
