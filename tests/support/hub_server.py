"""A local stand-in for the Hugging Face Hub, with the requests that huggingface_hub 2 makes to publish and load.

It creates repositories (those of Spaces are `spaces/NAMESPACE/NAME`) and branches, checks front matter, supports both
upload modes: the LFS protocol (in one or several parts) and Xet (tokens only; the content store is a folder that hf_xet
reads and writes). It takes commits and serves downloads.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import ModelCard

TOKEN = "hf_standin"
OWNER = "me"
LFS_BYTES = 10_000
"""Files of at least this size go to the LFS store."""
PART_BYTES = 3_000_000
"""Larger files go there in parts."""


@dataclass
class Commit:
    """The files that a commit added, by path: content, or the SHA-256 of content in a store."""

    revision: str
    summary: str
    files: dict[str, bytes | str]


@dataclass
class Hub:
    """What has arrived. fail: HTTP status to return, by the beginning of a request such as `POST /api/repos`."""

    xet_store: Path
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)
    branches: dict[str, set[str]] = field(default_factory=dict)
    commits: dict[str, list[Commit]] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def content(self, repo: str, revision: str = "main") -> dict[str, bytes | str]:
        """The files of a branch or of the last commit; for those in Xet's store their SHA-256."""
        commits = self.commits.get(repo, [])
        branch = commits[-1].revision if commits and revision == _id(len(commits)) else revision
        files: dict[str, bytes | str] = {}
        for commit in commits:
            if commit.revision == branch:
                files |= commit.files
        return {path: self.lfs.get(value, value) if isinstance(value, str) else value for path, value in files.items()}


def _id(number: int) -> str:
    """Id of a repository's n-th commit."""
    return f"{number:040x}"


