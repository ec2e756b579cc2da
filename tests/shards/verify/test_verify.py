"""`latexify verify`: whatever is wrong with a shard folder is named, and nothing that is right."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from benchmarks.destroy.shard_damage import Here, make_folder, run_trials
from latexify.artifacts.location import location_of
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import SHARDS
from latexify.cli.app import app
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer
from latexify.shards.verify.verify import describe
from tests.support.shard_checks import check, problems


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
