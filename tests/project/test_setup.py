"""The set-up script on machines that lack something: it says in one line what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    """The files that the set-up reads, with an empty folder for commands that stand in for the system's."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    (folder / "stand-ins").mkdir()
    for name in ("scripts/setup.sh", "requirements.lock", "requirements-torch.lock", "pyproject.toml"):
        shutil.copy(repository / name, folder / name)
    return folder


def stand_in(checkout: Path, name: str, script: str) -> None:
    """Put a command of ours before the system's."""
    path = checkout / "stand-ins" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    path = f"{checkout / 'stand-ins'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "scripts/setup.sh"],
        cwd=checkout,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_without_root_it_says_what_to_run(checkout: Path) -> None:
    """The error of pycairo itself, fifty lines of a failed build, does not name the packages."""
    stand_in(checkout, "pkg-config", "exit 1")
    stand_in(checkout, "id", "echo 1000")
    stand_in(checkout, "sudo", "exit 1")
    result = set_up(checkout)
    assert result.returncode == 1
    assert "sudo sh -c 'apt-get update && apt-get install -y" in result.stderr
    assert "libcairo2-dev" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_named(checkout: Path) -> None:
    """On Ubuntu 22.04 python3 is 3.10: the syntax error that would follow helps nobody."""
    stand_in(checkout, "python3", 'if [ "$1" = --version ]; then echo Python 3.10.12; else exit 1; fi')
    result = set_up(checkout, PYTHON="python3")
    assert result.returncode == 1
    assert "3.10.12" in result.stderr
    assert "PYTHON=python3.12" in result.stderr
