"""Check a shard folder against its manifest, down to every byte of every sample: ``latexify verify``."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from latexify.artifacts.draft import BUILD_KEY_NAME
from latexify.artifacts.files import read_parquet
from latexify.artifacts.location import Location, store_trouble
from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import DATASETS_KEY, INDEX_NAME, MANIFEST_NAME, REJECTS_NAME, SHARDS
from latexify.common.errors import LatexifyError, first_line
from latexify.common.progress import Progress
from latexify.shards.verify.index import index_findings, read_index, rows_by_shard
from latexify.shards.verify.shard import Finding, ListedShard, ShardCheck, TokenIds, check_shard

MAX_SHOWN = 20
# maps normalised labels to the token ids (int32 [num_tokens], the end id last) that their samples must have
Encode = Callable[[Sequence[str]], Sequence[TokenIds]]


class Runner(Protocol):
    """Runs the tasks, such as `latexify.pipeline.engine.engine.Engine`."""

    def run(self, calls: Iterable[Any], *, in_order: bool) -> Iterator[Any]:
        """Yield the results of the calls (function, arguments, keyword arguments)."""


@dataclass(kw_only=True)
class Verification:
    """The result: sizes from the manifest, `num_samples` by split, and the first `MAX_SHOWN` findings as `shown`."""

    folder: Location
    num_samples: Mapping[str, int]
    num_shards: int
    num_bytes: int
    num_findings: int = 0
    num_damaged_samples: int = 0
    damaged_shards: set[str] = field(default_factory=set)
    shown: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        self.num_findings += 1
        self.num_damaged_samples += finding.key is not None
        if finding.shard is not None:
            self.damaged_shards.add(finding.shard)
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(finding)


def verify(folder: Location, *, encode: Encode | None, engine: Runner, report: Path | None = None) -> Verification:
    """Check every file of a shard folder and every byte of its tars, and that all of it belongs together.

    In memory are the index and, for each running task, one sample and the rows of its shard. `encode` is the tokenizer
    that the shards were made with; None skips the checks that need it. The findings come in the same order for any
    `engine`; all of them go into the file `report`, one JSON object per line. Raises LatexifyError if there is no shard
    folder, its manifest cannot be used, or its store does not answer.
    """
    with store_trouble(folder), ExitStack() as stack:
        manifest = read_manifest(folder, SHARDS)
        shards = _shards(manifest, where=folder)
        verification = Verification(
            folder=folder,
            num_samples={split: entry["num_samples"] for split, entry in manifest.content["splits"].items()},
            num_shards=len(shards),
            num_bytes=sum(shard.num_bytes for shard in shards),
        )
        lines = stack.enter_context(report.open("w", encoding="utf-8")) if report is not None else None
        for finding in _findings(folder, manifest, shards, encode=encode, engine=engine):
            verification.add(finding)
            if lines is not None:
                lines.write(json.dumps(asdict(finding), ensure_ascii=False) + "\n")
    return verification


def _shards(manifest: Manifest, *, where: Location) -> list[ListedShard]:
    """Return the shards of all splits. The fingerprint does not cover this part of the manifest, so check it."""
    try:
        splits = manifest.content["splits"]
        shards = [ListedShard(split=split, **facts) for split, entry in splits.items() for facts in entry["shards"]]
        sums = {split: sum(shard.num_samples for shard in shards if shard.split == split) for split in splits}
        wrong = [split for split, entry in splits.items() if entry["num_samples"] != sums[split]]
        _ = manifest.params["height_px"] + manifest.params["width_px"]
    except (KeyError, TypeError, AttributeError) as error:
        raise LatexifyError(f"{where / MANIFEST_NAME} is damaged ({error!r}): run `{SHARDS.producer}` again") from None
    if wrong or not shards:
        problem = f"contradicts itself about {wrong[0]!r}" if shards else "names no shard"
        raise LatexifyError(f"{where / MANIFEST_NAME} {problem}: run `{SHARDS.producer}` again")
    return shards


def _findings(
    folder: Location, manifest: Manifest, shards: Sequence[ListedShard], *, encode: Encode | None, engine: Runner
) -> Iterator[Finding]:
    yield from _file_findings(folder, {shard.name for shard in shards})
    yield from _reject_findings(folder, manifest)
    facts = manifest.content.get("index")  # manifests written before 2026-11-23 have none
    index, problems = read_index(folder, sha256=str(facts.get("sha256")) if isinstance(facts, dict) else None)
    yield from (Finding(problem=f"{INDEX_NAME}: {problem}") for problem in problems)
    tables: Iterable[pa.Table | None] = itertools.repeat(None, len(shards))
    if index is not None:
        rows = rows_by_shard(index, shards)
        yield from index_findings(index, shards, rows, datasets=manifest.content.get(DATASETS_KEY, ()))
        tables = map(index.take, rows[: len(shards)])
    # made one by one, so that only a few are in memory
    tasks = (_task(shard, table, manifest, encode) for shard, table in zip(shards, tables, strict=True))
    results = engine.run(((check_shard, (task,), {"folder": folder}) for task in tasks), in_order=True)
    with Progress("verify", total=sum(shard.num_samples for shard in shards), unit="samples") as progress:
        num_findings = 0
        for shard, findings in zip(shards, results, strict=True):
            yield from findings
            num_findings += len(findings)
            progress.advance(shard.num_samples, note=f"{num_findings} findings" if num_findings else "")


def _file_findings(folder: Location, shards: set[str]) -> Iterator[Finding]:
    """Yield files that should not be there. A missing shard is found by its own task."""
    # a run that is killed in its last step leaves its build key
    known = {MANIFEST_NAME, INDEX_NAME, REJECTS_NAME, BUILD_KEY_NAME, *shards}
    for name in sorted(path.name for path in folder.iterdir()):
        if name not in known:
            yield Finding(problem=f"{name} does not belong to these shards")


def _reject_findings(folder: Location, manifest: Manifest) -> Iterator[Finding]:
    try:
        num_rows = len(read_parquet(folder / REJECTS_NAME))
    except (OSError, pa.ArrowException) as error:
        yield Finding(problem=f"{REJECTS_NAME} cannot be read ({first_line(error)})")
        return
    expected = manifest.content.get("num_rejected", num_rows)
    if num_rows != expected:
        yield Finding(problem=f"{REJECTS_NAME} has {num_rows} rows, {expected} by the manifest")


def _task(shard: ListedShard, rows: pa.Table | None, manifest: Manifest, encode: Encode | None) -> ShardCheck:
    token_ids = encode(rows["label"].to_pylist()) if rows is not None and encode is not None else None
    height_px, width_px = manifest.params["height_px"], manifest.params["width_px"]
    return ShardCheck(shard=shard, rows=rows, token_ids=token_ids, height_px=height_px, width_px=width_px)


def describe(verification: Verification) -> str:
    """Return a text for the terminal: counts, or the first `MAX_SHOWN` findings."""
    total = sum(verification.num_samples.values())
    counts = ", ".join(f"{split} {number:,}" for split, number in verification.num_samples.items())
    size = f"{total:,} samples ({counts}) in {verification.num_shards:,} shards, {verification.num_bytes / 1e6:,.1f} MB"
    if not verification.num_findings:
        return f"{verification.folder}: {size}: all as they were written"
    lines = []
    for finding in verification.shown:
        where = (part for part in (finding.shard, finding.key) if part is not None)
        lines.append(": ".join([*where, finding.problem]))
    if verification.num_findings > len(lines):
        lines.append(f"… and {verification.num_findings - len(lines):,} more: --report FILE lists them all")
    return "\n".join(lines)


def summary_of_damage(verification: Verification) -> str:
    """Return one line that says how much is damaged and how to fix it."""
    total = sum(verification.num_samples.values())
    return (
        f"{verification.folder} is damaged: {verification.num_damaged_samples:,} of {total:,} samples, "
        f"{len(verification.damaged_shards):,} of {verification.num_shards:,} shards, "
        f"{verification.num_findings:,} findings in all: "
        f"run `{SHARDS.producer}` again, or copy the folder anew from where it is whole"
    )
