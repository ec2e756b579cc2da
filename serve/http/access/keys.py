"""API keys: who has none is refused."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from latexify.common.errors import LatexifyError
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.routes.errors import error_response

OPEN_ROUTES = frozenset({"/health", "/ready", "/ping"})
"""Probes of load balancers need no key."""
MIN_CHARS = 16
CHALLENGE = {"WWW-Authenticate": 'Basic realm="latexify: the key is the password", Bearer'}
"""With this, a browser asks for the key, and sends it from the page as well."""


def read_keys(path: Path) -> tuple[str, ...]:
    """Read a file of keys, one a line; empty lines and those that begin with # are left out.

    Raises:
        LatexifyError: If it cannot be read, has no key, or one that is short or has spaces or other than ASCII.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise LatexifyError(f"--api-key-file: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise LatexifyError(f"--api-key-file: {path} is no text: write one key a line") from None
    keys = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    keys = [(number, key) for number, key in keys if not key.startswith("#")]
    if not keys:
        raise LatexifyError(f"--api-key-file: {path} has no key: write one a line, as `openssl rand -hex 32` gives")
    for number, key in keys:
        if len(key) < MIN_CHARS or not (key.isascii() and key.isprintable()) or " " in key:
            raise LatexifyError(
                f"--api-key-file: {path}, line {number}: a key has at least {MIN_CHARS} characters of ASCII without "
                "spaces, such as `openssl rand -hex 32` gives"
            )
    return tuple(key for _, key in keys)


def key_of(headers: Headers) -> str | None:
    """Return the key of a request: `Authorization: Bearer KEY`, `X-API-Key: KEY`, or the password of Basic."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return None
    return headers.get("x-api-key")


class KeyCheck:
    """Refuses requests (401) without one of the keys, except those of probes."""

    def __init__(self, app: ASGIApp, *, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in OPEN_ROUTES:
            key = key_of(Headers(scope=scope))
            if key is None or not self._is_known(key.encode()):
                what = "needs an API key" if key is None else "has another API key than those of this service"
                problem = f"the request {what}: send it as Authorization: Bearer KEY"
                await error_response(HttpError(HTTPStatus.UNAUTHORIZED, problem, headers=CHALLENGE))(
                    scope, receive, send
                )
                return
        await self._app(scope, receive, send)

    def _is_known(self, key: bytes) -> bool:
        """Compare with all, in a time that does not tell how much of one is right."""
        return any([hmac.compare_digest(key, known) for known in self._keys])  # noqa: C419  # no early end
