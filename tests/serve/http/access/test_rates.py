"""The limit of requests a minute."""

from starlette.types import Message, Receive, Scope, Send

from latexify.serve.http.access.access import Access
from latexify.serve.http.access.rates import RateLimit
from tests.support.http_access import client_of


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application."""


class Clients:
    """Requests of clients at times that a test sets."""

    def __init__(self, per_minute: int) -> None:
        self.now = 0.0
        self.limit = RateLimit(nothing, per_minute=per_minute, has_keys=False, clock=lambda: self.now)

    async def post(self, address: str) -> dict[str, str]:
        """Headers of the refusal, none if it is passed on."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError

        scope = {"type": "http", "method": "POST", "path": "/recognize", "headers": [], "client": (address, 1)}
        await self.limit(scope, receive, send)
        return {name.decode(): value.decode() for name, value in sent[0]["headers"]} if sent else {}


async def _spend_and_wait() -> None:
    clients = Clients(per_minute=6)
    assert not any([await clients.post("10.0.0.1") for _ in range(6)])
    assert (await clients.post("10.0.0.1"))["retry-after"] == "10"
    assert not await clients.post("10.0.0.2")
    clients.now = 9.5
    assert (await clients.post("10.0.0.1"))["retry-after"] == "1"
    clients.now = 10.1
    assert not await clients.post("10.0.0.1")
    assert await clients.post("10.0.0.1")
    clients.now = 1000.0
    assert not any([await clients.post("10.0.0.1") for _ in range(6)])
    assert await clients.post("10.0.0.1")
    assert not any([await clients.post(f"2001:db8:0:1::{i}") for i in range(6)])
    assert await clients.post("2001:db8:0:1:ffff::1"), "one client has a whole /64"


def test_a_client_may_spend_its_minute_at_once_and_then_waits() -> None:
    """Retry-After is when the next request is allowed; others are not slowed down by one."""
    import asyncio

    asyncio.run(_spend_and_wait())


def test_the_memory_of_clients_is_bounded() -> None:
    """An attacker has as many addresses as he wants."""
    import asyncio

    from latexify.serve.http.access import rates

    async def flood() -> int:
        clients = Clients(per_minute=1)
        for i in range(rates.MAX_CLIENTS + 50):
            await clients.post(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")
        return len(clients.limit._clients)

    assert asyncio.run(flood()) == rates.MAX_CLIENTS


def test_keys_are_the_clients_where_there_are_some() -> None:
    """Behind a proxy all requests come from one address. Only POST counts, so that probes and pages go on."""
    keys = ("a-key-of-some-length", "another-key-of-others")
    client = client_of(Access(keys=keys, per_minute=2))
    statuses = [client.post("/recognize", headers={"x-api-key": keys[0]}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert client.post("/recognize", headers={"x-api-key": keys[1]}).status_code == 200
    assert client.get("/", headers={"x-api-key": keys[0]}).status_code == 200
