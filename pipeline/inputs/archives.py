"""Iterate over the files of a folder, a tar (plain, gzip, bzip2, xz), a zip, or a Parquet file that holds pictures.

Folders and archives may be in an object store: tars are streamed; of zips and folders only the selected files are
fetched. Nothing is written, so a member's name cannot escape the archive. Links and devices are reported, never
followed.
"""

import bz2
import itertools
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

from isal import igzip, igzip_lib
from upath import UPath

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.inkml.root import SNIFFED_BYTES, root_name
from latexify.pipeline.inputs.embedded import PARQUET_MAGIC, embedded_pictures, picture_name
from latexify.pipeline.inputs.inputs import (
    Content,
    SourceInput,
    changed_since,
    is_inkml_name,
    is_xml_name,
    kind_of,
    resolve_input,
)
from latexify.pipeline.inputs.pictures import ARCHIVE_SUFFIXES, PictureLabel, is_picture_name
from latexify.pipeline.inputs.walk import walk_files

FETCHED_AT_ONCE = 64  # files from an object store; one at a time, each would wait for the one before
_DECOMPRESSORS: tuple[tuple[bytes, Callable[[IO[bytes]], object]], ...] = (
    (b"\x1f\x8b", igzip.open),  # reads twice as fast as `gzip`
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the second starts an empty archive
_MAGIC_BYTES = 6
_READ_AT_ONCE = 1 << 20
# errors of headers, but for EOFHeaderError, the regular end of an archive; typeshed lacks them
_HEADER_ERRORS = tuple(getattr(tarfile, f"{kind}HeaderError") for kind in ("Invalid", "Truncated", "Empty"))
_DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    igzip.BadGzipFile,
    cast("type[Exception]", igzip_lib.IsalError),  # the stubs say that it is no class
    EOFError,
    NotImplementedError,  # zip: an unknown compression method
    RuntimeError,  # zip: encrypted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a folder or archive."""

    name: str  # path inside, with `/`; may hold surrogates if it is not UTF-8
    num_bytes: int  # according to the archive; 0 in a list of the pictures of a Parquet file
    data: bytes | None  # None if it is not a regular file, is larger than the limit, or was not asked for
    is_file: bool  # False for links and devices
    offset: int | None = None  # of the content in the archive; None in folders, and where it is compressed or in pieces
    is_inkml_xml: bool = False  # whether it is a file ``.xml`` in a folder on this machine that holds InkML
    label: PictureLabel | None = None  # what the lists of labels say of it, if it is a picture


def iter_members(
    path: Location, *, max_bytes: int | None, in_place: bool = False, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[Member]:
    """Yield the files of a folder (sorted by path) or of an archive (in its own order, its type found by content).

    Members larger than `max_bytes` come without data; None lists all of them without. `in_place` also leaves out the
    data of members that others can read where they are (`MemberReader`): files of a folder, and members of an archive
    on this machine that have an `offset`. Of files that are not `wanted`, by their name, no data is read. Raises
    LatexifyError if the archive is damaged, cut short, encrypted, or none.
    """
    if kind_of(path) == "archive":
        return _archive_members(path, max_bytes=max_bytes, in_place=in_place and is_local(path), wanted=wanted)
    max_bytes = None if in_place else max_bytes
    if is_local(path):
        return _folder_members(path, max_bytes=max_bytes, wanted=wanted)
    return _stored_members(path, max_bytes=max_bytes, wanted=wanted)


def _archive_members(
    path: Location, *, max_bytes: int | None, in_place: bool, wanted: Callable[[str], bool]
) -> Iterator[Member]:
    try:
        with path.open("rb") as file:
            magic = file.read(_MAGIC_BYTES)
            file.seek(0)
            if magic.startswith(PARQUET_MAGIC):
                yield from _parquet_members(file, name=path.name, max_bytes=max_bytes, wanted=wanted)
            elif magic.startswith(_ZIP_MAGIC):
                yield from _zip_members(file, max_bytes=max_bytes, wanted=wanted)
            else:
                yield from _tar_members(file, magic=magic, max_bytes=max_bytes, in_place=in_place, wanted=wanted)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        raise _damaged(path, error) from error  # bz2 says damage so; the system's own errors have a number


def _damaged(path: Location, error: Exception) -> LatexifyError:
    advice = "it is damaged or incomplete, fetch it again"
    if path.suffix and not path.name.lower().endswith(ARCHIVE_SUFFIXES):
        advice = "name an ink, a folder or an archive (pictures are read by `latexify recognize`)"
    return LatexifyError(f"{path} cannot be read as a tar or zip archive ({error}): {advice}")


def _folder_members(folder: Path, *, max_bytes: int | None, wanted: Callable[[str], bool]) -> Iterator[Member]:
    for name in walk_files(folder):
        file = folder / name
        num_bytes = file.stat().st_size
        with_data = max_bytes is not None and num_bytes <= max_bytes and wanted(name)
        data = file.read_bytes() if with_data else None
        is_inkml = is_xml_name(name) and _holds_inkml(file)
        yield Member(name=name, num_bytes=num_bytes, data=data, is_file=True, is_inkml_xml=is_inkml)


def _stored_members(folder: UPath, *, max_bytes: int | None, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Yield the files of a folder in an object store, fetched a few at a time."""
    root = folder.path.rstrip("/") + "/"
    files = folder.fs.find(folder.path, detail=True)
    sizes = {path.removeprefix(root): info["size"] for path, info in files.items() if not path.endswith("/")}
    names = iter(sorted(sizes))
    while batch := list(itertools.islice(names, FETCHED_AT_ONCE)):
        selected = [
            folder / name for name in batch if max_bytes is not None and sizes[name] <= max_bytes and wanted(name)
        ]
        contents = folder.fs.cat([file.path for file in selected]) if selected else {}
        for name in batch:
            data = contents.get((folder / name).path)
            yield Member(name=name, num_bytes=sizes[name], data=data, is_file=True)


def is_ink(member: Member) -> bool:
    """Whether a member is InkML: by its name, or for ``.xml`` in a folder by its content."""
    return is_inkml_name(member.name) or member.is_inkml_xml


def is_input(member: Member, content: Content) -> bool:
    """Whether a member is what an input consists of."""
    return is_picture_name(member.name) if content == "pictures" else is_ink(member)


def _holds_inkml(file: Path) -> bool:
    """Whether the root element of an XML file is that of InkML."""
    with file.open("rb") as opened:
        return root_name(opened.read(SNIFFED_BYTES)) == "ink"


def _zip_members(file: IO[bytes], *, max_bytes: int | None, wanted: Callable[[str], bool]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            # Some Windows programs separate components by backslashes.
            name = info.filename.replace("\\", "/")
            with_data = max_bytes is not None and info.file_size <= max_bytes and not is_link and wanted(name)
            data = archive.read(info) if with_data else None
            yield Member(name=name, num_bytes=info.file_size, data=data, is_file=not is_link)


def _parquet_members(
    file: IO[bytes], *, name: str, max_bytes: int | None, wanted: Callable[[str], bool]
) -> Iterator[Member]:
    for row, data in enumerate(embedded_pictures(file, name=name, with_data=max_bytes is not None)):
        member = picture_name(name, row)
        num_bytes = 0 if data is None else len(data)
        with_data = data is not None and max_bytes is not None and num_bytes <= max_bytes and wanted(member)
        yield Member(name=member, num_bytes=num_bytes, data=data if with_data else None, is_file=True)


def _tar_members(
    file: IO[bytes], *, magic: bytes, max_bytes: int | None, in_place: bool, wanted: Callable[[str], bool]
) -> Iterator[Member]:
    with (
        _decompressed(file, magic=magic) as stream,
        tarfile.TarFile.open(fileobj=stream, mode="r:", tarinfo=_StrictTarInfo) as archive,
    ):
        while (info := archive.next()) is not None:
            # It would grow to half a gigabyte for MathWriting.
            archive.members.clear()  # type: ignore[attr-defined]  # missing in typeshed
            if info.isdir():
                continue
            offset = info.offset_data if stream is file and info.isreg() and not info.issparse() else None
            with_data = max_bytes is not None and info.isreg() and info.size <= max_bytes and wanted(info.name)
            content = archive.extractfile(info) if with_data and not (in_place and offset is not None) else None
            data = content.read() if content is not None else None
            yield Member(name=info.name, num_bytes=info.size, data=data, is_file=info.isreg(), offset=offset)
        if stream is not file:
            while stream.read(_READ_AT_ONCE):  # what follows the tar: the checksum of all that was read stands last
                pass


def _decompressed(file: IO[bytes], *, magic: bytes) -> IO[bytes]:
    for prefix, opener in _DECOMPRESSORS:
        if magic.startswith(prefix):
            return cast("IO[bytes]", opener(file))
    return file


class _DamagedHeaderError(tarfile.TarError):
    """A tar header is damaged or missing."""


class _StrictTarInfo(tarfile.TarInfo):
    """Treats a damaged header as an error. `tarfile` takes one behind the first member for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _HEADER_ERRORS as error:
            raise _DamagedHeaderError(f"{error} at byte {tarfile.offset}") from error


class MemberReader:
    """Reads the data of members that came without, in processes that have not listed them.

    A context manager: it keeps the archives of a chunk open. `base` is the source folder; members larger than
    `max_file_bytes` stay without data.
    """

    def __init__(self, *, base: Path, max_file_bytes: int) -> None:
        self._base = base
        self._max_file_bytes = max_file_bytes
        self._locations: dict[str, Location] = {}
        self._files: dict[str, int] = {}

    def load(self, member: Member, *, item: SourceInput) -> Member:
        """Return the member with its data, if it can be read in place and is not too large.

        Raises LatexifyError if the input has changed since `source` ran, as far as its size tells.
        """
        in_place = member.offset is not None or item.kind == "folder"
        if member.data is not None or not in_place or member.num_bytes > self._max_file_bytes:
            return member
        data = self._from_folder(member, item) if member.offset is None else self._from_archive(member, item)
        if len(data) != member.num_bytes:
            raise changed_since(item)
        # `dataclasses.replace` takes three times as long
        return Member(
            name=member.name,
            num_bytes=len(data),
            data=data,
            is_file=member.is_file,
            offset=member.offset,
            label=member.label,
        )

    def _from_folder(self, member: Member, item: SourceInput) -> bytes:
        try:
            return (self._resolve(item) / member.name).read_bytes()
        except FileNotFoundError:
            raise changed_since(item) from None

    def _from_archive(self, member: Member, item: SourceInput) -> bytes:
        assert member.offset is not None, "of an uncompressed archive"
        if item.path not in self._files:
            archive = self._resolve(item)
            assert is_local(archive), "only members of local archives have an offset"
            self._files[item.path] = os.open(archive, os.O_RDONLY)
        return os.pread(self._files[item.path], member.num_bytes, member.offset)

    def _resolve(self, item: SourceInput) -> Location:
        if item.path not in self._locations:
            self._locations[item.path] = resolve_input(item, base=self._base)
        return self._locations[item.path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._files:
            os.close(self._files.popitem()[1])
