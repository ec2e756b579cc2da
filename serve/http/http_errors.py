"""Errors with an HTTP status and a one-line message that says what is wrong and how to fix it."""

from http import HTTPStatus

from latexify.common.errors import LatexifyError

CLIENT_GONE = 499
"""Status of a request whose client disconnected before the answer (nginx's number); it only shows in metrics."""


class HttpError(LatexifyError):
    """Why a request, or one of its items, gets no answer; `status` is 4xx or 5xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.status = int(status)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with the status."""
        return {"Retry-After": "1"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def too_large(message: str) -> HttpError:
    """Make an error 413."""
    return HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def unusable(message: str) -> HttpError:
    """Make an error 422: well-formed, but not readable as handwriting."""
    return HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def malformed(message: str) -> HttpError:
    """Make an error 400: the body is not what its content type says."""
    return HttpError(HTTPStatus.BAD_REQUEST, message)


def unsupported(message: str) -> HttpError:
    """Make an error 415."""
    return HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def busy(message: str) -> HttpError:
    """Make an error 503, which tells the client to retry after a second."""
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, message)
