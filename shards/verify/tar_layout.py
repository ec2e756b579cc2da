"""What the bytes of one sample in a tar must be, from its row of the index: headers, padding, nothing between.

A shard's writer leaves no choice: every byte that is not the data of a member follows from the members' names and
sizes. So a shard is checked by comparing, and what is not as written is explained afterwards.
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
class Row:
    """One row of the index, without split and shard: see `latexify.shards.format.index.INDEX_SCHEMA`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """Where one member must lie. begin: of its header. offset, num_bytes: of its data. end: behind its padding."""

    name: str
    header: bytes
    begin: int
    offset: int
    num_bytes: int

    @property
    def end(self) -> int:
        """Offset behind the padding that fills the last block."""
        return self.offset + padded(self.num_bytes)


def padded(num_bytes: int) -> int:
    """Bytes that data of this length takes in a tar."""
    return -(-num_bytes // BLOCK) * BLOCK


def plan_members(row: Row) -> list[MemberPlan]:
    """The three members of a sample, as the writer lays them out where the index says that they are.

    Raises ValueError where the row contradicts itself: a length below one, or members that are not one after another.
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
    """The header of a regular file as the shard writer makes it (PAX, without clock, user or host)."""
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    return info.tobuf(tarfile.PAX_FORMAT)


def frame_problems(data: memoryview, plans: list[MemberPlan]) -> Iterator[str]:
    """Say what is wrong around the members' data: names, sizes, kinds, padding.

    data: the shard's bytes from the first plan's `begin` to the last one's `end`.
    """
    start = plans[0].begin
    for plan in plans:
        header = data[plan.begin - start : plan.offset - start]
        if header != plan.header:
            yield _explain_header(bytes(header), plan)
        padding = data[plan.offset + plan.num_bytes - start : plan.end - start]
        if any(padding):
            yield f"the padding behind {plan.name} is not zero"


def _explain_header(found: bytes, plan: MemberPlan) -> str:
    """What is wrong with a header that is not the one expected."""
    try:
        info = tarfile.TarInfo.frombuf(found[-BLOCK:], "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        return f"the header of {plan.name} is damaged ({error})"
    if info.type in _KINDS:
        return f"in place of {plan.name} stands {_KINDS[info.type]}"
    wanted = tarfile.TarInfo.frombuf(plan.header[-BLOCK:], "utf-8", "surrogateescape")
    if info.name != wanted.name:
        return f"in place of {plan.name} stands {info.name!r}"
    if info.size != plan.num_bytes:
        return f"{plan.name} has {info.size} bytes by its header, {plan.num_bytes} by the index"
    return f"the header of {plan.name} is not as it was written"
