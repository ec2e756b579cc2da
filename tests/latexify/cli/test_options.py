"""Which model a command uses, and that it says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from latexify.cli import options
from latexify.cli.options import Workspace, chosen_model
from latexify.common.package_data import list_models
from tests.support.handwriting import inkml
from tests.support.reading_models import export_folder, make_loaded
from tests.support.repository import REPOSITORY

SHIPPED = list_models()[0]


def latexify(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    command = [sys.executable, "-m", "latexify", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which a model was trained."""
    export_folder(make_loaded("hybrid", tmp_path / "scratch"), tmp_path / "data" / "model")
    (tmp_path / "ink.inkml").write_bytes(inkml())
    return tmp_path


def test_after_a_training_that_model_reads_and_one_line_says_so(project: Path) -> None:
    """Someone who trained on their own inks saw 72 of 150 right, not 128, because the installed model answered."""
    by_own = latexify("recognize", "--model", "data/model", "ink.inkml", folder=project)
    by_shipped = latexify("recognize", "--model", SHIPPED, "ink.inkml", folder=project)
    default = latexify("recognize", "ink.inkml", folder=project)
    assert by_own.stdout != by_shipped.stdout
    assert default.stdout == by_own.stdout
    line = f"latexify: using data/model, which was trained here (installed: --model {SHIPPED})\n"
    assert default.stderr == line + by_own.stderr  # an answer may be doubtful besides
    assert "using" not in by_own.stderr + by_shipped.stderr


def test_without_a_training_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is only one model, so a line about it would be noise, and break scripts that expect no stderr."""
    assert chosen_model(Workspace(tmp_path / "params.yaml", tmp_path, None, None), None) == SHIPPED
    assert capsys.readouterr().err == ""


def test_with_no_installed_model_nothing_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same."""
    monkeypatch.setattr(options, "list_models", list)
    workspace = Workspace(project / "params.yaml", project, None, None)
    assert chosen_model(workspace, None) == project / "data" / "model"
    (project / "other").mkdir()
    assert chosen_model(workspace, project / "other") == project / "other"
    assert capsys.readouterr().err == ""


def test_calibrate_never_changes_the_installed_model(tmp_path: Path) -> None:
    """It belongs to the package, and all projects on the machine share it."""
    before = (SHIPPED / "calibration.json").read_bytes()
    done = latexify("calibrate", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("latexify: data/model holds no model to calibrate: run `latexify train`, or name")
    assert done.stderr.count("\n") == 1
    assert (SHIPPED / "calibration.json").read_bytes() == before
