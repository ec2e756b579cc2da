"""Stage ingest: every input is accounted for, and the bytes do not depend on how the work was distributed."""

import hashlib
import io
import json
import os
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from latexify.common.errors import LatexifyError
from latexify.common.section import Section
from latexify.pipeline.config import CrohmeParams, DatasetName, IngestParams, InkmlParams, MathWritingParams
from latexify.pipeline.engine.engine import Backend, Engine
from latexify.pipeline.ingest import chunks
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.source import stage as source

ALL_ALLOWED = IngestParams(max_reject_fraction=1)


def inkml(number: int, *, label: str = "$x$", writer: str | None = None) -> bytes:
    """An ink of CROHME's kind, whose strokes depend on `number` alone."""
    return annotated(number, {"truth": label} | ({"writer": writer} if writer else {}))


def mathwriting(number: int, **annotations: str) -> bytes:
    """An ink of MathWriting's kind."""
    return annotated(number, annotations)


def annotated(number: int, annotations: Mapping[str, str]) -> bytes:
    """An InkML document."""
    texts = "".join(f'<annotation type="{name}">{text}</annotation>' for name, text in annotations.items())
    return f"<ink>{texts}<trace>{number} 0, {number} 5</trace><trace>1 1</trace></ink>".encode()


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def run_source(section: Section, at: Path, *, dataset: DatasetName = "inkml") -> None:
    """Run the source stage."""
    source.run(section, dataset=dataset, seed=1, raw=at / "raw", out=at / "source", jobs=1)


def run(
    at: Path, *, params: IngestParams = ALL_ALLOWED, jobs: int = 1, backend: Backend = "sequential"
) -> dict[str, Any]:
    """Run the stage on what source wrote."""
    metrics = at / "metrics/ingest.json"
    counts = ingest.run(
        params, source=at / "source", out=at / "inks", metrics=metrics, engine=Engine(jobs=jobs, backend=backend)
    )
    assert json.loads(metrics.read_text()) == counts
    return counts


def rejects(at: Path) -> dict[str, tuple[str, str]]:
    """Reason and detail by key."""
    rows = pq.read_table(at / "inks/rejects.parquet").to_pylist()
    return {row["key"]: (row["reason"], row["detail"]) for row in rows}


def digest(folder: Path) -> str:
    """Hash of names and bytes of all files of a folder."""
    files = sorted(path for path in folder.iterdir())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def test_every_input_is_a_row_or_a_rejection(tmp_path: Path) -> None:
    """Users cannot fix files that are dropped silently."""
    good = {f"good/{number}.inkml": inkml(number) for number in range(5)}
    bad = {
        "empty.inkml": b"",
        "cut.inkml": inkml(9)[:-9],
        "svg.inkml": b"<svg/>",
        "bomb.inkml": b'<!DOCTYPE ink [<!ENTITY a "b">]><ink>&a;</ink>',
        "nan.inkml": inkml(9).replace(b"9 5", b"9 NaN"),
        "bare.inkml": b"<ink><annotation type='truth'>x</annotation></ink>",
        "mute.inkml": b"<ink><trace>1 2</trace></ink>",
        "blank.inkml": inkml(8, label=" $ $ "),
        "long.inkml": inkml(8, label="x" * 101),
        "large.inkml": inkml(8) + b" " * 2000,
        "many.inkml": b"<ink><trace>" + b"1 2," * 101 + b"</trace></ink>",
    }
    put(tmp_path / "raw/inkml", good | bad | {"readme.txt": b"", "symbols.jsonl": b"{}"})
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    counts = run(
        tmp_path, params=IngestParams(max_reject_fraction=1, max_file_bytes=2000, max_points=100, max_label_chars=100)
    )
    assert {key: reason for key, (reason, _) in rejects(tmp_path).items()} == {
        "empty": "empty-file",
        "cut": "malformed-xml",
        "svg": "not-inkml",
        "bomb": "hostile-xml",
        "nan": "bad-points",
        "bare": "no-strokes",
        "mute": "no-label",
        "blank": "bad-label",
        "long": "bad-label",
        "large": "too-large",
        "many": "too-large",
    }
    assert all(detail for _, detail in rejects(tmp_path).values())
    assert counts["inputs"] == len(good) + len(bad)
    assert counts["rows"] == {"train": 5, "valid": 0, "test": 0}
    assert sum(counts["rejected"].values()) == len(bad)
    first = next(read_inks(tmp_path / "inks"))
    assert (first.key, first.label, first.normalized_label, first.writer) == ("good/0", "$x$", "x", None)
    assert first.source == "inkml/good/0.inkml"
    assert [stroke.tolist() for stroke in first.strokes] == [[[0, 0], [0, 5]], [[1, 1]]]


