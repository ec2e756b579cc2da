"""The servers that the benchmarks of the service compare."""

from pathlib import Path

import httpx2
import psutil
import pytest

from benchmarks.serving.processes import checked_out, started
from tests.support.reading_models import export_folder, make_loaded


@pytest.mark.slow
def test_an_earlier_commit_runs_its_own_code(tmp_path: Path) -> None:
    """A comparison with an earlier version that runs this one's code would always say: no slower."""
    model = export_folder(make_loaded("hybrid", tmp_path / "scratch"), tmp_path / "model")
    with checked_out("HEAD") as version:
        (version / "serve/web/static/page.css").write_text("/* of another version */", encoding="utf-8")
        command = ["latexify", "serve", "--device", "cpu", "--workers", "2", "--model", str(model)]
        with started(command, version=version, num_models=2) as server:
            assert httpx2.get(f"{server.url}/page.css").text == "/* of another version */"
            assert httpx2.get(f"{server.url}/ready").json()["models"] == 2
            alone_mib = psutil.Process(server.process.pid).memory_info().rss / 2**20
            assert server.memory_mib > alone_mib + 20  # that of the other model counts
            assert server.peak_mib > alone_mib + 20
            server.reset_peak()
            assert server.peak_mib > alone_mib
    assert not version.exists()
