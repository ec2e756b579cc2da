"""Files of a folder, a tar (plain, gzip, bzip2, xz) or a zip, one after another, without unpacking it.

Folders and archives may lie in an object store: tars are streamed, of zips and folders only what is wanted is fetched.
Nothing is written, so a member's name cannot lead out of the archive; links and devices are reported, never followed.
"""

import bz2
import gzip
import itertools
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self, cast

from upath import UPath

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError

Kind = Literal["archive", "folder"]

FETCHED_AT_ONCE = 64
"""Files of a folder in an object store; one at a time, each would wait for the one before."""

_DECOMPRESSORS: tuple[tuple[bytes, Callable[[IO[bytes]], object]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # a member, or the end of an archive without any
_MAGIC_BYTES = 6
# Without EOFHeaderError, the proper end. typeshed leaves all of them out.
_HEADER_ERRORS: tuple[type[tarfile.TarError], ...] = (
    tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]
)
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,  # zip: an unknown compression method
    RuntimeError,  # zip: encrypted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a source.

    name: its path inside, components separated by `/`; may hold surrogates where it is not UTF-8.
    num_bytes: its size as the archive says.
    data: its content; None where it is no regular file, is larger than asked for, or was not asked for.
    is_file: False for links and devices.
    offset: where its content begins in the archive; None in a folder, and where it lies compressed or in pieces.
    """

    name: str
    num_bytes: int
    data: bytes | None
    is_file: bool
    offset: int | None = None


def kind_of(path: Location) -> Kind:
    """Whether `path` is a folder or a file. Raises LatexifyError where it is neither."""
    if path.is_dir():
        return "folder"
    if path.is_file():
        return "archive"
    raise LatexifyError(f"{path} does not exist: put the data there, or name another path in params.yaml")


def iter_members(path: Location, *, max_bytes: int | None, in_place: bool = False) -> Iterator[Member]:
    """Yield the files of a folder (sorted by path) or of an archive (in its own order); archives are told by content.

    max_bytes: members larger than this come without data; None: all come without (to list them). in_place: files of a
    folder, and members of an archive on this machine that have an `offset`, come without data too, as others can read
    them where they lie.

    Raises LatexifyError where the archive is damaged, cut short, encrypted, or none.
    """
    if kind_of(path) == "folder":
        wanted = None if in_place else max_bytes
        return _folder_members(path, max_bytes=wanted) if is_local(path) else _stored_members(path, max_bytes=wanted)
    return _archive_members(path, max_bytes=max_bytes, in_place=in_place and is_local(path))


def _archive_members(path: Location, *, max_bytes: int | None, in_place: bool) -> Iterator[Member]:
    with _damage_reported(path), path.open("rb") as file:
        magic = file.read(_MAGIC_BYTES)
        file.seek(0)
        if magic.startswith(_ZIP_MAGIC):
            yield from _zip_members(file, max_bytes=max_bytes)
        else:
            yield from _tar_members(file, magic=magic, max_bytes=max_bytes, in_place=in_place)


@contextmanager
def _damage_reported(path: Location) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise LatexifyError(
            f"{path} cannot be read as a tar or zip archive ({error}): it is damaged or incomplete, fetch it again"
        ) from error


def _folder_members(folder: Path, *, max_bytes: int | None) -> Iterator[Member]:
    for name in _relative_paths(folder):
        file = folder / name
        num_bytes = file.stat().st_size
        data = file.read_bytes() if max_bytes is not None and num_bytes <= max_bytes else None
        yield Member(name=name, num_bytes=num_bytes, data=data, is_file=True)


def _stored_members(folder: UPath, *, max_bytes: int | None) -> Iterator[Member]:
    """The same for a folder in an object store: a few files at a time."""
    sizes = _sizes(folder)
    names = iter(sorted(sizes))
    while batch := list(itertools.islice(names, FETCHED_AT_ONCE)):
        wanted = [folder / name for name in batch if max_bytes is not None and sizes[name] <= max_bytes]
        contents = folder.fs.cat([place.path for place in wanted]) if wanted else {}
        for name in batch:
            data = contents.get((folder / name).path)
            yield Member(name=name, num_bytes=sizes[name], data=data, is_file=True)


def _sizes(folder: UPath) -> Mapping[str, int]:
    """Bytes of each file, by its path in the folder."""
    root = folder.path.rstrip("/") + "/"
    found = folder.fs.find(folder.path, detail=True)
    return {path.removeprefix(root): info["size"] for path, info in found.items() if not path.endswith("/")}


def _relative_paths(folder: Path) -> list[str]:
    """Regular files, linked ones included (the folder is the user's own); linked folders are not entered."""

    def stop(error: OSError) -> None:
        raise LatexifyError(f"{folder} cannot be listed ({error}): check its permissions") from error

    found = []
    for parent, _, files in os.walk(folder, onerror=stop):
        found += [Path(parent, file).relative_to(folder).as_posix() for file in files if Path(parent, file).is_file()]
    return sorted(found)


def _zip_members(file: IO[bytes], *, max_bytes: int | None) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            wanted = max_bytes is not None and info.file_size <= max_bytes and not is_link
            # Some Windows programs separate components by backslashes.
            name = info.filename.replace("\\", "/")
            data = archive.read(info) if wanted else None
            yield Member(name=name, num_bytes=info.file_size, data=data, is_file=not is_link)


def _tar_members(file: IO[bytes], *, magic: bytes, max_bytes: int | None, in_place: bool) -> Iterator[Member]:
    with (
        _decompressed(file, magic=magic) as stream,
        _kind_of_tar(is_open=stream is file).open(fileobj=stream, mode="r:", tarinfo=_QuickTarInfo) as archive,
    ):
        while (info := archive.next()) is not None:
            # It would grow to half a gigabyte for MathWriting.
            archive.members.clear()  # type: ignore[attr-defined]  # missing in typeshed
            if info.isdir():
                continue
            offset = info.offset_data if stream is file and info.isreg() and not info.issparse() else None
            wanted = max_bytes is not None and info.isreg() and info.size <= max_bytes
            data = _content(archive, info) if wanted and not (in_place and offset is not None) else None
            yield Member(name=info.name, num_bytes=info.size, data=data, is_file=info.isreg(), offset=offset)


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    member = archive.extractfile(info)
    assert member is not None, "a regular file"
    return member.read()


def _decompressed(file: IO[bytes], *, magic: bytes) -> IO[bytes]:
    for prefix, opener in _DECOMPRESSORS:
        if magic.startswith(prefix):
            return cast("IO[bytes]", opener(file))
    return file


class _QuickTarInfo(tarfile.TarInfo):
    """Reads the usual header in a fifth of the time, and takes a damaged one for an error.

    `tarfile` takes a damaged header behind the first member for the archive's end.
    """

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _HEADER_ERRORS as error:
            raise _DamagedHeaderError(f"{error} at byte {tarfile.offset}") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        return cls.of_usual(buf, encoding, errors) or super().frombuf(buf, encoding, errors)

    @classmethod
    def of_usual(cls, header: bytes | bytearray, encoding: str, errors: str) -> Self | None:
        """Name and size of a regular file; None for everything else that a header can be.

        Fields by POSIX.1-2017, pax, "ustar Interchange Format".
        """
        size, checksum, prefix = header[124:135], header[148:154], header[345:346]
        is_usual = len(header) == tarfile.BLOCKSIZE and header[156:157] == tarfile.REGTYPE and prefix == b"\0"
        are_numbers = not (size + checksum).strip(b"01234567") and not (header[135:136] + header[154:155]).strip(b"\0 ")
        if not (is_usual and are_numbers):
            return None
        # The checksum counts itself as eight spaces. Most bytes are NULs: they are left out sooner than added.
        total = sum(header.translate(None, b"\0")) - sum(header[148:156]) + 8 * ord(" ")
        if int(checksum, 8) != total:
            return None
        found = cls(header[:100].partition(b"\0")[0].decode(encoding, errors))
        found.size = int(size, 8)
        return found


class _QuickTarFile(tarfile.TarFile):
    """Goes from one usual header to the next in half the time; all that is unusual is left to `tarfile`."""

    def next(self) -> tarfile.TarInfo | None:
        if self.firstmember is not None or self.pax_headers:  # type: ignore[attr-defined]  # missing in typeshed
            return super().next()
        self.fileobj.seek(self.offset)
        info = _QuickTarInfo.of_usual(self.fileobj.read(tarfile.BLOCKSIZE), self.encoding, self.errors)
        if info is None:
            self.fileobj.seek(self.offset)
            return super().next()
        info.offset = self.offset
        info.offset_data = info.offset + tarfile.BLOCKSIZE
        self.offset = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return info


def _kind_of_tar(*, is_open: bool) -> type[tarfile.TarFile]:
    """What reads an archive that lies open. To go back in one that is compressed is to decompress it anew."""
    return _QuickTarFile if is_open else tarfile.TarFile


class _DamagedHeaderError(tarfile.TarError):
    """A header that is damaged or missing."""
