"""Schemathesis, with all of its checks and phases, finds nothing: the service does what its description says."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latexify.common.package_data import default_model
from tests.support.repository import REPOSITORY
from tests.support.service_process import service

NUM_CASES = 8  # of each operation in the fuzzing phase, beside the hundreds of the coverage phase


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="needs schemathesis: make setup")
def test_every_answer_is_as_described(tmp_path: Path) -> None:
    """A client made from the description must not meet statuses, types, headers or bodies that it does not name."""
    with service(default_model()) as running:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json", "--checks", "all"]
        command += ["--max-examples", str(NUM_CASES), "--seed", "1", "--suppress-health-check", "all", "--no-color"]
        path = os.pathsep.join([str(REPOSITORY), *sys.path])
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
        }
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "5 selected / 5 total" in done.stdout
    assert "Coverage" in done.stdout
