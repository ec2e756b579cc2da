"""Errors as answers: one line and its status, in one form for all."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from latexify.serve.http.http_errors import HttpError


def error_response(error: HttpError) -> JSONResponse:
    """Return the answer for an error."""
    return _response(error.status, str(error), error.headers)


def _response(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text, "status": int(status)}, status_code=status, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the application in this form."""

    async def on_error(_: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HttpError):
            return error_response(error)
        if isinstance(error, HTTPException):
            return _response(error.status_code, f"{error.detail}: see /openapi.json for all routes", error.headers)
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            return _response(HTTPStatus.UNPROCESSABLE_ENTITY, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        # Starlette raises it again for the log
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error: see the server's log")

    for kind in (HttpError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, on_error)
