"""Downloads from a local server that misbehaves like real ones."""

import base64
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.source.download import RetryPolicy, fetch

DATA = bytes(range(256)) * 4000
RETRY = RetryPolicy(max_attempts=2, timeout_s=2, pause_s=0.01)


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA, with faults by its attributes. `requests` holds the Range header of each request."""

    daemon_threads = True

    def __init__(
        self, *, honours_range: bool = True, sends_at_most: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.honours_range, self.sends_at_most, self.status = honours_range, sends_at_most, status
        self.data = DATA
        self.headers: dict[str, str] = {}
        self.requests: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the attributes of its server say."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Send everything, the requested rest, or less than promised."""
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        if self.server.status is not None:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.honours_range else 0
        body = self.server.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.data) - 1}/{len(self.server.data)}")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: self.server.sends_at_most])


@contextmanager
def serving(**behaviour: Any) -> Iterator[tuple[str, Server]]:
    """A running server and its address."""
    with Server(**behaviour) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/data.tgz", server
        finally:
            server.shutdown()


def test_download_is_complete_and_done_once(tmp_path: Path) -> None:
    """The file gets its name only when it is complete, and is not fetched again."""
    to = tmp_path / "new" / "data.tgz"
    with serving() as (url, server):
        fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
        fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
    assert to.read_bytes() == DATA
    assert sorted(path.name for path in to.parent.iterdir()) == ["data.tgz", "data.tgz.sha256"]
    subprocess.run(["sha256sum", "--check", "--quiet", "data.tgz.sha256"], cwd=to.parent, check=True)
    assert server.requests == [None]


def test_broken_connections_are_resumed(tmp_path: Path) -> None:
    """3 GB must arrive over a connection that breaks every few minutes, without starting over."""
    with serving(sends_at_most=400_000) as (url, server):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.requests == [None, "bytes=400000-", "bytes=800000-"]


def test_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The next run uses what a killed process left."""
    (tmp_path / "f.partial").write_bytes(DATA[:1000])
    with serving() as (url, server):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").read_bytes() == DATA
    assert server.requests == ["bytes=1000-"]


def test_complete_partial_needs_no_server(tmp_path: Path) -> None:
    """Killed between the last byte and the renaming: nothing is left to fetch."""
    (tmp_path / "f.partial").write_bytes(DATA)
    fetch("http://127.0.0.1:9/", to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").read_bytes() == DATA


def test_server_that_ignores_ranges_starts_over(tmp_path: Path) -> None:
    """Appending a full answer to a partial file would give a damaged archive of any length."""
    (tmp_path / "f.partial").write_bytes(b"z" * 1000)
    with serving(honours_range=False) as (url, _):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").read_bytes() == DATA


def test_too_long_partial_is_discarded(tmp_path: Path) -> None:
    """A partial file of something else must not be completed."""
    (tmp_path / "f.partial").write_bytes(b"z" * (len(DATA) + 1))
    with serving() as (url, _):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_dead_connection_is_given_up(tmp_path: Path) -> None:
    """A dead connection ends in an error that says what to do, and the received bytes are kept."""
    (tmp_path / "f.partial").write_bytes(DATA[:10])
    with serving(sends_at_most=0) as (url, server), pytest.raises(LatexifyError, match="it resumes"):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert len(server.requests) == RETRY.max_attempts
    assert (tmp_path / "f.partial").read_bytes() == DATA[:10]


def test_no_network(tmp_path: Path) -> None:
    """Without network the message names the address and the file to put in place by hand."""
    with serving() as (url, _):
        pass
    with pytest.raises(LatexifyError, match=r"data\.tgz could not be downloaded .* put the file at .*f yourself"):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)


@pytest.mark.parametrize(("status", "num_requests"), [(404, 1), (403, 1), (503, 2), (429, 2)])
def test_refusals(tmp_path: Path, status: int, num_requests: int) -> None:
    """A missing file is requested once; a busy server is asked again."""
    with serving(status=status) as (url, server), pytest.raises(LatexifyError, match=str(status)):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert len(server.requests) == num_requests


def test_refused_range_starts_over(tmp_path: Path) -> None:
    """Status 416 means that the partial file does not fit; keeping it would fail forever."""
    (tmp_path / "f.partial").write_bytes(DATA[:10])
    with serving(status=416) as (url, server), pytest.raises(LatexifyError, match="416"):
        fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert server.requests[:2] == ["bytes=10-", None]


@pytest.mark.parametrize("have", [0, 10])
def test_other_size_is_refused_at_once(tmp_path: Path, have: int) -> None:
    """A login page instead of an archive, or a replaced file, must not be downloaded to the end."""
    if have:
        (tmp_path / "f.partial").write_bytes(DATA[:have])
    with serving() as (url, server), pytest.raises(LatexifyError, match="offers 1024000 bytes, expected 2000000"):
        fetch(url, to=tmp_path / "f", num_bytes=2_000_000, retry=RETRY)
    assert len(server.requests) == 1
    assert not (tmp_path / "f").exists()


def test_existing_file_of_another_size_is_refused(tmp_path: Path) -> None:
    """A file of the user must be neither trusted nor overwritten."""
    (tmp_path / "f").write_bytes(b"short")
    with pytest.raises(LatexifyError, match="has 5 bytes, expected 9"):
        fetch("http://127.0.0.1:9/", to=tmp_path / "f", num_bytes=9, retry=RETRY)


def test_full_disk_is_noticed_before(tmp_path: Path) -> None:
    """An hour of downloading must not end with a full disk."""
    with pytest.raises(LatexifyError, match="make room"):
        fetch("http://127.0.0.1:9/", to=tmp_path / "f", num_bytes=10**18, retry=RETRY)


def md5_of(data: bytes) -> str:
    """As stores write it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@pytest.mark.parametrize("header", ["x-goog-hash", "Content-MD5"])
