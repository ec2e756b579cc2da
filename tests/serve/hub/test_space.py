"""`latexify publish --space`: the folder runs by itself, with the model from a stand-in for the Hub."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.serve.hub.space import GRAPHS, make_space, requirements
from latexify.trainer.inference.open import ONNX_CONTENT
from tests.support.hub_server import TOKEN, serve_hub

REPO = "me/formulas"


@contextmanager
def space(folder: Path, **settings: str) -> Iterator[str]:
    """Run a Space as its container does, in an environment without this checkout; its URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHONPATH"))}
    environment |= {"PORT": "0", "PYTHONUNBUFFERED": "1", "HF_HOME": str(folder.parent / "home")} | settings
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)", process.stdout.readline())
            assert found, "the Space did not print its URL"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def test_a_published_space_runs_with_the_published_model(repository: Path, tmp_path: Path) -> None:
    """Model and Space go to the Hub by one command; the Space's files alone give a page that reads."""
    with serve_hub(tmp_path / "xet") as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "own")}
        environment |= {"PYTHONPATH": str(repository), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "latexify", "--root", str(tmp_path), "publish", REPO, "--space"]
        done = subprocess.run(
            [*command, "--model", str(default_model())], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        files = hub.content(f"spaces/{REPO}")
        assert {"README.md", "Dockerfile", "app.py", "requirements.txt", "latexify/__init__.py"} <= files.keys()
        assert not [name for name in files if name.endswith((".safetensors", ".onnx", ".pyc"))]
        folder = tmp_path / "arrived"
        for name, content in files.items():
            assert isinstance(content, bytes)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        with space(folder, HF_ENDPOINT=hub.url, HF_HUB_DISABLE_XET="1") as url:
            assert httpx2.get(f"{url}/_stcore/health", timeout=60).status_code == 200
            page = httpx2.get(url, timeout=60)
            assert "https://huggingface.co" in page.headers["content-security-policy"].partition("frame-ancestors")[2]
    assert any(request.startswith(f"GET /{REPO}/resolve/") for request in hub.requests)


def test_the_front_matter_says_how_the_hub_runs_it(tmp_path: Path) -> None:
    """With another port it would show nothing; the model's page links to it."""
    make_space(tmp_path / "space", model=default_model(), repo=REPO, licence="apache-2.0")
    card = (tmp_path / "space/README.md").read_text(encoding="utf-8")
    port = re.findall(r"^app_port: (\d+)$", card, re.MULTILINE)
    assert f"EXPOSE {port[0]}" in (tmp_path / "space/Dockerfile").read_text(encoding="utf-8")
    assert f'"PORT", "{port[0]}"' in (tmp_path / "space/app.py").read_text(encoding="utf-8")
    assert "sdk: docker\n" in card
    assert f"models:\n- {REPO}\nlicense: apache-2.0\n---\n" in card


def test_what_pip_installs_is_what_the_demo_needs() -> None:
    """No torch where the model has graphs for onnxruntime."""
    names = {re.split(r"[\[<>=~! ]", line)[0] for line in requirements(("recognize", "demo"))}
    assert {"numpy", "onnxruntime", "streamlit", "ziamath"} <= names
    assert not {"torch", "pytest", "dvc"} & names
    assert "torch" in {re.split(r"[\[<>=~! ]", line)[0] for line in requirements(("train",))}
    assert GRAPHS == ONNX_CONTENT


def test_a_folder_that_is_no_space_is_not_replaced(tmp_path: Path) -> None:
    """It may be somebody's work."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(LatexifyError, match="something other than a Space"):
        make_space(tmp_path, model=default_model(), repo=REPO)
    assert (tmp_path / "notes.txt").is_file()
