"""Check the bytes around the data of a sample's members: headers and padding.

All these bytes follow from the names and sizes in the index. So they are compared with what the writer would write, and
differences are explained afterwards. `member_header` uses `tarfile`, to be independent of `latexify.shards.format.tar`.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from latexify.shards.format.sample import IDS_SUFFIX, JSON_SUFFIX, PNG_SUFFIX

BLOCK = tarfile.BLOCKSIZE
END_OF_TAR = bytes(2 * BLOCK)
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One row of the index without split and shard, see `latexify.shards.format.index.INDEX_SCHEMA`."""

    key: str
    label: str
    num_tokens: int
    png_offset: int
    png_bytes: int
    ids_offset: int
    ids_bytes: int
    json_offset: int
    json_bytes: int
    sample_crc32: int
    json_crc32: int
    width_px: int | None = None  # only in an index of pictures that differ in size
    height_px: int | None = None  # the same
    dataset: str | None = None  # only in an index of several datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """Where one member must be: its header from `begin`, `num_bytes` of data from `offset`, padding to `end`."""

    name: str
    header: bytes
    begin: int
    offset: int
    num_bytes: int

    @property
    def end(self) -> int:
        """Offset after the padding that fills the last block."""
        return self.offset + padded(self.num_bytes)


def padded(num_bytes: int) -> int:
    """Return the bytes that data of this length takes in a tar."""
    return -(-num_bytes // BLOCK) * BLOCK


def plan_members(row: IndexRow) -> list[MemberPlan]:
    """Return the three members of a sample as the writer would write them at the offsets of the index.

    Raises ValueError if the row contradicts itself: a length is below one, or members do not follow each other.
    """
    lengths = (row.png_bytes, row.ids_bytes, row.json_bytes)
    offsets = (row.png_offset, row.ids_offset, row.json_offset)
    if min(*lengths, row.num_tokens) < 1:
        raise ValueError("the index gives it a length below one")
    plans: list[MemberPlan] = []
    for suffix, offset, num_bytes in zip((PNG_SUFFIX, IDS_SUFFIX, JSON_SUFFIX), offsets, lengths, strict=True):
        header = member_header(row.key + suffix, num_bytes)
        begin = offset - len(header)
        if begin < 0 or (plans and begin != plans[-1].end):
            raise ValueError(f"the index puts its {suffix} at byte {offset}, which its other members do not allow")
        plans.append(MemberPlan(name=row.key + suffix, header=header, begin=begin, offset=offset, num_bytes=num_bytes))
    return plans


def member_header(name: str, num_bytes: int) -> bytes:
    """Return the header of a regular file as the shard writer makes it (PAX, without clock, user or host)."""
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    return info.tobuf(tarfile.PAX_FORMAT)


def frame_problems(data: memoryview, plans: list[MemberPlan]) -> Iterator[str]:
    """Yield what is wrong with names, sizes, types and padding.

    `data` are the shard's bytes from the first plan's `begin` to the last one's `end`.
    """
    start = plans[0].begin
    for plan in plans:
        header = data[plan.begin - start : plan.offset - start]
        if header != plan.header:
            yield _explain_header(bytes(header), plan)
        padding = data[plan.offset + plan.num_bytes - start : plan.end - start]
        if any(padding):
            yield f"the padding behind {plan.name} is not zero"


def _explain_header(header: bytes, plan: MemberPlan) -> str:
    """Return what is wrong with a header that differs from the expected one."""
    try:
        info = tarfile.TarInfo.frombuf(header[-BLOCK:], "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        return f"the header of {plan.name} is damaged ({error})"
    if info.type in _KINDS:
        return f"in place of {plan.name} stands {_KINDS[info.type]}"
    expected = tarfile.TarInfo.frombuf(plan.header[-BLOCK:], "utf-8", "surrogateescape")
    if info.name != expected.name:
        return f"in place of {plan.name} stands {info.name!r}"
    if info.size != plan.num_bytes:
        return f"{plan.name} has {info.size} bytes by its header, {plan.num_bytes} by the index"
    return f"the header of {plan.name} is not as it was written"