@pytest.mark.parametrize("is_right", [True, False])
def test_the_checksum_of_the_server_is_compared(tmp_path: Path, header: str, *, is_right: bool) -> None:
    """A bit that flips on the way through 3 GB leaves the size as it was."""
    prefix = "crc32c=AAAAAA==,md5=" if header == "x-goog-hash" else ""
    with serving() as (url, server):
        server.headers = {header: prefix + md5_of(DATA if is_right else DATA[1:]), "ETag": '"0123"'}
        if is_right:
            fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
        else:
            with pytest.raises(LatexifyError, match=r"was damaged on its way .* delete .*f\.partial and run again"):
                fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)
    assert (tmp_path / "f").exists() == is_right


def test_parts_of_two_files_are_noticed(tmp_path: Path) -> None:
    """The archive is replaced by another of its size while the connection is broken."""
    (tmp_path / "f.partial").write_bytes(b"z" * 1000)
    with serving() as (url, server):
        server.headers = {"x-goog-hash": f"md5={md5_of(DATA)}", "Content-MD5": md5_of(DATA[1000:])}
        with pytest.raises(LatexifyError, match="was damaged on its way"):
            fetch(url, to=tmp_path / "f", num_bytes=len(DATA), retry=RETRY)


def test_the_first_download_is_recorded_and_checked_after(tmp_path: Path) -> None:
    """Google may give no MD5. What was trained on is then known by its own hash."""
    to = tmp_path / "f"
    with serving() as (url, server):
        fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
        to.write_bytes(b"z" + DATA[1:])
        with pytest.raises(LatexifyError, match=r"f is not what was first downloaded \(SHA-256 .*f\.sha256 says"):
            fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
        to.unlink()  # as it says
        fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
        assert to.read_bytes() == DATA
        to.unlink()
        server.data = b"z" + DATA[1:]
        with pytest.raises(LatexifyError, match=r"f\.partial is not what was first downloaded"):
            fetch(url, to=to, num_bytes=len(DATA), retry=RETRY)
    assert not to.exists()
