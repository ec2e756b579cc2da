"""Members of a shard that are no samples, or samples with wrong contents, are named."""

import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.destroy.shard_damage import make_sample
from latexify.artifacts.files import write_parquet
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME, SHARDS
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import write_shard
from tests.support.shard_checks import KEY, check, problems


def write_one(folder: Path, sample: EncodedSample) -> None:
    """A folder with one sample, written and indexed as it is."""
    folder.mkdir()
    shard, rows = write_shard(folder, split="train", number=0, samples=[sample])
    write_parquet(folder / INDEX_NAME, rows)
    facts = {name: getattr(shard, name) for name in ("name", "num_samples", "num_bytes", "sha256")}
    splits = {"train": {"num_samples": 1, "shards": [facts]}}
    pq.write_table(pa.table({"key": pa.array([], pa.string())}), folder / "rejects.parquet")
    params = {"height_px": 24, "width_px": 64}
    write_manifest(folder, Manifest(kind="shards", version=1, params=params, inputs={}, content={"splits": splits}))


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (tarfile.SYMTYPE, None, "stands a symbolic link"),
        (tarfile.CHRTYPE, None, "stands a device"),
        (tarfile.REGTYPE, "../../etc/passwd", "stands '../../etc/passwd'"),
        (tarfile.REGTYPE, "/etc/passwd", "stands '/etc/passwd'"),
    ],
)
def test_members_that_are_not_samples_are_named(folder: Path, kind: bytes, name: str | None, message: str) -> None:
    """Who unpacks a shard with another program must not overwrite files elsewhere."""
    path = folder / "train-00000.tar"
    data = bytearray(path.read_bytes())
    info = tarfile.TarInfo.frombuf(bytes(data[:512]), "utf-8", "strict")
    info.type, info.name = kind, name or info.name
    info.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
    data[:512] = info.tobuf(tarfile.USTAR_FORMAT)
    path.write_bytes(data)
    found = problems(folder)
    assert [key for _, key, _ in found] == [None, KEY]
    assert message in found[1][2]


def rewritten(**changes: Any) -> EncodedSample:
    """The first sample with other content, so that all checksums are right."""
    return replace(make_sample(KEY, 0), **changes)


def described(**changes: Any) -> dict[str, Any]:
    """The JSON of the first sample with other fields."""
    return {**make_sample(KEY, 0).description, **changes}


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (rewritten(png=b"no picture, but rightly summed"), "the PNG cannot be decoded"),
        (rewritten(png=make_sample(KEY, 0).png.replace(b"IHDR", b"IHDX")), "the PNG cannot be decoded"),
        (rewritten(token_ids=np.array([4, 2, 5, 2], np.int32)), "do not end with an end id that stands nowhere else"),
        (rewritten(token_ids=np.array([4, 7, 2], np.int32)), "are not those of the label"),
        (rewritten(label="1"), "its label is '1' in the index"),
        (rewritten(description=described(extent=[1.0, float("nan")])), "missing or wrong: extent"),
        (rewritten(description=described(num_strokes=-1, writer=3)), "missing or wrong: writer, num_strokes"),
        (rewritten(description={"label": "x"}), "missing or wrong: normalized_label, writer, source"),
    ],
)
def test_faults_of_making_are_named(tmp_path: Path, sample: EncodedSample, message: str) -> None:
    """Checksums are right where the writer itself was wrong: contents are looked at, too."""
    write_one(tmp_path / "shards", sample)
    found = check(tmp_path / "shards")
    assert [finding.key for finding in found.shown] == [KEY]
    assert message in found.shown[0].problem


def test_a_picture_of_another_size_is_named(folder: Path) -> None:
    """Batches of two sizes cannot be stacked."""
    manifest = read_manifest(folder, SHARDS)
    write_manifest(folder, replace(manifest, params={"height_px": 24, "width_px": 65}))
    found = check(folder)
    assert found.num_damaged_samples == 120
    assert "the picture is 24x64 px, the canvas 24x65 px" in found.shown[0].problem
