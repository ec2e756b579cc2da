"""Where a server listens, and how it ends: for the service and for the demo."""

import signal
import socket

import uvicorn

from latexify.common.errors import LatexifyError

BACKLOG = 512
"""Connections that wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. port: 0 for any that is free.

    Raises LatexifyError where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise LatexifyError(f"cannot listen on {host}, port {port} ({error.strerror}): choose others") from None
    # connections inherit it; head and body of an answer are two packets, and the second would wait 40 ms for the
    # client to acknowledge the first. asyncio sets it only on sockets that were made with a protocol number
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(listening: socket.socket) -> str:
    """The address of a socket, as browsers take it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_until_told(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, finish what was begun, close the socket, and return."""
    # uvicorn stops in order, then raises the signal again for the handlers that were there before: no default ones,
    # which would end the process by the signal
    before = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
