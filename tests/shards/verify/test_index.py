"""An index that does not fit its shards is named."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import SHARDS
from tests.support.shard_checks import KEY, problems


def edit_index(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change rows of the index."""
    table = pq.read_table(folder / "index.parquet")
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "index.parquet")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("png_offset", 512 * 9, "its other members do not allow"),
        ("png_bytes", 10**15, "do not allow"),
        ("json_bytes", 3, "bytes by its header, 3 by the index"),
        ("ids_bytes", -1, "a length below one"),
        ("num_tokens", 2**31 - 1, "not an .npy file"),
        ("key", "train/other", "stands 'train/writer3/ink003.png'"),
        ("key", "../up", "cannot name a sample"),
        ("label", "77", "its label is '77' in the index"),
        ("sample_crc32", 1, "damaged: picture or token ids (CRC-32)"),
        ("json_crc32", 1, "damaged: JSON (CRC-32)"),
    ],
)
def test_a_wrong_index_is_named_by_the_sample_that_it_is_wrong_about(
    folder: Path, column: str, value: Any, message: str
) -> None:
    """The manifest has no hash of the index: every column must be checked against the tars."""
    edit_index(folder, lambda rows: rows[3].update({column: value}))
    found = problems(folder)
    assert len(found) == 1
    assert message in found[0][2]
    assert found[0][1] == (value if column == "key" else "train/writer3/ink003")


def test_rows_that_moved_are_named(folder: Path) -> None:
    """Rows of one shard under the name of another would be read from the wrong tar."""
    edit_index(folder, lambda rows: rows[40].update(shard="train-00000.tar"))
    found = problems(folder)
    assert ("train-00000.tar", None, "41 samples by the index, 40 by the manifest") in found
    assert ("train-00001.tar", None, "39 samples by the index, 40 by the manifest") in found
    edit_index(folder, lambda rows: rows[0].update(shard="elsewhere.tar"))
    assert any("1 rows are of shards that the manifest does not name" in problem for _, _, problem in problems(folder))


def test_an_ink_in_two_splits_is_named(folder: Path) -> None:
    """A model that was trained on its test inks would look better than it is."""
    edit_index(folder, lambda rows: rows[100].update(key=KEY))
    found = problems(folder)
    assert ("train-00000.tar", KEY, "its ink is in two splits") in found
    assert ("test-00000.tar", KEY, "its ink is in two splits") in found


def test_variants_of_an_ink_are_one_ink(folder: Path) -> None:
    """A variant in training of what is judged in the test split would be learnt by heart; their keys differ."""
    edit_index(folder, lambda rows: rows[1].update(key=f"{KEY}@1"))
    assert not any("two splits" in problem for _, _, problem in problems(folder))
    edit_index(folder, lambda rows: rows[100].update(key=f"{KEY}@2"))
    found = problems(folder)
    for shard, key in (("train-00000.tar", KEY), ("train-00000.tar", f"{KEY}@1"), ("test-00000.tar", f"{KEY}@2")):
        assert (shard, key, "its ink is in two splits") in found


def test_another_index_than_the_manifests_is_named(folder: Path) -> None:
    """Whatever is changed in it, and if only in how it is compressed: it is not the file that was written."""
    manifest = read_manifest(folder, SHARDS)
    facts = {"num_bytes": 0, "sha256": hashlib.sha256((folder / "index.parquet").read_bytes()).hexdigest()}
    write_manifest(folder, replace(manifest, content={**manifest.content, "index": facts}))
    assert not problems(folder)
    edit_index(folder, lambda _: None)
    assert problems(folder) == [(None, None, "index.parquet: is not the one of the manifest (its SHA-256 is another)")]


def test_an_unreadable_index_still_checks_the_shards(folder: Path) -> None:
    """People want to know whether the tars are worth keeping."""
    (folder / "index.parquet").write_bytes(b"no")
    (folder / "test-00000.tar").write_bytes(b"short")
    found = problems(folder)
    assert "index.parquet: cannot be read" in found[0][2]
    assert {shard for shard, _, _ in found[1:]} == {"test-00000.tar"}
