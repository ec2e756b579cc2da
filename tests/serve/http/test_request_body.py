"""Bodies are received within limits of size and time, and the memory that they hold is counted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.datastructures import Headers

from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.limits import Limits
from latexify.serve.http.request_body import BodyReceiver, wait_for_disconnect

LIMITS = Limits(max_body_bytes=10, max_held_bytes=15, body_timeout_s=0.05)


class Client:
    """Sends chunks, then disconnects or stays silent."""

    def __init__(self, chunks: Sequence[bytes], *, is_complete: bool = True, disconnects: bool = False) -> None:
        self.num_sent = 0
        self._chunks = chunks
        self._is_complete = is_complete
        self._disconnects = disconnects

    async def receive(self) -> dict[str, Any]:
        if self.num_sent == len(self._chunks):
            if not self._disconnects:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self.num_sent += 1
        more_body = not self._is_complete or self.num_sent < len(self._chunks)
        return {"type": "http.request", "body": self._chunks[self.num_sent - 1], "more_body": more_body}


async def receive(receiver: BodyReceiver, client: Client, **headers: str) -> bytes:
    """Receive the client's body."""
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    async with receiver.receive(client.receive, fields) as body:
        assert receiver.held_bytes >= len(body)
        return body


def test_chunks_are_joined_and_released_afterwards() -> None:
    """A counter that only grows would refuse all requests after a while."""
    receiver = BodyReceiver(LIMITS)
    assert asyncio.run(receive(receiver, Client([b"abc", b"", b"def"]))) == b"abcdef"
    assert receiver.held_bytes == 0


@pytest.mark.parametrize(
    ("client", "headers", "status", "num_sent"),
    [
        (Client([b"a"]), {"content_encoding": "gzip"}, 415, 0),
        (Client([b"a"]), {"content_length": "11"}, 413, 0),
        (Client([b"a"]), {"content_length": "9" * 50}, 413, 0),
        (Client([b"abcd"] * 9, is_complete=False), {}, 413, 3),
        (Client([b"abcd"], is_complete=False), {}, 408, 1),
        (Client([b"abcd"], is_complete=False, disconnects=True), {}, 499, 1),
    ],
)
def test_an_unusable_body_is_refused_as_early_as_possible(
    client: Client, headers: dict[str, str], status: int, num_sent: int
) -> None:
    """Nothing is received that the head rules out, and at most one chunk beyond the limit."""
    receiver = BodyReceiver(LIMITS)
    with pytest.raises(HttpError) as error:
        asyncio.run(receive(receiver, client, **headers))
    assert (error.value.status, client.num_sent) == (status, num_sent)
    assert receiver.held_bytes == 0


def test_all_bodies_together_have_a_limit() -> None:
    """Many large uploads at the same time must not take all memory."""

    async def run() -> None:
        receiver = BodyReceiver(LIMITS)
        async with receiver.receive(Client([bytes(9)]).receive, Headers()):
            with pytest.raises(HttpError) as error:
                await receive(receiver, Client([bytes(9)]))
            assert error.value.status == 503
            assert receiver.held_bytes == 9
        assert await receive(receiver, Client([bytes(9)])) == bytes(9)

    asyncio.run(run())


def test_a_disconnect_is_noticed() -> None:
    """The model must not work for a client that has gone."""
    asyncio.run(asyncio.wait_for(wait_for_disconnect(Client([b"", b""], disconnects=True).receive), timeout=5))
