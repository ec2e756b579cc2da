"""HTTP/1.1 with timeouts where uvicorn has none. It extends a private class of uvicorn (see `server.run`)."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_TIMEOUT_S = 5
"""Time for the head of a request, between two requests, and for the rest of a body that was already answered."""
MAX_DISCARDED_BYTES = 64_000_000
"""Bytes to read of a body that was already answered. A client that is cut off while it sends may miss the answer."""


class TimeoutH11Protocol(H11Protocol):
    """Close connections that a slow client holds open while no application code waits for it.

    uvicorn alone waits forever for the rest of a head, and for the rest of a body that was refused.
    """

    _deadline: asyncio.TimerHandle | None = None
    _discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the timeout for the first request."""
        super().connection_made(transport)
        self._update_deadline()

    def data_received(self, data: bytes) -> None:
        """Process data, and close the connection if it sends too much of a body that was already answered."""
        super().data_received(data)
        self._update_deadline()
        self._discarded_bytes = self._discarded_bytes + len(data) if self._is_answered_early() else 0
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Start the timeout for the next request, or for the rest of the body."""
        super().on_response_complete()
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout."""
        super().connection_lost(exc)
        self._cancel_deadline()

    def _update_deadline(self) -> None:
        """Run a deadline while the client has to send something that no application waits for."""
        is_awaited = self.conn.their_state is h11.IDLE or self._is_answered_early()
        if not is_awaited:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(IDLE_TIMEOUT_S, self.transport.close)

    def _is_answered_early(self) -> bool:
        """Whether the response was sent before the whole body arrived."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