@pytest.mark.parametrize(("jobs", "backend"), [(2, "threading"), (2, "loky")])
def test_job_count_and_backend_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, backend: Backend
) -> None:
    """Two machines must make the same inks from the same data, or later results cannot be compared."""
    monkeypatch.setattr(chunks, "MEMBERS_PER_CHUNK", 7)
    files = {f"{number}.inkml": inkml(number % 40, writer=str(number % 3)) for number in range(60)}
    put(tmp_path / "raw/inkml", files | {"bad.inkml": b""})
    run_source(InkmlParams(split_by="writer"), tmp_path)
    expected = run(tmp_path)
    before = digest(tmp_path / "inks")
    assert run(tmp_path, jobs=jobs, backend=backend) == expected
    assert digest(tmp_path / "inks") == before
    assert len(list((tmp_path / "inks").glob("part-*.parquet"))) > 3


def test_chunks_end_at_the_byte_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand files of 8 MB each must not be in a worker's memory at once."""
    put(tmp_path / "raw/inkml", {f"{number}.inkml": inkml(number) for number in range(10)})
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    monkeypatch.setattr(chunks, "BYTES_PER_CHUNK", 3 * len(inkml(1)))
    run(tmp_path)
    assert [ink.key for ink in read_inks(tmp_path / "inks")] == [str(number) for number in range(10)]
    assert len(list((tmp_path / "inks").glob("part-*.parquet"))) == 4


def test_too_many_rejections_stop_the_stage(tmp_path: Path) -> None:
    """A model trained on the readable half of the data would be reported as trained on all of it."""
    put(tmp_path / "raw/inkml", {f"{number}.inkml": inkml(number) for number in range(8)})
    put(tmp_path / "raw/inkml", {"a.inkml": b"", "b.inkml": b""})
    put(tmp_path / "raw/inkml", {f"again{number}.inkml": inkml(number) for number in range(5)})
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    with pytest.raises(LatexifyError) as caught:
        run(tmp_path, params=IngestParams(max_reject_fraction=0.13))
    message = str(caught.value)
    for part in ("2 of 15", "13.3%", "max_reject_fraction", "empty-file (2)", "inkml/a.inkml"):
        assert part in message
    assert "\n" not in message
    named = Path(message.rsplit("; ", maxsplit=1)[-1].removesuffix(" lists them all"))
    assert pq.read_metadata(named).num_rows == 7
    assert not (tmp_path / "inks").exists()


def test_test_inks_alone_are_taken_and_one_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test set is enough to evaluate a model; a misnamed folder would otherwise show up three stages later."""
    put(tmp_path / "raw/inkml", {"test/a.inkml": inkml(1)})
    run_source(InkmlParams(split_by="folder"), tmp_path)
    assert run(tmp_path)["rows"] == {"train": 0, "valid": 0, "test": 1}
    [line] = [line for line in capsys.readouterr().err.splitlines() if "training split" in line]
    assert "can be evaluated (predict.model), but not trained" in line


def test_a_dataset_of_test_inks_alone(tmp_path: Path) -> None:
    """CROHME's test set without its training inks."""
    put(tmp_path / "raw/test", {"a.inkml": inkml(1)})
    run_source(CrohmeParams(train=[], test=["test"]), tmp_path, dataset="crohme")
    assert run(tmp_path)["rows"] == {"train": 0, "valid": 0, "test": 1}


