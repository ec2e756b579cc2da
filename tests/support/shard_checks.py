"""Verification of a folder of shards in this process."""

from pathlib import Path
from typing import Any

from benchmarks.destroy.shard_damage import Here, ids_of
from latexify.shards.verify.verify import Verification, verify

KEY = "train/writer0/ink000"
"""The first sample of the first shard."""


def encode(labels: Any) -> Any:
    """Token ids of labels."""
    return list(map(ids_of, labels))


def check(folder: Path, **options: Any) -> Verification:
    """Verify in this process."""
    return verify(folder, **{"encode": encode, "engine": Here(), **options})


def problems(folder: Path, **options: Any) -> list[tuple[str | None, str | None, str]]:
    """Shard, key and problem of the findings."""
    return [(finding.shard, finding.key, finding.problem) for finding in check(folder, **options).shown]
