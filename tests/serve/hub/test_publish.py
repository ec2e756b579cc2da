"""`latexify publish` against a stand-in for the Hub, with the real huggingface_hub."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hf_xet  # type: ignore[import-untyped]  # has no types
import pytest
from huggingface_hub import close_session as reset_sessions
from huggingface_hub import constants

from latexify.common.errors import LatexifyError
from latexify.serve.hub.publish import publish
from tests.support.hub_server import TOKEN, Hub, serve_hub

REPO = "me/formulas"
XET = {"HF_HUB_DISABLE_XET": "0"}
LFS = {"HF_HUB_DISABLE_XET": "1"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """An empty Hub."""
    with serve_hub(tmp_path / "xet") as started:
        yield started


def latexify(
    repository: Path, project: Path, *arguments: str, hub: Hub | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process that only has access to this Hub."""
    home = project / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9", "HF_TOKEN": TOKEN}
    environment |= {"PYTHONPATH": str(repository), "HF_HUB_DISABLE_TELEMETRY": "1"} | settings
    command = [sys.executable, "-m", "latexify", "--root", str(project), *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def files_of(model: Path) -> dict[str, bytes]:
    """The files that should arrive, without the card."""
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}


def from_xet(hub: Hub, original: Path, target: Path) -> bytes:
    """Download a file from Xet's content store."""
    session = hf_xet.XetSession()
    info = hf_xet.hash_files([str(original)])[0]
    settings = {"token_refresh_url": f"{hub.url}/api/models/{REPO}/xet-write-token/main"}
    with session.new_file_download_group(
        **settings, token_refresh_headers={"Authorization": f"Bearer {TOKEN}"}
    ) as group:
        group.start_download_file(hf_xet.XetFileInfo(info.hash, original.stat().st_size), str(target))
    return target.read_bytes()


def test_files_arrive_unchanged_by_lfs(repository: Path, trained_project: Path, hub: Hub) -> None:
    """With changed weights or missing files, nobody could load the model."""
    model = trained_project / "data/model"
    before = files_of(model)
    done = latexify(repository, trained_project, "publish", REPO, "--message", "First", hub=hub, **LFS)
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/{REPO}/commit/" in done.stdout
    arrived = hub.content(REPO)
    card = arrived.pop("README.md")
    assert arrived == before
    assert isinstance(card, bytes)
    assert card.startswith(b"---\n")
    assert hub.repos[REPO]["visibility"] == "private"
    assert [commit.summary for commit in hub.commits[REPO]] == ["First"]
    assert any(request.startswith("PUT /lfs/") for request in hub.requests)
    assert files_of(model) == before, "the model folder is an output of DVC and must not change"


def test_files_arrive_unchanged_by_xet(repository: Path, trained_project: Path, hub: Hub, tmp_path: Path) -> None:
    """Users get the Hub's own protocol; the weights in its store must be identical."""
    model = trained_project / "data/model"
    done = latexify(repository, trained_project, "publish", REPO, "--public", hub=hub, **XET)
    assert done.returncode == 0, done.stderr
    arrived = hub.content(REPO)
    assert hub.repos[REPO]["visibility"] == "public"
    assert isinstance(arrived["model.safetensors"], str), "went by LFS"
    stored = {path for path, content in arrived.items() if isinstance(content, str)}
    for path in stored:
        arrived[path] = from_xet(hub, model / path, tmp_path / "back")
    arrived.pop("README.md")
    assert arrived == files_of(model)
    assert len(hub.commits[REPO]) == 1


def test_a_branch_is_created_and_written_to(repository: Path, trained_project: Path, hub: Hub) -> None:
    """A trial of a new model must not overwrite the one that others load from main."""
    for _ in range(2):  # the second time repository and branch exist
        done = latexify(repository, trained_project, "publish", REPO, "--revision", "try/1", hub=hub, **LFS)
        assert done.returncode == 0, done.stderr
    assert "model.safetensors" in hub.content(REPO, "try/1")
    assert hub.content(REPO, "main") == {}


