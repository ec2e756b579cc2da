"""Download large files over unreliable connections: resume, check size and checksum, rename when complete."""

import base64
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from latexify.artifacts.files import write_atomically
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress

BLOCK_BYTES = 1 << 20
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to retry a download and when to give up."""

    max_attempts: int = 5  # in a row without progress before giving up
    timeout_s: float = 30  # silence after which an attempt has failed
    pause_s: float = 2  # before the next attempt; doubles with each attempt in a row


def fetch(url: str, *, to: Path, num_bytes: int, retry: RetryPolicy | None = None) -> None:
    """Download `url` into the file `to` of the expected size, unless it exists.

    Bytes go to ``{to}.partial`` first and stay there if the connection breaks, for the next attempt or call. A checksum
    that the server gives is compared. The SHA-256 of the first download is recorded in ``{to}.sha256``, as `sha256sum`
    writes it; the file, and any later download, must have it.

    Raises LatexifyError if there is no network, the server refuses, the size or a checksum is wrong, or the disk is too
    small.
    """
    retry = retry or RetryPolicy()
    if to.exists():
        _require_size(to, num_bytes=num_bytes)
        if _record_of(to).exists():
            _require_recorded(to, of=to)
        return
    partial = to.with_name(f"{to.name}.partial")
    to.parent.mkdir(parents=True, exist_ok=True)
    if _size_of(partial) > num_bytes:
        partial.unlink()
    needed_bytes, free_bytes = num_bytes - _size_of(partial), shutil.disk_usage(to.parent).free
    if free_bytes < needed_bytes:
        raise LatexifyError(f"{to.parent} has {free_bytes} bytes free, the download needs {needed_bytes}: make room")
    with Progress(f"download {to.name}", total=num_bytes, unit="bytes") as progress:
        progress.advance(_size_of(partial))
        failures, server = 0, _ServerSums()
        while _size_of(partial) < num_bytes:
            have = _size_of(partial)
            problem = _attempt(
                url, partial=partial, num_bytes=num_bytes, timeout_s=retry.timeout_s, progress=progress, server=server
            )
            failures = 0 if _size_of(partial) > have else failures + 1
            if failures >= retry.max_attempts:
                raise LatexifyError(
                    f"{url} could not be downloaded ({problem}): check the network and run again (it resumes), "
                    f"or put the file at {to} yourself"
                )
            if problem is not None:
                progress.message(f"download {to.name}: {problem}, trying again")
                time.sleep(retry.pause_s * 2**failures)
    _require_size(partial, num_bytes=num_bytes)
    if server.md5 is not None and (found := _hash_of(partial, "md5")) != server.md5:
        raise LatexifyError(
            f"{url} was damaged on its way (MD5 {found}, the server says {server.md5}): delete {partial} and run again"
        )
    if _record_of(to).exists():
        _require_recorded(partial, of=to)
    else:
        write_atomically(_record_of(to), f"{_hash_of(partial, 'sha256')}  {to.name}\n".encode())
    partial.replace(to)


@dataclass(slots=True)
class _ServerSums:
    """What the server says of the whole file."""

    md5: str | None = None  # hexadecimal; None: it gives none

    def read(self, response: http.client.HTTPResponse) -> None:
        """Read the headers of Google's and other stores, MD5 in base64. An ETag is an MD5 in some stores only."""
        for value in response.headers.get_all("x-goog-hash") or []:
            if found := re.search(r"md5=([A-Za-z0-9+/]{22}==)", value):
                self.md5 = base64.b64decode(found[1]).hex()
        # of a part it is the part's
        if response.status == http.HTTPStatus.OK and (whole := response.headers.get("Content-MD5")):
            self.md5 = base64.b64decode(whole).hex()


def _attempt(  # noqa: PLR0913  # all but the first are named
    url: str, *, partial: Path, num_bytes: int, timeout_s: float, progress: Progress, server: _ServerSums
) -> str | None:
    """Append to `partial` until it is complete or the connection breaks; return the problem, or None."""
    have = _size_of(partial)
    try:
        # identity: compression would make sizes and offsets meaningless
        headers = {"User-Agent": "latexify", "Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={have}-"} if have else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  (our own https addresses)
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310  (same)
            resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
            _require_offered_size(response, url=url, num_bytes=num_bytes, offset=have if resumed else 0)
            server.read(response)
            if have and not resumed:  # the server starts from the beginning
                progress.advance(-have)
            with partial.open("ab" if resumed else "wb") as file:
                while block := response.read(BLOCK_BYTES):
                    file.write(block)
                    progress.advance(len(block))
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            partial.unlink()
            progress.advance(-have)
        elif error.code not in _WORTH_RETRYING:
            raise LatexifyError(f"{url}: the server answered {error.code} {error.reason}") from error
        return f"the server answered {error.code} {error.reason}"
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return None if _size_of(partial) == num_bytes else "the connection was closed early"


def _require_offered_size(response: http.client.HTTPResponse, *, url: str, num_bytes: int, offset: int) -> None:
    """Raise LatexifyError before downloading another file, or a part that does not fit."""
    content_range = response.headers.get("Content-Range", "")
    if offset and not content_range.startswith(f"bytes {offset}-"):
        raise LatexifyError(f"{url}: asked for bytes from {offset}, the server sends {content_range!r}")
    length = response.headers.get("Content-Length")
    if length is not None and int(length) + offset != num_bytes:
        raise LatexifyError(
            f"{url}: the server offers {int(length) + offset} bytes, expected {num_bytes}: the file was replaced "
            "or something on the way answers instead"
        )


def _require_size(path: Path, *, num_bytes: int) -> None:
    if _size_of(path) != num_bytes:
        raise LatexifyError(f"{path} has {_size_of(path)} bytes, expected {num_bytes}: delete it and run again")


def _require_recorded(path: Path, *, of: Path) -> None:
    """Check that `path` has the SHA-256 that is recorded for the download `of`."""
    record = _record_of(of)
    recorded = record.read_text(encoding="utf-8").partition(" ")[0].strip()
    found = _hash_of(path, "sha256")
    if found != recorded:
        raise LatexifyError(
            f"{path} is not what was first downloaded (SHA-256 {found}, {record} says {recorded}): delete the file to "
            f"download it again, or {record} if another file is meant"
        )


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _hash_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
