"""Check one shard: the work of one worker of ``latexify verify``."""

import errno
import hashlib
import io
import itertools
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.location import Location, is_local
from latexify.shards.format.sample import check_key
from latexify.shards.verify.members import ids_problem, json_problems, png_problem
from latexify.shards.verify.tar_layout import END_OF_TAR, IndexRow, MemberPlan, frame_problems, plan_members

TokenIds = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem: of a sample, of a shard (`key` is None), or of the folder (`shard` is None)."""

    problem: str
    split: str | None = None
    shard: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedShard:
    """A shard in the manifest."""

    split: str
    name: str
    num_samples: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCheck:
    """One shard to check, and the canvas's size."""

    shard: ListedShard
    rows: pa.Table | None  # its rows of the index in order; None if the index cannot be read
    token_ids: Sequence[TokenIds] | None  # the tokenizer's ids of each row's label; None without a tokenizer
    height_px: int
    width_px: int


def check_shard(task: ShardCheck, *, folder: Location) -> list[Finding]:
    """Compare a shard with the manifest and the index byte by byte: first the shard, then its samples in order.

    One sample is in memory at a time. A shard in an object store is first copied into a temporary file.
    """
    finding = partial(Finding, split=task.shard.split, shard=task.shard.name)
    findings: list[Finding] = []
    try:
        with _open(folder / task.shard.name) as file:
            for key, problem in _problems(file, task):
                findings.append(finding(problem=problem, key=key))
    except FileNotFoundError:
        findings.append(finding(problem="the shard is missing"))
    except OSError as error:
        if error.errno != errno.EIO:  # not damage, but permissions, a full disk for the copy, or the network
            raise
        findings.append(finding(problem="the disk cannot read the shard"))
    return findings


@contextmanager
def _open(shard: Location) -> Iterator[io.BufferedIOBase]:
    if is_local(shard):
        with shard.open("rb") as file:
            yield file
    else:
        with tempfile.TemporaryFile() as copy, shard.open("rb") as remote:
            shutil.copyfileobj(remote, copy, 1 << 20)
            yield cast("io.BufferedIOBase", copy)


def _problems(file: io.BufferedIOBase, task: ShardCheck) -> Iterator[tuple[str | None, str]]:
    """Yield key (None for the shard itself) and problem."""
    num_bytes = file.seek(0, io.SEEK_END)
    if num_bytes != task.shard.num_bytes:
        yield None, f"the shard has {num_bytes} bytes, {task.shard.num_bytes} by the manifest"
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest() != task.shard.sha256:
        yield None, "the shard is not the one of the manifest (its SHA-256 is another)"
    end: int | None = 0  # of the sample before; None if that is uncertain
    for row, token_ids in _samples(task):
        try:
            plans = _plan(row, begin=end, num_bytes=num_bytes)
        except ValueError as error:
            yield row.key, str(error)
            end = None
            continue
        file.seek(plans[0].begin)
        data = memoryview(file.read(plans[-1].end - plans[0].begin))
        wrong = list(frame_problems(data, plans))
        end = None if wrong else plans[-1].end
        wrong += _content_problems(data, row, plans, task=task, token_ids=token_ids)
        if wrong:
            yield row.key, "; ".join(wrong)
    if end is not None and task.rows is not None:
        file.seek(end)
        if file.read(len(END_OF_TAR) + 1) != END_OF_TAR:
            yield None, f"the tar does not end with {len(END_OF_TAR)} zero bytes behind its last sample"


def _samples(task: ShardCheck) -> Iterator[tuple[IndexRow, TokenIds | None]]:
    """Yield rows with the tokenizer's ids of their labels."""
    if task.rows is None:
        return
    token_ids = task.token_ids if task.token_ids is not None else itertools.repeat(None)
    batches = task.rows.drop_columns(["split", "shard"]).to_batches(max_chunksize=1024)
    rows = (IndexRow(**fields) for batch in batches for fields in batch.to_pylist())
    yield from zip(rows, token_ids, strict=False)


def _plan(row: IndexRow, *, begin: int | None, num_bytes: int) -> list[MemberPlan]:
    """Return where the members of a sample must be in a shard of `num_bytes`; the first must start at `begin`.

    Raises ValueError if the index contradicts itself, or the shard ends too early.
    """
    check_key(row.key)
    plans = plan_members(row)
    if begin is not None and plans[0].begin != begin:
        raise ValueError(f"by the index it begins at byte {plans[0].begin}, but the one before ends at {begin}")
    if plans[-1].end > num_bytes:  # a damaged index may claim more bytes than there is memory
        raise ValueError("the shard ends before it does")
    return plans


def _content_problems(
    data: memoryview, row: IndexRow, plans: list[MemberPlan], *, task: ShardCheck, token_ids: TokenIds | None
) -> Iterator[str]:
    """Yield what is wrong in the members; `data` starts with the first member's header."""
    start = plans[0].begin
    png, ids, description = (bytes(data[plan.offset - start : plan.offset - start + plan.num_bytes]) for plan in plans)
    size = {"height_px": row.height_px or task.height_px, "width_px": row.width_px or task.width_px}
    in_png = png_problem(png, **size)
    in_ids = ids_problem(ids, num_tokens=row.num_tokens, expected=token_ids)
    if zlib.crc32(ids, zlib.crc32(png)) != row.sample_crc32:
        damaged = [name for name, problem in (("picture", in_png), ("token ids", in_ids)) if problem]
        yield f"damaged: {' and '.join(damaged) or 'picture or token ids'} (CRC-32)"
    else:  # the bytes are as they were written, but that may have been wrong
        yield from filter(None, (in_png, in_ids))
    if zlib.crc32(description) != row.json_crc32:
        yield "damaged: JSON (CRC-32)"
    else:
        yield from json_problems(description, row=row)
