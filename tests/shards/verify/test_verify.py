"""`latexify verify`: whatever is wrong with a shard folder is named, and nothing that is right."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from benchmarks.destroy.shard_damage import Here, ids_of, make_folder, make_sample, run_trials
from latexify.artifacts.files import write_parquet
from latexify.artifacts.location import location_of
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME, SHARDS
from latexify.cli.app import app
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import write_shard
from latexify.shards.verify.verify import Verification, describe, verify

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


@pytest.fixture(scope="module")
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


def edit_index(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change rows of the index."""
    table = pq.read_table(folder / "index.parquet")
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "index.parquet")


def test_random_damage_is_always_named(tmp_path: Path) -> None:
    """Whatever disks and copies do to a shard, people learn which samples suffered, and no other bytes reach training.

    `make damage` does it 1,000 times.
    """
    faults, counts = run_trials(tmp_path, num_trials=60, seed=7)
    assert not faults
    assert counts["damaged_samples"] > 100


def test_whole_folder_passes_with_any_engine(whole: Path) -> None:
    """A check that cries wolf, or whose answer depends on the number of processes, is no check."""
    for engine in (Here(), Engine(backend="threading", jobs=2)):
        found = check(whole, engine=engine)
        assert not found.num_findings
        assert found.num_samples == {"train": 80, "test": 40}
    assert "120 samples (train 80, test 40) in 3 shards" in describe(found)


def test_findings_come_in_the_same_order_and_all_in_the_report(folder: Path, tmp_path: Path) -> None:
    """Reports of two runs can be compared; the screen shows the first twenty, the report all."""
    for name in ("train-00000.tar", "test-00000.tar"):
        path = folder / name
        path.write_bytes(path.read_bytes()[:2000] + bytes(10**5))
    reports = []
    for number, engine in enumerate((Here(), Engine(backend="threading", jobs=2))):
        found = check(folder, engine=engine, report=tmp_path / f"{number}.jsonl")
        reports.append((tmp_path / f"{number}.jsonl").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in reports[0].splitlines()]
    assert reports[0] == reports[1]
    assert len(lines) == found.num_findings > len(found.shown)
    assert set(lines[0]) == {"split", "shard", "key", "problem"}
    assert f"and {found.num_findings - 20} more" in describe(found)
    assert len({line["key"] for line in lines if line["key"]}) == found.num_damaged_samples


def test_missing_and_foreign_files_are_named(folder: Path) -> None:
    """Half a copy, or one with files of another run in it, must not pass."""
    (folder / "train-00001.tar").unlink()
    (folder / "train-00002.tar").write_bytes(b"of another run")
    (folder / "rejects.parquet").write_bytes(b"no")
    found = problems(folder)
    assert ("train-00001.tar", None, "the shard is missing") in found
    assert (None, None, "train-00002.tar does not belong to these shards") in found
    assert any("rejects.parquet cannot be read" in problem for _, _, problem in found)
    assert len(found) == 3


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


def test_a_damaged_manifest_is_one_error(folder: Path) -> None:
    """Nothing can be said without it."""
    manifest = read_manifest(folder, SHARDS)
    splits = {"train": {"num_samples": 1, "shards": []}}
    for content in ({}, {"splits": splits}, {"splits": {"train": {"num_samples": 0, "shards": []}}}, {"splits": 3}):
        write_manifest(folder, replace(manifest, content=content))
        with pytest.raises(LatexifyError, match=r"manifest\.json.*latexify rasterize"):
            check(folder)


def test_shards_in_an_object_store_are_checked(folder: Path) -> None:
    """Uploads are where shards get lost."""
    (folder / "train-00000.tar").write_bytes((folder / "train-00000.tar").read_bytes()[:-100])
    remote = location_of(f"memory://{folder.parent.name}/shards")
    remote.mkdir(parents=True)
    for path in folder.iterdir():
        (remote / path.name).write_bytes(path.read_bytes())
    assert problems(remote) == problems(folder) != []  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with shards and the tokenizer that they were made with: a token for each digit."""
    root = tmp_path_factory.mktemp("project")
    made_with = Manifest(kind="tokenizer", version=1, params={}, inputs={})
    (root / "data").mkdir()
    make_folder(root / "data" / "shards")
    pq.write_table(pa.table({"key": pa.array([], pa.string())}), root / "data" / "shards" / "rejects.parquet")
    build_latex_tokenizer("0123456789").save_pretrained(root / "data" / "tokenizer")
    write_manifest(root / "data" / "tokenizer", made_with)
    manifest = read_manifest(root / "data" / "shards", SHARDS)
    write_manifest(root / "data" / "shards", replace(manifest, inputs={"tokenizer": made_with.fingerprint}))
    return root


def latexify(*arguments: str) -> tuple[int | LatexifyError, str]:
    """Run a command in this process: exit code or error, and what it printed."""
    result = CliRunner().invoke(app, list(arguments))
    return result.exception if isinstance(result.exception, LatexifyError) else result.exit_code, result.stdout


def test_command_checks_the_tokens_with_the_tokenizer(project: Path) -> None:
    """Ids of another vocabulary train a model of another language: no checksum notices."""
    options = ("--root", str(project), "verify", "--backend", "threading", "--jobs", "1")
    code, printed = latexify(*options)
    assert code == 0, printed
    assert "all as they were written" in printed
    tokenizer = project / "data" / "tokenizer"
    shutil.move(tokenizer, project / "right")
    build_latex_tokenizer("0132456789").save_pretrained(tokenizer)
    shutil.copy(project / "right" / "manifest.json", tokenizer)
    error, printed = latexify(*options)
    assert "are not those of the label" in printed
    assert "samples" in str(error)
    write_manifest(tokenizer, Manifest(kind="tokenizer", version=2, params={}, inputs={}))
    error, _ = latexify(*options)
    assert "was made from another tokenizer" in str(error)
    assert latexify(*options, "--no-tokens")[0] == 0
    shutil.rmtree(tokenizer)
    shutil.move(project / "right", tokenizer)


def test_command_says_how_to_mend(folder: Path, tmp_path: Path) -> None:
    """One line to act on, exit code 1, and a report for scripts."""
    path = folder / "train-00001.tar"
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    report = tmp_path / "report.jsonl"
    arguments = ("verify", str(folder), "--no-tokens", "--jobs", "1", "--backend", "threading", "--report", str(report))
    error, printed = latexify(*arguments)
    assert isinstance(error, LatexifyError)
    assert "1 of 120 samples, 1 of 3 shards" in str(error)
    assert "run `latexify rasterize` again" in str(error)
    assert "train-00001.tar: train/writer5/ink040: " in printed
    assert [json.loads(line)["key"] for line in io.StringIO(report.read_text())] == [None, "train/writer5/ink040"]
