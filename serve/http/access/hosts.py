"""Which names in the header Host are those of the service, against DNS rebinding.

A page of an attacker can let its own name point to 127.0.0.1, and then read what a service there answers, because a
browser takes both for one origin. Its requests still have the attacker's name in Host. IP addresses are no names.
"""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.routes.errors import error_response

MISDIRECTED = 421
LOCAL = "localhost"
PORT = re.compile(r":\d*$")


def names_of(host: str, named: Collection[str]) -> frozenset[str] | None:
    """Return the names that requests may have, None for any.

    Args:
        host: The address that the service listens on. On a loopback address only local names are allowed, on others any
            unless some are named, because names of containers and load balancers are not known here.
        named: Further names.
    """
    if named or _is_loopback(host):
        return frozenset(name.lower() for name in (LOCAL, host, *named))
    return None


def _is_loopback(host: str) -> bool:
    return host.lower() == LOCAL or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class HostCheck:
    """Refuses requests (421) whose Host is a name that is not allowed; a request without Host is of no browser."""

    def __init__(self, app: ASGIApp, *, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            host = PORT.sub("", Headers(scope=scope).get("host", "")).strip("[]").lower()
            if not self._is_allowed(host):
                problem = f"the name {host[:80]!r} is not one of this service: start it with --allow-host {host[:80]}"
                await error_response(HttpError(MISDIRECTED, problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        return not host or host in self._names or host.endswith(f".{LOCAL}") or _is_address(host)
