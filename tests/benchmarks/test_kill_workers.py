"""A worker of a cluster dies in the middle of a stage of the command line, and not a byte differs."""

from pathlib import Path

import pytest

from benchmarks.destroy.kill_workers import Outcome, Project, hashes, kill_both, line_of, open_cluster, prepare

# ingest sends 1,024 inks at a time
PARAMS = """
model: {base: scratch}
synthetic: {num_train: 3300, num_valid: 20, num_test: 20, num_writers: 40, max_tokens: 4}
rasterize: {height_px: 32, width_px: 128, samples_per_shard: 100}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Inks and shards, made on this machine alone."""
    made = Project(tmp_path_factory.mktemp("project") / "here", PARAMS)
    prepare(made)
    return made


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_killed_worker_changes_no_byte(project: Project, tmp_path: Path, backend: str) -> None:
    """With many machines one always dies; its work must be done once, by another, and be the same."""
    pytest.importorskip("distributed" if backend == "dask" else "ray")
    with open_cluster(backend, num_workers=3, folder=tmp_path) as cluster:
        outcomes = list(kill_both(project, cluster))
    assert [outcome.stage for outcome in outcomes] == ["ingest", "rasterize"]
    assert len({outcome.killed for outcome in outcomes}) == 2
    for outcome in outcomes:
        assert outcome.is_good, line_of(outcome)


def test_a_difference_or_a_kill_that_came_too_late_is_told(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    whole = {"backend": "dask", "stage": "ingest", "killed": "process 1", "num_units": 4, "elapsed_s": 1.0}
    assert Outcome(done_at_kill=2, differing=[], **whole).is_good  # type: ignore[arg-type]
    assert not Outcome(done_at_kill=4, differing=[], **whole).is_good  # type: ignore[arg-type]
    changed = Outcome(done_at_kill=2, differing=["part-00001.parquet"], **whole)  # type: ignore[arg-type]
    assert not changed.is_good
    assert "1 files differ" in line_of(changed)
    (tmp_path / "a").write_bytes(b"1")
    before = hashes(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    assert hashes(tmp_path) != before
