"""Reading folders, tars and zips: each gives the same files, links are not followed, damage is an error."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.archives import Member, MemberReader, iter_members
from latexify.pipeline.inputs.inputs import SourceInput
from latexify.pipeline.inputs.splits import InputSplit

FILES = {"set/a.inkml": b"first", "set/deep/b.inkml": b"", "readme.txt": b"x" * 50}


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """A plain tar of the files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def contents(path: Path, *, max_bytes: int | None = 1000) -> dict[str, bytes | None]:
    """Members by name."""
    return {member.name: member.data for member in iter_members(path, max_bytes=max_bytes)}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tars_are_read_whatever_their_name_says(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Browsers and people rename archives, so their type follows from the content."""
    path = tmp_path / "download"
    path.write_bytes(compress(tar_bytes(FILES)))
    assert contents(path) == FILES


def test_folder_and_zip_give_the_same_files(tmp_path: Path) -> None:
    """A dataset must not depend on how it is packed."""
    for name, data in FILES.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("empty")
        for name, data in FILES.items():
            archive.writestr(name.replace("/", "\\") if "deep" in name else name, data)
    assert contents(tmp_path / "folder") == contents(tmp_path / "z.zip") == FILES


def test_folders_are_read_in_one_order(tmp_path: Path) -> None:
    """The order decides which of two equal inks stays, so it must not depend on the file system."""
    for name in ("b", "a/c", "a.x", "B"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(contents(tmp_path)) == ["B", "a.x", "a/c", "b"]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("headers", [{}, {"comment": "of all members"}])
def test_members_lie_where_tarfile_finds_them(tmp_path: Path, kind: int, headers: dict[str, str]) -> None:
    """Workers read members by their offset: a byte off, and every later ink is another's."""
    path = tmp_path / "t.tar"
    names = ["a", "long/" * 25 + "b", "empty", "d/", "\N{GREEK SMALL LETTER PI}.inkml", "c" * 99, "e" * 100, "last"]
    with tarfile.open(path, "w", format=kind, pax_headers=headers) as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = 0 if name in {"d/", "empty"} else 511 + number
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    with tarfile.open(path) as archive:
        expected = [(info.name, info.size, info.offset_data) for info in archive if info.isreg()]
    found = list(iter_members(path, max_bytes=None, in_place=True))
    assert [(member.name, member.num_bytes, member.offset) for member in found] == expected
    assert len(expected) == len(names) - 1


def test_large_members_come_without_data(tmp_path: Path) -> None:
    """One member of 100 GB must not fill the memory."""
    path = tmp_path / "t.tar"
    path.write_bytes(tar_bytes(FILES))
    assert contents(path, max_bytes=5) == FILES | {"readme.txt": None}
    assert contents(path, max_bytes=None) == dict.fromkeys(FILES)


def test_links_and_devices_are_reported_and_not_followed(tmp_path: Path) -> None:
    """An archive from the internet must not make ingest read /etc/passwd or wait for a device."""
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("s.inkml", tarfile.SYMTYPE), ("h.inkml", tarfile.LNKTYPE), ("f.inkml", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    expected = [Member(name=f"{name}.inkml", num_bytes=0, data=None, is_file=False) for name in "shf"]
    assert list(iter_members(path, max_bytes=100)) == expected
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        link = zipfile.ZipInfo("s.inkml")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (member,) = iter_members(tmp_path / "z.zip", max_bytes=100)
    assert (member.is_file, member.data) == (False, None)


def test_circles_and_pipes_in_a_folder_are_skipped(tmp_path: Path) -> None:
    """A link to the parent folder would never end, a pipe would never answer. Linked files are intended."""
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "loop").symlink_to(tmp_path)
    (tmp_path / "folder" / "link.inkml").symlink_to(tmp_path / "real")
    (tmp_path / "folder" / "dangling.inkml").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "folder" / "pipe.inkml")
    assert contents(tmp_path / "folder") == {"link.inkml": b"1"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_truncated_archives_are_errors(tmp_path: Path, compress: Callable[[bytes], bytes], share: float) -> None:
    """Half a download must not be taken for a smaller dataset."""
    random_files = {f"{n}.inkml": os.urandom(700) for n in range(20)}
    data = compress(tar_bytes(random_files))
    path = tmp_path / "t"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(LatexifyError, match="damaged or incomplete"):
        contents(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_no_damage_of_a_compressed_tar_goes_unnoticed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """The checksum stands behind the tar, where nothing is read for its members: changed points would become inks."""
    rng = random.Random(1)
    files = {f"{number}.inkml": bytes(rng.choices(b"0123456789. ,", k=3000)) for number in range(12)}
    packed = compress(tar_bytes(files))
    path = tmp_path / "packed"
    for _ in range(60):
        data = bytearray(packed)
        data[rng.randrange(2, len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            assert contents(path, max_bytes=10_000) == files, "a bit of the header, such as the time"
        except LatexifyError as error:
            assert "cannot be read as a tar or zip" in str(error)  # noqa: PT017  # most are refused, some are harmless


def test_damaged_header_inside_a_tar_is_an_error(tmp_path: Path) -> None:
    """Python's tarfile takes a broken header for the archive's end, which would drop the rest of the data."""
    data = bytearray(tar_bytes({f"{n}.inkml": b"x" * 10 for n in range(4)}))
    data[2 * 1024 + 150] ^= 0xFF
    path = tmp_path / "t.tar"
    path.write_bytes(data)
    with pytest.raises(LatexifyError, match=r"t\.tar cannot be read"):
        contents(path)


def test_tar_cut_between_two_members_is_an_error(tmp_path: Path) -> None:
    """The only sign of this loss is the missing end mark."""
    path = tmp_path / "t.tar"
    path.write_bytes(tar_bytes({f"{n}.inkml": b"x" * 10 for n in range(4)})[: 2 * 1024])
    with pytest.raises(LatexifyError, match="damaged or incomplete"):
        contents(path)


def test_damaged_zip_member_is_an_error(tmp_path: Path) -> None:
    """Damage that a zip's checksum shows must be reported."""
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.inkml", b"content")
    path.write_bytes(path.read_bytes().replace(b"content", b"c0ntent"))
    with pytest.raises(LatexifyError, match="CRC"):
        contents(path)


@pytest.mark.parametrize("content", [b"", b"neither", b"\x1f\x8b", gzip.compress(b"no tar inside", mtime=0)])
def test_other_files_are_not_archives(tmp_path: Path, content: bytes) -> None:
    """A readme named by mistake gets a one-line error, not a traceback."""
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(LatexifyError, match="cannot be read as a tar or zip"):
        contents(tmp_path / "f")
    with pytest.raises(LatexifyError, match="does not exist"):
        contents(tmp_path / "nowhere")


@pytest.mark.parametrize("packed", [True, False])
def test_members_are_read_in_place_by_others(tmp_path: Path, *, packed: bool) -> None:
    """Workers read what the main process listed; a byte off, and an ink would be another's."""
    path = tmp_path / "inputs"
    if packed:
        path.write_bytes(tar_bytes(FILES))
    else:
        for name, data in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    item = SourceInput(
        path="inputs",
        name="inputs",
        kind="archive" if packed else "folder",
        key_prefix="",
        num_inputs=2,
        num_bytes=path.stat().st_size,
        sha256="",
        rule=InputSplit(split="train"),
    )
    members = list(iter_members(path, max_bytes=1000, in_place=True))
    assert {member.data for member in members} == {None}
    with MemberReader(base=tmp_path, max_file_bytes=20) as reader:
        assert {member.name: reader.load(member, item=item).data for member in members} == FILES | {"readme.txt": None}
    with MemberReader(base=tmp_path, max_file_bytes=20) as reader:
        (path if packed else path / "set/a.inkml").write_bytes(b"")
        with pytest.raises(LatexifyError, match="inputs has changed since"):
            reader.load(next(member for member in members if member.name == "set/a.inkml"), item=item)
