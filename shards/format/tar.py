"""Tars whose bytes depend only on names and contents, not on clock, user or host."""

import hashlib
import tarfile
from collections.abc import Iterable
from typing import BinaryIO

# Positions and lengths of the fields of a header (POSIX.1-2017, pax, "ustar Interchange Format").
_NAME_BYTES = 100
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)
_LARGEST_SIZE = 8**11 - 1  # of eleven octal digits

_END = bytes(2 * tarfile.BLOCKSIZE)
_PADDING = bytes(tarfile.BLOCKSIZE)

# tarfile's header of a file without name and content: mtime 0, uid and gid 0, no names, mode 0644
_EMPTY = tarfile.TarInfo().tobuf(tarfile.PAX_FORMAT)
_BEFORE_CHECKSUM = _EMPTY[_SIZE.stop : _CHECKSUM.start]
_BEFORE_SIZE = _EMPTY[_NAME_BYTES : _SIZE.start]
_AFTER_CHECKSUM = _EMPTY[_CHECKSUM.stop :]
# the sum of all bytes except name and size, with the checksum field as spaces
_CONSTANT_SUM = sum(_BEFORE_SIZE) + sum(_BEFORE_CHECKSUM) + sum(_AFTER_CHECKSUM) + 8 * ord(" ")


def member_header(name: str, num_bytes: int) -> bytes:
    """Return the header of a regular file as `tarfile` writes it in PAX format, in a tenth of the time.

    PAX equals USTAR if the name is ASCII of at most 100 characters; other names need an extra header, which `tarfile`
    makes.
    """
    if len(name) > _NAME_BYTES or not name.isascii() or num_bytes > _LARGEST_SIZE:
        info = tarfile.TarInfo(name)
        info.size = num_bytes
        return info.tobuf(tarfile.PAX_FORMAT)
    name_field = name.encode("ascii").ljust(_NAME_BYTES, b"\0")
    size_field = b"%011o\0" % num_bytes
    checksum_field = b"%06o\0 " % (_CONSTANT_SUM + sum(name_field) + sum(size_field))
    return b"".join((name_field, _BEFORE_SIZE, size_field, _BEFORE_CHECKSUM, checksum_field, _AFTER_CHECKSUM))


class TarWriter:
    """Writes a tar. Unlike `tarfile.TarFile` it returns the offsets of the members' data, and hashes what it writes.

    `num_bytes` is the length of the tar so far, `sha256` its hash.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_bytes = 0
        self.sha256 = hashlib.sha256()

    def append(self, members: Iterable[tuple[str, bytes]]) -> list[int]:
        """Append regular files (name, content) in one write; return the offsets of their contents."""
        offset = self.num_bytes
        offsets: list[int] = []
        parts: list[bytes] = []
        for name, data in members:
            header, padding = member_header(name, len(data)), _PADDING[: -len(data) % tarfile.BLOCKSIZE]
            parts += (header, data, padding)
            offsets.append(offset + len(header))
            offset += len(header) + len(data) + len(padding)
        self._write(b"".join(parts))
        return offsets

    def finish(self) -> None:
        """Write the end-of-archive mark. The file is not closed."""
        self._write(_END)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.num_bytes += len(data)
