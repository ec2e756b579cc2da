"""`latexify runs` and `latexify runs remove`, as people call them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.common.errors import LatexifyError


@pytest.fixture
def project(finished_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A project with a finished run and its model."""
    shutil.copytree(finished_run[0] / "runs", tmp_path / "runs")
    shutil.copytree(finished_run[0] / "model", tmp_path / "data/model")
    return tmp_path


def latexify(project: Path, *arguments: str) -> list[str]:
    """The lines that a command prints. Raises what it raises."""
    options = ["--root", str(project), "--params", str(project / "params.yaml")]
    result = CliRunner().invoke(app, [*options, *arguments], catch_exceptions=False)
    return result.stdout.splitlines()


def test_runs_are_listed_and_removed_after_a_dry_run(project: Path) -> None:
    """The dry run lists what goes, with bytes; the removal frees as many."""
    [run] = (project / "runs").iterdir()
    checkpoint = run / "step-00000012.pt"
    size = f"{checkpoint.stat().st_size:,}"
    assert latexify(project, "runs")[1].split()[:2] == [run.name, "finished"]
    lines = latexify(project, "runs", "remove", "--finished", "--dry-run")
    assert lines[0].split() == [size, str(checkpoint)]
    assert lines[-1].split() == [size, "bytes", "would", "be", "removed"]
    assert checkpoint.exists()
    assert latexify(project, "runs", "remove", run.name[:6])[-1].split() == [size, "bytes", "were", "removed"]
    assert not checkpoint.exists()
    assert list(run.glob("best-*.pt"))


def test_what_is_to_be_removed_is_named(project: Path) -> None:
    """A command without arguments removes nothing."""
    with pytest.raises(LatexifyError, match="name the runs to remove, or give --finished"):
        latexify(project, "runs", "remove")


def test_the_run_that_params_yaml_continues_stays(project: Path) -> None:
    """The next training needs it."""
    [run] = (project / "runs").iterdir()
    (project / "params.yaml").write_text(f"train: {{resume_from: '{run}', resume_changes: [max_steps]}}\n")
    with pytest.raises(LatexifyError, match=r"is what train\.resume_from in .*params\.yaml continues"):
        latexify(project, "runs", "remove", "--finished")
