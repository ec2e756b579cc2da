"""Who may use the service: the middleware that checks it, in the right order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from latexify.common.errors import LatexifyError
from latexify.serve.http.access.headers import HeadAsGet, SecurityHeaders
from latexify.serve.http.access.hosts import HostCheck
from latexify.serve.http.access.keys import KeyCheck
from latexify.serve.http.access.rates import RateLimit
from latexify.serve.http.api.schemas import ERRORS, KEY_ERRORS, RATE_ERRORS

ORIGIN = re.compile(r"https?://[^/?#\s]+|\*|null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use the service; without settings, everybody who can reach it.

    Attributes:
        hosts: Names that the header Host may have (`hosts.names_of`), None for any.
        origins: Origins of pages that may read answers, such as ``https://example.org``; ``*`` for all.
        keys: API keys, of which a request needs one; none if empty.
        per_minute: Largest number of requests a minute of each client, None for any.
    """

    hosts: frozenset[str] | None = None
    origins: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    per_minute: int | None = None

    def __post_init__(self) -> None:
        """Raise LatexifyError if an origin is none."""
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                raise LatexifyError(
                    f"--allow-origin: {origin!r} is no origin: it is https://NAME or https://NAME:PORT, without a path "
                    "or a slash at its end, or * for all"
                )

    @property
    def errors(self) -> Mapping[int, str]:
        """Statuses of errors, and what they mean."""
        return {**ERRORS, **(KEY_ERRORS if self.keys else {}), **(RATE_ERRORS if self.per_minute else {})}


def add_access(app: FastAPI, access: Access) -> None:
    """Add the middleware. The last one added is the first to see a request."""
    app.add_middleware(HeadAsGet)
    if access.per_minute is not None:
        app.add_middleware(RateLimit, per_minute=access.per_minute, has_keys=bool(access.keys))
    if access.keys:
        app.add_middleware(KeyCheck, keys=access.keys)
    if access.origins:  # asks of browsers before a request have no key
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After"],
            allow_private_network=True,
        )
    if access.hosts is not None:
        app.add_middleware(HostCheck, names=access.hosts)
    app.add_middleware(SecurityHeaders)
