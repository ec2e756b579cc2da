"""Shards to be verified."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.destroy.shard_damage import make_folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of forty samples."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    make_folder(folder)
    table = pa.table({"key": pa.array([], pa.string())})
    pq.write_table(table, folder / "rejects.parquet")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "shards"))
