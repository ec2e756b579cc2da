"""A limit of requests in progress, whatever they are for."""

from starlette.types import ASGIApp, Receive, Scope, Send

from latexify.serve.http.access.keys import OPEN_ROUTES
from latexify.serve.http.http_errors import busy
from latexify.serve.http.routes.errors import error_response


class RequestLimit:
    """Refuses requests (503) beyond `max_requests` at a time, except those of probes.

    The connection of a request that is refused is closed, or idle at once. So idle connections can be closed instead
    of refusing new ones, and a probe always gets an answer.
    """

    def __init__(self, app: ASGIApp, *, max_requests: int) -> None:
        self._app = app
        self._max_requests = max_requests
        self._num_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPEN_ROUTES:
            await self._app(scope, receive, send)
            return
        if self._num_requests >= self._max_requests:
            problem = f"{self._max_requests} requests are in progress: try again in a second"
            await error_response(busy(problem))(scope, receive, send)
            return
        self._num_requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._num_requests -= 1