def test_inkml_of_office_and_linked_folders_become_rows(tmp_path: Path) -> None:
    """What `source` counts, `ingest` must read."""
    put(tmp_path / "elsewhere", {"b.inkml": inkml(2)})
    put(tmp_path / "raw/inkml", {"a.xml": inkml(1), "other.xml": b"<other/>"})
    (tmp_path / "raw/inkml/more").symlink_to(tmp_path / "elsewhere")
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    assert run(tmp_path)["rows"] == {"train": 2, "valid": 0, "test": 0}


def test_no_ink_at_all_is_an_error(tmp_path: Path) -> None:
    """There is nothing to go on with."""
    put(tmp_path / "raw/inkml", {"test/a.inkml": b""})
    run_source(InkmlParams(split_by="folder"), tmp_path)
    with pytest.raises(LatexifyError, match="no ink is left of 1 inputs"):
        run(tmp_path, params=IngestParams(max_reject_fraction=1))


def test_duplicates_and_leaks(tmp_path: Path) -> None:
    """No ink is trained on twice or evaluated after training on it; evaluation splits stay complete."""
    put(tmp_path / "raw/train", {"a.inkml": inkml(1), "b.inkml": inkml(1), "c.inkml": inkml(2), "d.inkml": inkml(3)})
    put(tmp_path / "raw/valid", {"e.inkml": inkml(2), "f.inkml": inkml(4)})
    put(tmp_path / "raw/test", {"g.inkml": inkml(4), "h.inkml": inkml(4)})
    run_source(CrohmeParams(train=["train"], valid=["valid"], test=["test"]), tmp_path, dataset="crohme")
    counts = run(tmp_path, params=IngestParams(max_reject_fraction=0))
    assert counts["rows"] == {"train": 2, "valid": 1, "test": 2}
    assert rejects(tmp_path) == {
        "b": ("duplicate-ink", "same strokes as a (train)"),
        "c": ("leaked-ink", "same strokes as e (valid)"),
        "f": ("leaked-ink", "same strokes as g (test)"),
    }
    assert [ink.key for ink in read_inks(tmp_path / "inks")] == ["a", "d", "e", "g", "h"]


