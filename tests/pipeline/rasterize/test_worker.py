"""Workers of the rasterize stage that fail, outlive their run, or run elsewhere."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from latexify.artifacts.draft import BUILD_KEY_NAME, RECORDS_NAME, require_draft
from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.engine.versions import versions
from latexify.shards.format import png
from latexify.shards.format.record import recorded_shards
from tests.support import rasterize_data
from tests.support.rasterize_data import Rasterize, bytes_of


@pytest.mark.parametrize("engine", [Engine(), Engine(jobs=2)], ids=["alone", "processes"])
def test_a_full_disk_is_one_error(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """The command line tells a full disk by its number, which must come through from a worker."""
    monkeypatch.setattr("latexify.pipeline.rasterize.stage.draw_shard", rasterize_data.render_on_a_full_disk)
    with pytest.raises(OSError, match="No space left") as error:
        rasterize(inks, engine=engine)
    assert error.value.errno == errno.ENOSPC
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.draft" / "train-00002.tar").exists()
    assert all((tmp_path / ".out.draft" / name).exists() for name in recorded_shards(tmp_path / ".out.draft"))
    monkeypatch.undo()
    rasterize(inks)
    rasterize(inks, out="undisturbed")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_a_dying_worker_is_one_error(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system kills a worker for want of memory; waiting for it for ever would waste a night."""
    monkeypatch.setattr("latexify.pipeline.rasterize.stage.draw_shard", rasterize_data.render_and_be_killed)
    with pytest.raises(LatexifyError, match="worker process died") as error:
        rasterize(inks, engine=Engine(jobs=2))
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    rasterize(inks, engine=Engine(jobs=2))
    rasterize(inks, out="undisturbed")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_a_worker_that_outlived_its_run_writes_nothing(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed alone, the main process leaves workers behind, which finish their shard when the next run has begun."""

    def encode_coverage(*args: Any) -> Any:
        write_json(tmp_path / ".out.draft" / BUILD_KEY_NAME, {"recipe": "of the next run"})
        return usual(*args)

    usual = png.encode_coverage
    monkeypatch.setattr("latexify.pipeline.rasterize.worker.encode_coverage", encode_coverage)
    with pytest.raises(LatexifyError, match="being written by another run"):
        rasterize(inks)
    draft = tmp_path / ".out.draft"
    assert {path.name for path in draft.iterdir()} == {BUILD_KEY_NAME, RECORDS_NAME}
    assert not recorded_shards(draft)


def test_a_worker_on_another_machine_must_see_the_draft(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would write into a folder of its own that nobody ever looks into."""
    with pytest.raises(LatexifyError, match="folder that all of them share, or a URL"):
        require_draft(tmp_path / "elsewhere", build_key="a")
    monkeypatch.setattr("latexify.pipeline.rasterize.stage.versions", lambda: {**versions(), "cairo": "0.1"})
    with pytest.raises(LatexifyError, match=r"a worker has cairo .* \(here 0\.1\)"):
        rasterize(inks)


def test_workers_need_no_transformers() -> None:
    """Each worker, and the main process, would take seconds and 200 MiB more."""
    lines = (
        "import sys, latexify.pipeline.rasterize.worker;"
        "print({'transformers', 'torch', 'tokenizers'} & set(sys.modules));"
        "import latexify.pipeline.rasterize.stage; print({'transformers', 'torch'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["set()", "set()"]
