"""Listening sockets, and servers that shut down gracefully, for the service and the demo."""

import signal
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from latexify.common.errors import LatexifyError

BACKLOG = 256
"""Connections that may wait to be accepted. asyncio accepts as many at once, before it tells the protocol of any."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 takes any free one. Raises LatexifyError if the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise LatexifyError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another --host or --port"
        ) from None
    # Connections inherit this. Head and body of an answer are two packets, and with Nagle's algorithm the second one
    # waits 40 ms for an acknowledgement. asyncio only sets it on sockets that were made with a protocol number.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the socket's URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: ASGIApp, **options: Any) -> uvicorn.Server:
    """Make a server that logs only errors, does not name its software, and does not trust headers of a proxy."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        **options,
    )
    return uvicorn.Server(config)


def run_until_signalled(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, finish the requests in progress, close the socket, and return."""
    # After its shutdown uvicorn raises the signal again for the previous handlers. The default ones would end the
    # process by the signal, so replace them meanwhile.
    previous = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with listener:
            server.run(sockets=[listener])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
