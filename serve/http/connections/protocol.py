"""HTTP/1.1 with limits where uvicorn has none. It extends a private class of uvicorn (see `server.run`)."""

import asyncio
import json
import sys
from http import HTTPStatus
from operator import itemgetter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from latexify.common.errors import one_line
from latexify.serve.http.access.headers import HEADERS

IDLE_TIMEOUT_S = 5
"""Time for the head of a request, between two requests, and for the rest of a body that was already answered."""
READING_TIMEOUT_S = 20
"""Time in which a client has to read what fills the buffers of an answer."""
MAX_DISCARDED_BYTES = 64_000_000
"""Bytes to read of a body that was already answered. A client that is cut off while it sends may miss the answer."""
MAX_CONNECTIONS = 640
"""Open connections; with `sockets.BACKLOG` and all files, below the usual limit of 1,024 open files for a process."""
MAX_ERROR_CHARS = 200


class LimitedH11Protocol(H11Protocol):
    """Close connections that a slow client holds open, or that are too many, while no application code waits for them.

    uvicorn alone waits forever for the rest of a head, for the rest of a body that was refused, and for a client that
    does not read. It does not limit connections, only refuses requests. Its errors are plain text.
    """

    _deadline: asyncio.TimerHandle | None = None  # while the connection is idle
    _reading_deadline: asyncio.TimerHandle | None = None
    _discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the timeout for the first request, and close another connection if there are too many."""
        super().connection_made(transport)
        self._update_deadline()
        if len(self.connections) > MAX_CONNECTIONS:
            self._close_longest_idle()

    def data_received(self, data: bytes) -> None:
        """Process data, and close the connection if it sends too much of a body that was already answered."""
        super().data_received(data)
        self._update_deadline()
        self._discarded_bytes = self._discarded_bytes + len(data) if self._is_answered_early() else 0
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self._close()

    def on_response_complete(self) -> None:
        """Start the timeout for the next request, or for the rest of the body."""
        super().on_response_complete()
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeouts."""
        super().connection_lost(exc)
        self._cancel_deadline()
        self._cancel_reading_deadline()

    def pause_writing(self) -> None:
        """Start the timeout for the client to read."""
        super().pause_writing()
        self._start_reading_deadline()

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        self._cancel_reading_deadline()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP as the service answers all errors, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application cannot answer any more
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:  # an answer was begun
            self._close()
            return
        error = sys.exc_info()[1]  # uvicorn calls this while it handles the error
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else HTTPStatus.BAD_REQUEST
        problem = one_line(f"the request is not valid HTTP/1.1: {error or msg}")[:MAX_ERROR_CHARS]
        body = json.dumps({"error": problem, "status": int(status)}).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **HEADERS,
        }
        reason = HTTPStatus(status).phrase.encode()
        response = h11.Response(status_code=status, headers=list(headers.items()), reason=reason)
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self._close()

    def _close_longest_idle(self) -> None:
        """Close the connection that has waited for its client for longest, or this one if none has."""
        waiting = [(each.waits_since_s, each) for each in self.connections if isinstance(each, LimitedH11Protocol)]
        idle = [(since_s, each) for since_s, each in waiting if since_s is not None]
        _, longest = min(idle, key=itemgetter(0), default=(0.0, self))
        self.connections.discard(longest)  # it counts until the loop's next turn otherwise
        longest.transport.abort()

    @property
    def waits_since_s(self) -> float | None:
        """Since when the client has to send or to read something, by the clock of the loop; None if it has not."""
        if self._deadline is not None:
            return self._deadline.when() - IDLE_TIMEOUT_S
        return None if self._reading_deadline is None else self._reading_deadline.when() - READING_TIMEOUT_S

    def _update_deadline(self) -> None:
        """Run a deadline while the client has to send something that no application waits for."""
        is_awaited = self.conn.their_state is h11.IDLE or self._is_answered_early()
        if not is_awaited:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(IDLE_TIMEOUT_S, self._close)

    def _is_answered_early(self) -> bool:
        """Whether the response was sent before the whole body arrived."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def _close(self) -> None:
        """Close once the client has read what was written, or does not read it in time."""
        self.transport.close()
        self._start_reading_deadline()

    def _start_reading_deadline(self) -> None:
        if self._reading_deadline is None:
            self._reading_deadline = self.loop.call_later(READING_TIMEOUT_S, self.transport.abort)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cancel_reading_deadline(self) -> None:
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
            self._reading_deadline = None
