"""Bodies of requests, received within bounds of size and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Receive

from latexify.serve.http.http_errors import CLIENT_GONE, HttpError, busy, too_large, unsupported
from latexify.serve.http.limits import Limits


class Bodies:
    """All bodies that are in memory. held_bytes: their size together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held_bytes = 0

    @asynccontextmanager
    async def receive(self, receive: Receive, headers: Headers) -> AsyncIterator[bytes]:
        """Yield the body, and count it as held meanwhile.

        Raises HttpError: 408 too slow, 413 too large (by its Content-Length, before anything of it is read), 415
        compressed, 499 the client has gone, 503 too much from all clients together.
        """
        self._check_head(headers)
        chunks: list[bytes] = []
        try:
            await self._gather(receive, chunks)
            yield b"".join(chunks)
        finally:
            self.held_bytes -= sum(map(len, chunks))

    async def _gather(self, receive: Receive, chunks: list[bytes]) -> None:
        num_bytes = 0
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                async for chunk in _chunks(receive):
                    chunks.append(chunk)
                    num_bytes += len(chunk)
                    self.held_bytes += len(chunk)
                    self._check_size(num_bytes)
        except TimeoutError:
            raise HttpError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {self._limits.body_timeout_s:g} s: send it faster, or less of it",
            ) from None

    def _check_head(self, headers: Headers) -> None:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise unsupported("the body is compressed: send it as it is")
        length = headers.get("content-length", "0")
        # the server has checked that it is a number; a long one is too large, without reading it as a number
        if len(length) > 15 or int(length) > self._limits.max_body_bytes:
            raise self._oversized()

    def _check_size(self, num_bytes: int) -> None:
        if num_bytes > self._limits.max_body_bytes:
            raise self._oversized()
        if self.held_bytes > self._limits.max_held_bytes:
            raise busy("too many large requests at once: try again in a second")

    def _oversized(self) -> HttpError:
        return too_large(f"the body is larger than {self._limits.max_body_bytes:,} bytes: send a smaller picture")


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpError(CLIENT_GONE, "the client has gone")
        is_more = message.get("more_body", False)
        yield message.get("body", b"")


async def disconnection(receive: Receive) -> None:
    """Return when the client has gone; the body must have been received."""
    while (await receive())["type"] != "http.disconnect":
        pass
