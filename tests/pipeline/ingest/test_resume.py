"""Stage ingest, interrupted: finished work is not repeated, and the result is byte-identical."""

import errno
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joblib import delayed
from upath import UPath

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SOURCE
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import IngestParams, InkmlParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import chunks, worker
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.ingest.dedup import ChunkOutcome
from latexify.pipeline.ingest.worker import read_chunk
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.source import stage as source

PARAMS = IngestParams(max_reject_fraction=0.5)
HERE = Engine(backend="sequential")

DRIVER = """
import sys
from pathlib import Path
from latexify.pipeline.ingest import chunks, stage as ingest
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Engine

chunks.MEMBERS_PER_CHUNK = 4
at, backend = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
ingest.run(
    IngestParams(max_reject_fraction=0.5), source=at / "source", out=at / "inks", metrics=at / "metrics.json",
    engine=Engine(jobs=2, backend=backend),
)
"""


def inkml(number: int) -> bytes:
    """An ink that depends on `number` alone."""
    return f'<ink><annotation type="truth">x</annotation><trace>{number} 0, {number} 5</trace></ink>'.encode()


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source of 24 files in 6 chunks: 2 are rejected, one chunk loses a row to duplicates, one all its rows."""
    monkeypatch.setattr(chunks, "MEMBERS_PER_CHUNK", 4)
    (tmp_path / "raw/inkml").mkdir(parents=True)
    for number in range(24):
        data = b"" if number % 10 == 9 else inkml(number % 18)
        (tmp_path / f"raw/inkml/{number:02d}.inkml").write_bytes(data)
    section = InkmlParams(valid_fraction=0, test_fraction=0)
    source.run(section, dataset="inkml", seed=1, raw=tmp_path / "raw", out=tmp_path / "source", jobs=1)
    return tmp_path


def run(at: Path, *, out: Location | None = None, params: IngestParams = PARAMS) -> dict[str, Any]:
    """Run the stage here."""
    metrics = at / "metrics.json"
    return ingest.run(params, source=at / "source", out=out or at / "inks", metrics=metrics, engine=HERE)


def contents(folder: Location) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_at_random_moments_it_ends_with_the_same_bytes(at: Path) -> None:
    """A preempted machine must lose no more than the work since the last chunk."""
    run(at, out=at / "undisturbed")
    chance = random.Random(1)
    for kill in range(6):
        command = [sys.executable, "-c", DRIVER, str(at), "loky" if kill % 3 == 0 else "threading"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 1.5 if kill % 3 == 0 else 0.15))
            os.killpg(process.pid, signal.SIGKILL)
    run(at)
    assert contents(at / "inks") == contents(at / "undisturbed")
    assert sorted(path.name for path in at.iterdir()) == ["inks", "metrics.json", "raw", "source", "undisturbed"]


class Killed(BaseException):
    """Nothing catches it."""


class Death:
    """Stops all file changes of this process at change number `step`, before or after it is made."""

    def __init__(self, patch: pytest.MonkeyPatch, *, step: int, made: bool) -> None:
        self.left, self.made = step, made
        for name in ("replace", "unlink", "rename"):
            patch.setattr(Path, name, self._mortal(getattr(Path, name)))

    def _mortal(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left > 0 or (self.left == 0 and self.made):
                result = change(*args, **options)
            if self.left <= 0:
                raise Killed
            return result

        return call


@pytest.mark.parametrize("made", [False, True])
def test_stopped_at_any_step_it_ends_with_the_same_bytes(at: Path, made: bool) -> None:  # noqa: FBT001
    """Above all, the last steps must drop the rows of duplicates exactly once."""
    run(at, out=at / "undisturbed")
    expected = contents(at / "undisturbed")
    for step in range(1, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: None)  # only slow here
            Death(patch, step=step, made=made)
            try:
                run(at)
            except Killed:
                pass
            else:
                break
        run(at)
        assert contents(at / "inks") == expected
        shutil.rmtree(at / "inks")
    assert step > 30


def count_parsed(patch: pytest.MonkeyPatch, *, stop_after: int = 1000) -> list[int]:
    """Record the chunks parsed from now on; a full disk stops the work after some."""
    parsed: list[int] = []

    def counted(chunk: chunks.Chunk, **options: Any) -> ChunkOutcome:
        if len(parsed) == stop_after:
            raise OSError(errno.ENOSPC, "No space left on device")
        parsed.append(chunk.index)
        return read_chunk(chunk, **options)

    patch.setattr(ingest, "read_chunk", counted)
    return parsed


def stop_after(number: int, at: Path, *, out: Location | None = None) -> None:
    """Run the stage until it has parsed `number` chunks."""
    with pytest.MonkeyPatch.context() as patch:
        parsed = count_parsed(patch, stop_after=number)
        with pytest.raises(OSError, match="No space left"):
            run(at, out=out)
        assert parsed == list(range(number))


def test_only_what_is_missing_is_parsed(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of resuming."""
    stop_after(4, at)
    parsed = count_parsed(monkeypatch)
    run(at)
    assert parsed == [4, 5]


