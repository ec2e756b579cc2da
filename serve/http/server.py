"""Run the HTTP service as a process: uvicorn with timeouts and a graceful shutdown."""

import asyncio
from collections.abc import Callable
from math import ceil
from typing import Literal

from latexify.serve.http.access.access import Access
from latexify.serve.http.access.hosts import names_of
from latexify.serve.http.app import make_app
from latexify.serve.http.memory import return_freed_memory
from latexify.serve.http.sockets import listen, make_server, run_until_signalled, url_of
from latexify.serve.http.worker import ServiceSettings

KEEP_ALIVE_S = 5  # time between two requests of a connection


def run(
    settings: ServiceSettings,
    *,
    host: str,
    port: int,
    access: Access | None = None,
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, finish the requests in progress, and return.

    Port 0 takes any free one. `announce` gets lines for the user: the service's URL once clients can connect.

    Raises:
        LatexifyError: If the address cannot be used, or the model cannot be loaded.
    """
    failures: list[BaseException] = []

    def stop(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    return_freed_memory()
    listener = listen(host, port)
    server = make_server(
        make_app(settings, access=access or Access(hosts=names_of(host, ())), on_failure=stop, announce=announce),
        http=choose_protocol(announce),
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=ceil(settings.limits.body_timeout_s + settings.limits.answer_timeout_s),
    )
    announce(f"serving {settings.model} on {url_of(listener)}")
    run_until_signalled(server, listener)
    if failures:
        raise failures[0]


def choose_protocol(announce: Callable[[str], None]) -> type[asyncio.Protocol] | Literal["auto"]:
    """Return the protocol with limits, or uvicorn's own if the private class that it extends is missing."""
    try:
        from latexify.serve.http.connections.protocol import LimitedH11Protocol  # noqa: PLC0415  # may be missing
    except ImportError as error:
        announce(
            "no limits for slow clients and idle connections, as this version of uvicorn does not support them "
            f"({error}): put a proxy in front of a public service"
        )
        return "auto"
    return LimitedH11Protocol
