"""Errors with an HTTP status and a one-line message that says what is wrong and how to fix it."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus

from latexify.common.errors import LatexifyError, one_line

CLIENT_GONE = 499
"""Status of a request whose client disconnected before the answer (nginx's number); it only shows in metrics."""


class HttpError(LatexifyError):
    """Why a request, or one of its items, gets no answer; `status` is 4xx or 5xx."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(one_line(message))
        self.status = int(status)
        self._headers = headers

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with the error."""
        if self._headers is not None:
            return self._headers
        return {"Retry-After": "1"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


# each takes a message
too_large = partial(HttpError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
unusable = partial(HttpError, HTTPStatus.UNPROCESSABLE_ENTITY)  # well-formed, but not readable as handwriting
malformed = partial(HttpError, HTTPStatus.BAD_REQUEST)  # the body is not what its content type says
unsupported = partial(HttpError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
busy = partial(HttpError, HTTPStatus.SERVICE_UNAVAILABLE)  # tells the client to retry after a second