def test_other_parameters_reuse_nothing(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed parameters must not mix with old parts."""
    stop_after(4, at)
    parsed = count_parsed(monkeypatch)
    run(at, params=IngestParams(max_reject_fraction=0.5, max_points=5))
    assert parsed == list(range(6))


def test_more_rejections_allowed_need_no_second_parsing(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users who accept the rejections must not wait for the parsing again."""
    with pytest.raises(LatexifyError, match=r"2 of 24 inputs are unusable.*\.inks\.draft/rejects\.parquet lists"):
        run(at, params=IngestParams(max_reject_fraction=0.01))
    parsed = count_parsed(monkeypatch)
    run(at)
    assert parsed == []
    (at / "raw/inkml/00.inkml").write_bytes(inkml(0) + b" ")
    with pytest.raises(LatexifyError, match="has changed since"):
        run(at)


def test_the_dedup_plan_does_not_outlive_a_change_of_the_data(at: Path) -> None:
    """Files fixed after too many rejections must be read again, not taken from the draft."""
    with pytest.raises(LatexifyError, match="are unusable"):
        run(at, params=IngestParams(max_reject_fraction=0.01))
    (at / "raw/inkml/09.inkml").write_bytes(inkml(9))
    with pytest.raises(LatexifyError, match="has changed since `latexify source`"):
        run(at)


@pytest.mark.parametrize("step", range(1, 17, 3))
def test_full_disk_leaves_nothing_that_looks_whole(at: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The next run would take half a file under its final name for a complete one."""
    run(at, out=at / "undisturbed")
    left = step

    def fill_up(_: int) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill_up)
        with pytest.raises(OSError, match="No space left"):
            run(at)
    assert not (at / "inks").exists()
    run(at)
    assert contents(at / "inks") == contents(at / "undisturbed")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_is_one_error(at: Path) -> None:
    """The command line says what to do about it."""
    (at / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        run(at, out=at / "locked/inks")


def test_dying_worker_is_one_clear_error() -> None:
    """The kernel kills workers when memory runs out, which a traceback of the pool would not say."""
    with pytest.raises(LatexifyError, match=r"worker process died.*fewer --jobs"):
        list(Engine(jobs=2).run([delayed(os._exit)(1), delayed(os.getpid)()], in_order=False))


def test_inks_in_an_object_store_are_the_same(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores cannot rename folders: unfinished output must not look complete or mix with later runs."""
    run(at)
    store = UPath("memory://latexify/inks")
    stop_after(4, at, out=store)
    assert not (store / "manifest.json").exists()
    with monkeypatch.context() as patch:
        parsed = count_parsed(patch)
        run(at, out=store)
    assert parsed == [4, 5]
    assert contents(store) == contents(at / "inks")
    run(at, out=store)
    assert contents(store) == contents(at / "inks")


def test_worker_that_does_not_see_the_folder_says_so(at: Path) -> None:
    """On a cluster without a shared folder, each worker would fill its own folder and parts would be missing."""
    plan = source_plan(at)
    chunk = next(chunks.iter_chunks(plan, base=at / "source", max_file_bytes=9999, read_by_workers=True))
    with pytest.raises(LatexifyError, match=r"a worker cannot see .*elsewhere.*all machines share"):
        read_chunk(chunk, plan=plan, params=PARAMS, base=at / "source", out=at / "elsewhere")


def test_files_may_travel_with_their_task(at: Path) -> None:
    """Workers of a cluster may not see the folder of the inputs; the bytes are the same either way."""
    plan = source_plan(at)
    for read_by_workers, name in ((True, "one"), (False, "two")):
        (at / name).mkdir()
        (at / name / "recipe.json").touch()
        for chunk in chunks.iter_chunks(plan, base=at / "source", max_file_bytes=9999, read_by_workers=read_by_workers):
            assert all((member.data is None) == read_by_workers for _, member in chunk.members)
            read_chunk(chunk, plan=plan, params=PARAMS, base=at / "source", out=at / name)
    assert contents(at / "one") == contents(at / "two")


@pytest.mark.parametrize("kind", ["tar", "gztar", "zip"])
def test_members_of_archives_are_read_in_place_or_sent(at: Path, kind: str) -> None:
    """Only plain tars can be read in place; the parts are the same whichever process reads the members."""
    shutil.make_archive(str(at / "packed"), kind, at / "raw")
    (packed,) = at.glob("packed.*")
    section = InkmlParams(paths=[packed.name], valid_fraction=0, test_fraction=0)
    source.run(section, dataset="inkml", seed=1, raw=at, out=at / "source", jobs=1)
    plan = source_plan(at)
    for read_by_workers, name in ((True, "one"), (False, "two")):
        (at / name).mkdir()
        (at / name / "recipe.json").touch()
        for chunk in chunks.iter_chunks(plan, base=at / "source", max_file_bytes=9999, read_by_workers=read_by_workers):
            assert all((member.data is None) == (read_by_workers and kind == "tar") for _, member in chunk.members)
            read_chunk(chunk, plan=plan, params=PARAMS, base=at / "source", out=at / name)
    assert contents(at / "one") == contents(at / "two")


def test_an_archive_that_changes_under_way_is_named(at: Path) -> None:
    """Workers would take other bytes at the listed offsets for InkML."""
    shutil.make_archive(str(at / "packed"), "tar", at / "raw")
    section = InkmlParams(paths=["packed.tar"], valid_fraction=0, test_fraction=0)
    source.run(section, dataset="inkml", seed=1, raw=at, out=at / "source", jobs=1)
    plan = source_plan(at)
    chunk = next(chunks.iter_chunks(plan, base=at / "source", max_file_bytes=9999, read_by_workers=True))
    os.truncate(at / "packed.tar", 1000)
    (at / "one").mkdir()
    (at / "one" / "recipe.json").touch()
    with pytest.raises(LatexifyError, match=r"packed\.tar has changed since"):
        read_chunk(chunk, plan=plan, params=PARAMS, base=at / "source", out=at / "one")


def test_rejections_keep_nothing_of_their_chunk(at: Path) -> None:
    """Each kept the data of its neighbours, 15 MB, until garbage collection: workers grew with the dataset."""
    plan = source_plan(at)
    (at / "one").mkdir()
    (at / "one" / "recipe.json").touch()
    found = list(chunks.iter_chunks(plan, base=at / "source", max_file_bytes=9999, read_by_workers=True))
    gc.collect()
    gc.disable()
    try:
        outcomes = [read_chunk(chunk, plan=plan, params=PARAMS, base=at / "source", out=at / "one") for chunk in found]
        assert sum(outcome.num_rejected for outcome in outcomes) == 2
        assert not [kept for kept in gc.get_objects() if type(kept) is worker._Candidate]
    finally:
        gc.enable()


def source_plan(at: Path) -> SourcePlan:
    """Read what the source stage wrote."""
    return SourcePlan.from_content(read_manifest(at / "source", SOURCE).content, where=at)
