"""The container's files: checked without Docker. `make container-check` builds it and runs what is in it."""

import ast
import json
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from scripts import container_check

ROOMS = ("eval", "latexify", "pipeline", "serve", "shards", "trainer")
OPTIONAL = {"dask", "distributed", "dvc", "dvclive", "ray", "s3fs", "tensorboard"}
"""Packages of extras that the image does without; the code says so where they are asked for."""


def locked(path: Path) -> dict[str, set[str]]:
    """Hashes of every pinned package, by `name==version`."""
    pins: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if not line.startswith(" "):
            pins[line.removesuffix(" \\")] = hashes = set()
        else:
            hashes.add(line.strip().removesuffix(" \\"))
    return pins


def names(pins: dict[str, set[str]]) -> set[str]:
    """Names of the packages, in the form that every spelling of them has."""
    return {canonical(pin.split("==")[0]) for pin in pins}


def canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""  # noqa: D415  # an address
    return re.sub(r"[-_.]+", "-", name).lower()


def test_hadolint_has_no_complaint(repository: Path) -> None:
    """What the linter knows, nobody has to find in a build of twenty minutes."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, repository / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_versions_that_were_tested(repository: Path) -> None:
    """An image with other versions than the tests ran with is another program."""
    everything = locked(repository / "requirements.lock")
    for pin, hashes in locked(repository / "requirements-image.lock").items():
        assert everything.get(pin) == hashes, f"{pin}: run `make lock`"


def test_the_image_has_what_the_code_imports(repository: Path) -> None:
    """A package that only developers have would be missed in the middle of a request."""
    installed = names(locked(repository / "requirements-image.lock")) | {"torch"}
    distributions = packages_distributions()
    sources = [path for room in ROOMS for path in (repository / room).rglob("*.py")]
    missing = set()
    for path in sources:
        for module in imported(path):
            dists = {canonical(name) for name in distributions.get(module, [])}
            if dists and not dists & (installed | OPTIONAL | {"latexify"}):
                missing.add((path.name, module))
    assert not missing


def imported(path: Path) -> set[str]:
    """First names of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_context_holds_all_code_and_nothing_else(repository: Path) -> None:
    """A room that is not sent is missing in the image; data that is sent ends up in everybody's copy of it."""
    sent = {line[1:] for line in (repository / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {*ROOMS, "latexify", "models"} <= sent  # `latexify` holds links to the others
    assert not sent & {"data", "runs", "metrics", "tests", ".git", ".venv"}
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.removesuffix("*") for name in packages} <= sent


def test_compose_names_a_service_that_the_image_can_run(repository: Path) -> None:
    """It is what people try first."""
    compose = YAML(typ="safe", pure=True).load((repository / "compose.yaml").read_text())
    assert set(compose["services"]) == {"service", "demo"}
    programs = {path.name for path in (repository / "container/bin").iterdir()}
    for service in compose["services"].values():
        assert service.get("command", ["serve"])[0] in programs
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "open to the whole network"
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_the_check_watches_what_compose_starts(repository: Path) -> None:
    """`make container-check` is all that ever runs the demo's container here."""
    compose = YAML(typ="safe", pure=True).load((repository / "compose.yaml").read_text())
    demo = compose["services"]["demo"]
    url = demo["environment"]["LATEXIFY_HEALTH_URL"]
    assert f"LATEXIFY_HEALTH_URL={url}" in (repository / "scripts/container_check.py").read_text()
    port = url.split(":")[2].split("/")[0]
    assert demo["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"--port {port} " in (repository / "container/bin/demo").read_text()
    assert f"EXPOSE 8080 {port}" in (repository / "Dockerfile").read_text()


def test_the_check_trains_as_one_user_and_reads_as_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who trains is seldom the user of the service; weights that only their owner may read were found by nobody."""

    class Builder(container_check.Builder):
        def __call__(self, *arguments: str) -> str:
            return json.dumps({"Docker": {"config": {}}}) if arguments[0] == "inspect" else "box"

    ran: list[tuple[str, list[str]]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append((command[-1], command))
        return subprocess.CompletedProcess(command, 0, stdout="")

    monkeypatch.setattr(subprocess, "run", run)
    container_check.run_all(Builder(tmp_path), with_service=False)
    trained, *_ = (command for last, command in ran if last == "train")
    own, other = (command for last, command in ran if "latexify recognize" in last)
    assert "--user" not in trained
    assert "--user" not in own
    assert other[other.index("--user") + 1] == container_check.OTHER_USER
    assert other[other.index("--cap-drop") + 1] == "all"
    assert "--model /opt/ml/model" in other[-1]
    assert "find . " in other[-1], "in a folder of its own"


def test_the_image_does_not_run_as_root(repository: Path) -> None:
    """A service that parses strangers' files has no business being root."""
    dockerfile = (repository / "Dockerfile").read_text()
    for target in ("cuda", "cpu"):
        stage = re.search(rf"^FROM \S+ AS {target}$(.*?)(?=^FROM|\Z)", dockerfile, re.MULTILINE | re.DOTALL)
        assert stage is not None
        lines = stage[1].splitlines()
        assert "ARG RUN_AS=latexify" in lines
        assert lines.index("USER ${RUN_AS}") > max(n for n, line in enumerate(lines) if line.startswith("RUN "))
        assert any(line.startswith("HEALTHCHECK ") for line in lines)


class _Handler(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:  # http.server's name
        self.send_response(self.status if self.path == "/ping" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Print nothing."""


@pytest.mark.parametrize(("status", "path", "code"), [(200, "/ping", 0), (503, "/ping", 1), (200, "/other", 1)])
def test_the_health_check_tells_good_from_bad(repository: Path, status: int, path: str, code: int) -> None:
    """A check that always says yes keeps a dead service in rotation; one that always says no restarts a good one."""
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"status": status}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    try:
        assert healthy(repository, url) == code
    finally:
        server.shutdown()
        server.server_close()


def test_no_service_is_not_healthy(repository: Path) -> None:
    """The container's process may live while nothing listens."""
    assert healthy(repository, "http://127.0.0.1:9/ping") == 1


def healthy(repository: Path, url: str) -> int:
    """Exit code of the image's health check."""
    command = [sys.executable, "-P", str(repository / "container/bin/healthy")]
    return subprocess.run(command, env={"LATEXIFY_HEALTH_URL": url}, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "--workers 1"),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, "--workers 2"),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2", "LATEXIFY_WORKERS": "3"}, "--workers 3"),
        ({"LATEXIFY_MODEL": "models/crohme-small"}, "--workers 1 --model models/crohme-small"),
    ],
)
def test_the_environment_configures_the_service(
    repository: Path, tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    """Platforms start the container by a fixed word, so nothing else can."""
    program = tmp_path / "latexify"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "container/bin/serve"],
        cwd=repository,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"serve --host 0.0.0.0 --port 8080 {expected}\n"
