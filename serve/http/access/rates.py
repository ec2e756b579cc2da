"""A limit of requests a minute for each client."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from math import ceil

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from latexify.serve.http.access.keys import key_of
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.routes.errors import error_response

MAX_CLIENTS = 10_000  # that are remembered; of more, those that asked longest ago are forgotten
IPV6_PREFIX = 64  # bits of an address that one client has


class RateLimit:
    """Refuses requests (429) of a client beyond `per_minute`, which it may also use up at once.

    A client is an API key or, without keys, an address. Only POST counts: it is what takes time.
    """

    def __init__(
        self, app: ASGIApp, *, per_minute: int, has_keys: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._per_minute = per_minute
        self._has_keys = has_keys
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, and at what time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] == "POST":
            wait_s = self._take(self._client_of(scope))
            if wait_s:
                problem = f"more than {self._per_minute} requests a minute: try again in {wait_s} s"
                error = HttpError(HTTPStatus.TOO_MANY_REQUESTS, problem, headers={"Retry-After": str(wait_s)})
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _client_of(self, scope: Scope) -> str:
        if self._has_keys:  # they were checked before
            return key_of(Headers(scope=scope)) or ""
        address = scope["client"][0] if scope["client"] else ""
        if ":" not in address:
            return str(address)
        return str(ipaddress.ip_network((address.partition("%")[0], IPV6_PREFIX), strict=False))

    def _take(self, client: str) -> int:
        """Count a request; return 0, or after how many seconds the next one is allowed."""
        now = self._clock()
        left, since = self._clients.pop(client, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        is_allowed = left >= 1
        self._clients[client] = (left - is_allowed, now)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return 0 if is_allowed else ceil((1 - left) * 60 / self._per_minute)
