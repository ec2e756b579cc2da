"""Receive request bodies within limits of size and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Receive

from latexify.serve.http.http_errors import CLIENT_GONE, HttpError, busy, too_large, unsupported
from latexify.serve.http.limits import Limits


class BodyReceiver:
    """Receives bodies, and counts the memory that they hold in `held_bytes`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held_bytes = 0

    @asynccontextmanager
    async def receive(self, receive: Receive, headers: Headers) -> AsyncIterator[bytes]:
        """Receive a body, and count it as held until the end of the block.

        Raises:
            HttpError: 408 if it is too slow, 413 too large (by its Content-Length before any of it is read), 415
                compressed, 499 the client disconnected, 503 all bodies together are too large.
        """
        self._check_headers(headers)
        chunks: list[bytes] = []
        num_bytes = 0
        try:
            await self._receive_chunks(receive, chunks)
            body = b"".join(chunks)
            num_bytes = len(body)
            chunks.clear()  # else it would be held twice
            yield body
        finally:
            self.held_bytes -= num_bytes or sum(map(len, chunks))

    async def _receive_chunks(self, receive: Receive, chunks: list[bytes]) -> None:
        num_bytes = 0
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                async for chunk in _iterate_chunks(receive):
                    chunks.append(chunk)
                    num_bytes += len(chunk)
                    self.held_bytes += len(chunk)
                    self._check_size(num_bytes)
        except TimeoutError:
            raise HttpError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not arrive within {self._limits.body_timeout_s:g} s: send it faster, or send less",
            ) from None

    def _check_headers(self, headers: Headers) -> None:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise unsupported("the body is compressed: send it uncompressed")
        length = headers.get("content-length", "0")
        # the server has checked that it is a number; do not convert thousands of digits
        if len(length) > 15 or int(length) > self._limits.max_body_bytes:
            raise self._body_too_large()

    def _check_size(self, num_bytes: int) -> None:
        if num_bytes > self._limits.max_body_bytes:
            raise self._body_too_large()
        if self.held_bytes > self._limits.max_held_bytes:
            raise busy("too many large requests at once: try again in a second")

    def _body_too_large(self) -> HttpError:
        return too_large(f"the body is larger than {self._limits.max_body_bytes:,} bytes: send a smaller image")


async def _iterate_chunks(receive: Receive) -> AsyncIterator[bytes]:
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpError(CLIENT_GONE, "the client disconnected")
        more_body = message.get("more_body", False)
        yield message.get("body", b"")


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected; its body must have been received before."""
    while (await receive())["type"] != "http.disconnect":
        pass