def test_repeated_names_and_links_in_an_archive(tmp_path: Path) -> None:
    """Archives can hold a name twice, or links to files outside: both are reported, and links are not followed."""
    (tmp_path / "raw").mkdir()
    with zipfile.ZipFile(tmp_path / "raw/z.zip", "w") as archive:
        archive.writestr("a.inkml", inkml(1))
        archive.writestr("a.INKML", inkml(2))
        archive.writestr("../up.inkml", inkml(3))
    with tarfile.open(tmp_path / "raw/t.tar", "w") as tar:
        link = tarfile.TarInfo("link.inkml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    run_source(InkmlParams(paths=["z.zip", "t.tar"], valid_fraction=0, test_fraction=0), tmp_path)
    assert run(tmp_path)["inputs"] == 4
    assert {key: reason for key, (reason, _) in rejects(tmp_path).items()} == {
        "a": "duplicate-key",
        "link": "not-inkml",
    }
    assert [ink.key for ink in read_inks(tmp_path / "inks")] == ["a", "%2E%2E/up"]


def test_mathwriting_layout(tmp_path: Path) -> None:
    """Splits are the published ones, symbols have only plain labels, and other folders are ignored."""
    root = tmp_path / "raw/mw/mathwriting-2024"
    put(
        root,
        {
            "train/0a.inkml": mathwriting(1, label="no", normalizedLabel="a"),
            "symbols/0b.inkml": mathwriting(2, label="c"),
            "synthetic/0c.inkml": mathwriting(3, normalizedLabel="d"),
            "valid/0d.inkml": mathwriting(4, normalizedLabel="e"),
            "test/0e.inkml": mathwriting(5, normalizedLabel="f"),
        },
    )
    run_source(MathWritingParams(archive="mw", train_folders=["train", "symbols"]), tmp_path, dataset="mathwriting")
    assert run(tmp_path)["inputs"] == 4
    found = {ink.key.rpartition("/")[2]: (ink.split, ink.normalized_label) for ink in read_inks(tmp_path / "inks")}
    assert found == {"0a": ("train", "a"), "0b": ("train", "c"), "0d": ("valid", "e"), "0e": ("test", "f")}


def test_earlier_results_do_not_survive(tmp_path: Path) -> None:
    """Parts of an earlier, larger run would be read too."""
    put(tmp_path / "raw/inkml", {f"{number}.inkml": inkml(number) for number in range(4)})
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    put(tmp_path / "inks", {"part-00007.parquet": b"old", "manifest.json": b"{}"})
    run(tmp_path)
    assert sorted(path.name for path in (tmp_path / "inks").iterdir()) == [
        "manifest.json",
        "part-00000.parquet",
        "rejects.parquet",
    ]


def test_changed_and_damaged_sources_are_refused(tmp_path: Path) -> None:
    """The manifest must describe the files that were read; a damaged archive must not hang the workers."""
    random = Random(1)  # a fixed seed, since the effect of the damage depends on every byte
    (tmp_path / "raw").mkdir()
    path = tmp_path / "raw/t.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for number in range(50):
            data = random.randbytes(20) + inkml(number)
            member = tarfile.TarInfo(f"train/{number}.inkml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    run_source(InkmlParams(paths=["t.tgz"]), tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-500])
    with pytest.raises(LatexifyError, match="has changed since"):
        run(tmp_path)
    path.write_bytes(data[:1000] + bytes(500) + data[1500:])
    with pytest.raises(LatexifyError, match=r"t\.tgz cannot be read"):
        run(tmp_path, jobs=2, backend="threading")
    path.unlink()
    with pytest.raises(LatexifyError, match="does not exist"):
        run(tmp_path)


@pytest.mark.parametrize("change", ["more", "longer"])
def test_folder_that_changed_since_source_is_refused(tmp_path: Path, change: str) -> None:
    """Files added between the stages would get the fingerprint of data without them."""
    put(tmp_path / "raw/inkml", {"a.inkml": inkml(1)})
    run_source(InkmlParams(valid_fraction=0, test_fraction=0), tmp_path)
    put(tmp_path / "raw/inkml", {"b.inkml": inkml(2)} if change == "more" else {"a.inkml": inkml(10)})
    with pytest.raises(LatexifyError, match="has changed since"):
        run(tmp_path)


@pytest.mark.real
def test_crohme_comes_in_whole(tmp_path: Path) -> None:
    """The published CROHME files, defects included: one empty file, 42 pairs of equal inks in training."""
    real = os.environ.get("LATEXIFY_REAL_DATA")
    if real is None:
        pytest.skip("LATEXIFY_REAL_DATA is not set: it names the folder that holds crohme/train.tar.xz")
    source.run(CrohmeParams(), dataset="crohme", seed=1, raw=Path(real), out=tmp_path / "source", jobs=1)
    started_s = time.process_time()
    counts = run(tmp_path, params=IngestParams())
    assert time.process_time() - started_s < 60  # of one core: half a minute on two
    assert counts["inputs"] == 8836 + 986
    assert counts["rejected"] == {"duplicate-ink": 38, "empty-file": 1}
    rows = counts["rows"]
    assert (rows["train"] + rows["valid"], rows["test"]) == (8836 - 39, 986)
    assert 0.03 < rows["valid"] / 8836 < 0.08
    writers: dict[str, set[str]] = {"train": set(), "valid": set()}
    hashes = []
    for part in sorted((tmp_path / "inks").glob("part-*.parquet")):
        for row in pq.read_table(part, columns=["split", "writer", "content_hash"]).to_pylist():
            if row["writer"] is not None and row["split"] in writers:
                writers[row["split"]].add(row["writer"])
            hashes.append(row["content_hash"])
    assert writers["valid"]
    assert not writers["train"] & writers["valid"]
    # four pairs lie in valid, one in test
    assert len(hashes) - len(set(hashes)) == 5
