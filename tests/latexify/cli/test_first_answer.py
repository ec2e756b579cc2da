"""A new process answers soon: it imports no library that the answer does not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from latexify.common.package_data import default_model
from tests.support.handwriting import encoded, ink, inkml, strokes
from tests.support.repository import REPOSITORY

SLOW_TO_IMPORT = {"torch", "transformers", "pandas", "fsspec", "upath", "matplotlib", "fastapi", "streamlit"}
"""Packages that take between a twentieth of a second and three seconds."""
MAX_MODULES = {"ink.inkml": 640, "ink.json": 640, "photo.png": 940}
"""Modules of all kinds; 571, 563 and 856 on 2026-11-29. Each takes about a millisecond."""
RECOGNIZE = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
sys.argv = ["latexify", "recognize", "--model", *sys.argv[1:]]
from latexify.cli.app import main
main()
"""
LOAD = """
import json, sys
from pathlib import Path
from latexify.serve.http.app import make_app
from latexify.serve.http.models.loading import load
from latexify.serve.http.worker import ServiceSettings
settings = ServiceSettings(model=Path(sys.argv[1]))
make_app(settings, on_failure=print)
load(settings.model_options)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ink as InkML, as JSON and as a picture."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "ink.inkml").write_bytes(inkml())
    (folder / "ink.json").write_text(json.dumps({"strokes": [stroke.tolist() for stroke in strokes()]}))
    (folder / "photo.png").write_bytes(encoded(255 - 255 * ink()))
    return folder


def modules_of(code: str, *arguments: str | Path) -> list[str]:
    """The modules that are imported at the end of a new process, which prints them last."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


@pytest.mark.parametrize("name", MAX_MODULES)
def test_recognize_imports_only_what_it_needs(files: Path, name: str) -> None:
    """Importing torch takes three times as long as everything else together."""
    modules = modules_of(RECOGNIZE, default_model(), files / name)
    assert "onnxruntime" in modules, "another runtime computed the answer"
    assert SLOW_TO_IMPORT & {module.partition(".")[0] for module in modules} == set()
    assert len(modules) <= MAX_MODULES[name]
    assert ("scipy" in modules) == (name == "photo.png")


def test_the_service_is_ready_without_torch() -> None:
    """A service that scales with its load is started often."""
    modules = modules_of(LOAD, default_model())
    assert "onnxruntime" in modules
    assert (SLOW_TO_IMPORT - {"fastapi"}) & {module.partition(".")[0] for module in modules} == set()
