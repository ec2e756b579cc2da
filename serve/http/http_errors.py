"""Requests that get no answer: a status of HTTP, and one line that names what is wrong and how to mend it."""

from http import HTTPStatus

from latexify.common.errors import LatexifyError

CLIENT_GONE = 499
"""Of a request whose client went away before the answer; seen in metrics only (the number is nginx's)."""


class HttpError(LatexifyError):
    """Why a request, or one of its items, is not answered. status: of HTTP, 4xx or 5xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.status = int(status)

    @property
    def headers(self) -> dict[str, str]:
        """That go with the status."""
        return {"Retry-After": "1"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def too_large(message: str) -> HttpError:
    """413."""
    return HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def unusable(message: str) -> HttpError:
    """422: understood, but nothing that could be read as handwriting."""
    return HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def malformed(message: str) -> HttpError:
    """400: not what its content type says."""
    return HttpError(HTTPStatus.BAD_REQUEST, message)


def unsupported(message: str) -> HttpError:
    """415."""
    return HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def busy(message: str) -> HttpError:
    """503, with the advice to come again in a second."""
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, message)