def test_the_example_of_the_card_runs_unchanged(
    repository: Path, trained_project: Path, hub: Hub, tmp_path: Path
) -> None:
    """Readers of the card copy its code first: it loads the model from the Hub and prints LaTeX."""
    assert latexify(repository, trained_project, "publish", REPO, hub=hub, **LFS).returncode == 0
    card = hub.content(REPO)["README.md"]
    assert isinstance(card, bytes)
    match = re.search(r"```python\n(.*?)```", card.decode(), re.DOTALL)
    assert match is not None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", match[1] + "print(picture.size, model.num_parameters())"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    size, parameters = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert size == "(128, 32)"
    assert f"{int(parameters):,} parameters" in card.decode()


def test_a_dry_run_writes_the_card_and_sends_nothing(repository: Path, trained_project: Path, hub: Hub) -> None:
    """A publication cannot be undone, so users need a preview."""
    done = latexify(repository, trained_project, "publish", REPO, "--dry-run", hub=hub, HF_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert hub.requests == []
    card = trained_project / "data/card/README.md"
    weights = trained_project / "data/model/model.safetensors"
    assert re.search(rf"^ *{weights.stat().st_size:,}  model\.safetensors$", done.stdout, re.MULTILINE)
    assert re.search(rf"^ *{card.stat().st_size:,}  README\.md$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [REPO, "--model", "nowhere"],
            "there is no folder nowhere: --model takes a model folder",
        ),
        ([REPO, "--card", "nowhere.md"], "nowhere.md not found: correct --card"),
    ],
)
def test_the_command_fails_with_one_line(
    repository: Path, trained_project: Path, hub: Hub, arguments: list[str], message: str
) -> None:
    """A traceback through four libraries does not help a user."""
    done = latexify(repository, trained_project, "publish", *arguments, hub=hub)
    assert done.returncode == 1
    assert done.stderr.startswith("latexify: ")
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if "which was trained here" not in line]) == 1
    assert hub.requests == []


@dataclass(frozen=True)
class Trouble:
    """A publication that fails. fails: HTTP status by request. message: part of the error message."""

    message: str
    repo: str = REPO
    token: str = TOKEN
    card: str = "---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: image-to-text\n---\n"
    endpoint: str | None = None
    offline: bool = False
    xet: bool = False
    fails: dict[str, int] = field(default_factory=dict)


TROUBLES = [
    Trouble("no token for the Hub: run `hf auth login`", token=""),
    Trouble("the Hub does not accept the token (Invalid credentials", token="hf_wrong"),
    Trouble("the Hub at http://127.0.0.1:9 cannot be reached (", endpoint="http://127.0.0.1:9"),
    Trouble("check the network, HF_ENDPOINT and HF_HUB_OFFLINE", offline=True),
    Trouble("'a/b/c' is not a valid name of a repository: Repo id must be in the form", repo="a/b/c"),
    Trouble("'me/-x' is not a valid name of a repository", repo="me/-x"),
    Trouble("the token may not write to others/formulas (", repo="others/formulas"),
    Trouble("the Hub rejects the card of me/formulas: Invalid metadata", card="---\nlicense: [1]\n---\n"),
    Trouble("the token may not write to me/formulas", fails={"PUT /lfs/": 403}),
    Trouble("the Hub refuses the upload to me/formulas (HTTP 413", fails={"POST /api/models/me/formulas/commit": 413}),
    Trouble("is unavailable (HTTP 503", fails={"POST /api/repos/create": 503}),
    Trouble("to me/formulas failed (", xet=True, fails={"GET /api/models/me/formulas/xet-write-token": 403}),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.message[:40])
def test_refusals_of_the_hub_are_explained(
    trained_project: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    """After a failed upload of gigabytes, the user must know whether to retry or to ask for write access."""
    hub.fail.update(trouble.fails)
    monkeypatch.setenv("HF_TOKEN", trouble.token)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(trained_project / "no-token"))
    monkeypatch.setattr(constants, "ENDPOINT", trouble.endpoint or hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", trouble.offline)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", not trouble.xet)
    reset_sessions()
    with pytest.raises(LatexifyError) as caught:
        publish(trained_project / "data/model", repo=trouble.repo, card=trouble.card, message="Try")
    assert trouble.message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hub.commits == {}