@contextmanager
def serve_hub(xet_store: Path) -> Iterator[Hub]:
    """Run a Hub on a free local port until the end of the block."""
    hub = Hub(xet_store=xet_store)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _HubError(Exception):
    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    ROUTES = (
        ("POST", r"/api/repos/create", "create_repo"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("POST", r"/api/models/(.+)/branch/([^/]+)", "create_branch"),
        ("POST", r"/api/models/(.+)/preupload/([^/]+)", "preupload"),
        ("POST", r"/api/models/(.+)/commit/([^/]+)", "commit"),
        ("GET", r"/api/models/(.+)/xet-write-token/([^/]+)", "xet_token"),
        ("POST", r"/(.+)\.git/info/lfs/objects/batch", "lfs_batch"),
        ("PUT", r"/lfs/(\w+)", "lfs_put"),
        ("POST", r"/lfs/(\w+)", "lfs_complete"),
        ("GET", r"/api/models/((?:spaces/)?[^/]+/[^/]+)(?:/revision/([^/]+))?", "info"),
        ("GET", r"/api/models/(.+)/tree/([^/]+)", "tree"),
        ("HEAD", r"/(.+)/resolve/([^/]+)/(.+)", "resolve"),
        ("GET", r"/(.+)/resolve/([^/]+)/(.+)", "resolve"),
    )

    def _handle(self) -> None:
        self.hub.requests.append(f"{self.command} {urlsplit(self.path).path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._dispatch(urlsplit(self.path).path, body)
        except _HubError as error:
            extra = {"X-Error-Message": str(error)} | ({"X-Error-Code": error.code} if error.code else {})
            self._answer({"error": str(error)}, status=error.status, headers=extra)

    def _dispatch(self, path: str, body: bytes) -> None:
        path = path.replace("/api/spaces/", "/api/models/spaces/")
        for start, status in self.hub.fail.items():
            if f"{self.command} {path}".startswith(start):
                raise _HubError(status, "set by the test")
        for method, pattern, name in self.ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                if method == "POST" and "/lfs/" not in path:
                    self._require_token()
                getattr(self, name)(body, *(unquote(part) if part else part for part in match.groups()))
                return
        raise _HubError(404, f"not found: {path}", code="EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815  # the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Print nothing."""

    def _require_token(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise _HubError(401, "Invalid credentials in Authorization header")

    def _answer(
        self, content: dict[str, Any] | list[Any] | bytes, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header(
            "Content-Type", "application/octet-stream" if isinstance(content, bytes) else "application/json"
        )
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _require_repo(self, repo: str, revision: str) -> None:
        if repo not in self.hub.repos:
            raise _HubError(404, "Repository not found", code="RepoNotFound")
        if revision not in self.hub.branches[repo] | {_id(len(self.hub.commits.get(repo, [])))}:
            raise _HubError(404, f"Invalid rev id: {revision}", code="RevisionNotFound")

    def create_repo(self, body: bytes) -> None:
        request = json.loads(body)
        owner = request["organization"] or OWNER
        if owner != OWNER:
            raise _HubError(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        is_space = request.get("type") == "space"
        assert not is_space or request["sdk"] == "docker"
        repo = f"{'spaces/' if is_space else ''}{owner}/{request['name']}"
        exists = repo in self.hub.repos
        self.hub.repos.setdefault(repo, request)
        self.hub.branches.setdefault(repo, {"main"})
        url = {"url": f"{self.hub.url}/{repo}"}
        self._answer(
            url | {"error": "You already created this model repo"} if exists else url, status=409 if exists else 200
        )

    def create_branch(self, body: bytes, repo: str, branch: str) -> None:
        assert json.loads(body) == {}
        self._require_repo(repo, "main")
        exists = branch in self.hub.branches[repo]
        self.hub.branches[repo].add(branch)
        self._answer({}, status=409 if exists else 200)

    def validate_yaml(self, body: bytes) -> None:
        """Check that huggingface_hub can read the front matter, and that some fields are strings."""
        request = json.loads(body)
        assert request["repoType"] in {None, "model", "space"}
        card = ModelCard(request["content"]).data.to_dict()  # type: ignore[no-untyped-call]  # of huggingface_hub
        errors = [
            {"message": f'"{name}" must be a string'}
            for name in (
                ("title", "sdk") if request["repoType"] == "space" else ("license", "library_name", "pipeline_tag")
            )
            if not isinstance(card.get(name), str)
        ]
        self._answer({"errors": errors, "warnings": []}, status=400 if errors else 200)

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        self._require_repo(repo, revision)
        files = json.loads(body)["files"]
        for file in files:
            assert len(base64.b64decode(file["sample"])) == min(512, file["size"])
        modes = [
            {"path": f["path"], "uploadMode": "lfs" if f["size"] >= LFS_BYTES else "regular", "shouldIgnore": False}
            for f in files
        ]
        self._answer({"files": modes})

    def xet_token(self, _body: bytes, repo: str, revision: str) -> None:
        self._require_token()
        self._require_repo(repo, revision)
        expires = int(time.time()) + 3600
        self._answer({"casUrl": f"local://{self.hub.xet_store}", "exp": expires, "accessToken": "of the test"})

    def lfs_batch(self, body: bytes, repo: str) -> None:
        request = json.loads(body)
        assert request["operation"] == "upload"
        self._require_repo(repo, request["ref"]["name"])
        self._answer({"transfer": "multipart", "objects": [self._lfs_actions(each) for each in request["objects"]]})

    def _lfs_actions(self, file: dict[str, Any]) -> dict[str, Any]:
        oid, size = file["oid"], file["size"]
        if oid in self.hub.lfs:
            return {"oid": oid, "size": size}
        url, header = f"{self.hub.url}/lfs/{oid}", {}
        if size > PART_BYTES:
            numbers = range(1, -(-size // PART_BYTES) + 1)
            header = {"chunk_size": str(PART_BYTES)} | {f"{n:05d}": f"{url}?part={n}" for n in numbers}
        verify = {"href": f"{url}?verify={size}", "header": {}}
        return {"oid": oid, "size": size, "actions": {"upload": {"href": url, "header": header}, "verify": verify}}

    def lfs_put(self, body: bytes, oid: str) -> None:
        part = parse_qs(urlsplit(self.path).query).get("part")
        self.hub.lfs[oid if part is None else f"{oid}.{part[0]}"] = body
        self._answer({}, headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})

    def lfs_complete(self, body: bytes, oid: str) -> None:
        """Join parts, or confirm that a file has arrived."""
        request = json.loads(body)
        for part in request.get("parts", []):
            data = self.hub.lfs.pop(f"{oid}.{part['partNumber']}")
            assert part["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
            self.hub.lfs[oid] = self.hub.lfs.get(oid, b"") + data
        if hashlib.sha256(self.hub.lfs[oid]).hexdigest() != oid:
            raise _HubError(422, "the content does not match its SHA-256")
        self._answer({})

    def commit(self, body: bytes, repo: str, revision: str) -> None:
        self._require_repo(repo, revision)
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        files: dict[str, bytes | str] = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = value["oid"]
            else:
                assert line["key"] == "header", line
        commits = self.hub.commits.setdefault(repo, [])
        commits.append(Commit(revision=revision, summary=header["summary"], files=files))
        oid = _id(len(commits))
        self._answer({"commitUrl": f"{self.hub.url}/{repo}/commit/{oid}", "commitOid": oid, "success": True})

    def info(self, _body: bytes, repo: str, revision: str | None) -> None:
        self._require_repo(repo, revision or "main")
        files = self.hub.content(repo, revision or "main")
        oid = _id(len(self.hub.commits.get(repo, [])))
        siblings = [{"rfilename": path} for path in files]
        self._answer({"id": repo, "modelId": repo, "sha": oid, "tags": [], "siblings": siblings})

    def tree(self, _body: bytes, repo: str, revision: str) -> None:
        self._require_repo(repo, revision)
        files = self.hub.content(repo, revision).items()
        sizes = [{"type": "file", "path": path, "size": len(content), "oid": _id(0)} for path, content in files]
        self._answer(sizes)

    def resolve(self, _body: bytes, repo: str, revision: str, path: str) -> None:
        self._require_repo(repo, revision)
        content = self.hub.content(repo, revision).get(path)
        if content is None:
            raise _HubError(404, "Entry not found", code="EntryNotFound")
        assert isinstance(content, bytes)
        oid = _id(len(self.hub.commits[repo]))
        self._answer(content, headers={"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": oid})
