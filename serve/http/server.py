"""The service as a process: uvicorn, with patience that ends, and an orderly end."""

import asyncio
from collections.abc import Callable
from math import ceil

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from latexify.serve.http.app import make_app
from latexify.serve.http.sockets import listen, run_until_told, url_of
from latexify.serve.http.worker import Settings

IDLE_TIMEOUT_S = 5
"""For the head of a request, between two requests, and for the rest of a body that is answered already."""

MAX_DISCARDED_BYTES = 64_000_000
"""Of a body that is answered already: a client that is cut off while it sends may not see the answer."""

MAX_CONNECTIONS = 512
"""Below the 1,024 files that a process may usually have open."""


class TimeoutH11Protocol(H11Protocol):
    """HTTP/1.1 that closes connections whose client keeps it waiting where the application does not watch.

    uvicorn alone waits for ever for the rest of a head, and for the rest of a body that was refused.
    """

    _deadline: asyncio.TimerHandle | None = None
    _discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client connected."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Something came."""
        super().data_received(data)
        self._watch()
        self._discarded_bytes = self._discarded_bytes + len(data) if self._is_answered_early() else 0
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.close()

    def on_response_complete(self) -> None:
        """An answer was sent."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        super().connection_lost(exc)
        self._cancel_deadline()

    def _watch(self) -> None:
        """A deadline runs while the client owes something that no application waits for."""
        owes = self.conn.their_state is h11.IDLE or self._is_answered_early()
        if not owes:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(IDLE_TIMEOUT_S, self.transport.close)

    def _is_answered_early(self) -> bool:
        """Whether the rest of a body is still to come, and nobody wants it."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def run(settings: Settings, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, finish what was begun, and return.

    announce: told where, once clients can connect.
    Raises LatexifyError where the address cannot be had, or the model cannot be loaded.
    """
    failures: list[BaseException] = []

    def stop(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    listening = listen(host, port)
    config = uvicorn.Config(
        make_app(settings, on_failure=stop),
        http=TimeoutH11Protocol,
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_TIMEOUT_S,
        timeout_graceful_shutdown=ceil(settings.limits.body_timeout_s + settings.limits.answer_timeout_s),
    )
    server = uvicorn.Server(config)
    announce(f"serving {settings.model} on {url_of(listening)}")
    run_until_told(server, listening)
    if failures:
        raise failures[0]
