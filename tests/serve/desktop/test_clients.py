"""The clients in docs/guide/desktop.md, as they stand there, against a service."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latexify.common.package_data import default_model
from tests.support.handwriting import inkml
from tests.support.repository import REPOSITORY
from tests.support.service_process import Service, service

GUIDE = REPOSITORY / "docs" / "guide" / "desktop.md"
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """The service with the shipped model."""
    with service(default_model()) as running:
        yield running


@pytest.mark.parametrize(("language", "name"), [("python", "client.py"), ("javascript", "client.mjs")])
def test_a_client_prints_latex_or_one_line(running: Service, tmp_path: Path, language: str, name: str) -> None:
    """People copy them into their editors."""
    program = sys.executable if language == "python" else shutil.which("node")
    if program is None:
        pytest.skip("node is not installed: the client in JavaScript is not tested")
    found = re.search(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    assert ADDRESS in found[1]
    (tmp_path / name).write_text(found[1].replace(ADDRESS, running.url), encoding="utf-8")
    (tmp_path / "ink.inkml").write_bytes(inkml())
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good, bad = (
        subprocess.run([program, name, path], cwd=tmp_path, capture_output=True, text=True, check=False)
        for path in ("ink.inkml", "bad.png")
    )
    assert (good.returncode, good.stderr, good.stdout.count("\n")) == (0, "", 1)
    assert good.stdout.strip()
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
