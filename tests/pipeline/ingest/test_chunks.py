"""Chunks of inputs and their records."""

from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.ingest import chunks
from latexify.pipeline.ingest.chunks import ChunkRecord, iter_chunks, read_record, require_unchanged, write_record
from latexify.pipeline.inks.ink import Reason, Rejection
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.inputs.scan import InputSpec, scan_inputs
from latexify.pipeline.inputs.splits import InputSplit


@pytest.fixture
def plan(tmp_path: Path) -> SourcePlan:
    """Two folders with five inks of ten bytes."""
    for name in ("a/1", "a/2", "a/3", "b/4", "b/5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.inkml").write_bytes(b"x" * 10)
    specs = [InputSpec(path=tmp_path / name, name=name, rule=InputSplit(split="train")) for name in "ab"]
    return SourcePlan(inputs=scan_inputs(specs, base=tmp_path), label_annotations=[], writer_annotations=[])


def names(plan: SourcePlan, base: Path, *, read_by_workers: bool = False) -> list[list[str]]:
    """Names of the members of each chunk."""
    found = iter_chunks(plan, base=base, max_file_bytes=100, read_by_workers=read_by_workers)
    return [[f"{item.name}/{member.name}" for item, member in chunk.members] for chunk in found]


def test_chunks_depend_on_the_inputs_only(plan: SourcePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run must meet the same chunks, whoever reads the files."""
    monkeypatch.setattr(chunks, "MEMBERS_PER_CHUNK", 2)
    expected = [["a/1.inkml", "a/2.inkml"], ["a/3.inkml", "b/4.inkml"], ["b/5.inkml"]]
    assert names(plan, tmp_path) == names(plan, tmp_path, read_by_workers=True) == expected
    monkeypatch.setattr(chunks, "BYTES_PER_CHUNK", 10)
    assert [len(chunk) for chunk in names(plan, tmp_path)] == [1] * 5


def test_data_is_left_to_workers_on_this_machine(plan: SourcePlan, tmp_path: Path) -> None:
    """Sending file contents to workers would cost the main process most of its time."""
    for read_by_workers, data in ((False, b"x" * 10), (True, None)):
        (chunk,) = iter_chunks(plan, base=tmp_path, max_file_bytes=100, read_by_workers=read_by_workers)
        assert {member.data for _, member in chunk.members} == {data}


def test_identity_tells_other_files_apart(plan: SourcePlan, tmp_path: Path) -> None:
    """The record of other files must not be reused after an interruption."""
    (before,) = iter_chunks(plan, base=tmp_path, max_file_bytes=100, read_by_workers=True)
    (again,) = iter_chunks(plan, base=tmp_path, max_file_bytes=100, read_by_workers=False)
    assert before.identity == again.identity
    less = plan.model_copy(update={"inputs": plan.inputs[:1]})
    (other,) = iter_chunks(less, base=tmp_path, max_file_bytes=100, read_by_workers=True)
    assert other.identity != before.identity


def test_a_folder_that_changed_is_refused(plan: SourcePlan, tmp_path: Path) -> None:
    """The inks would carry the fingerprint of other data."""
    require_unchanged(plan, base=tmp_path)
    (tmp_path / "b/6.inkml").write_bytes(b"")
    with pytest.raises(LatexifyError, match="b has changed since"):
        require_unchanged(plan, base=tmp_path)
    with pytest.raises(LatexifyError, match="b has changed since"):
        names(plan, tmp_path)


def test_a_record_is_read_back(tmp_path: Path) -> None:
    """What an interrupted run rejected must not be lost."""
    rejection = Rejection(key="k", source="a/k.inkml", reason=Reason.BAD_POINTS, detail="x")
    record = ChunkRecord(identity="0f", num_rows=3, rejections=[rejection])
    write_record(tmp_path, 7, record)
    assert read_record(tmp_path, 7) == record
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path, 8)
