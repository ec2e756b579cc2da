"""The page to write on, and what it loads and asks."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from latexify.serve.examples import EXAMPLES_PATH
from latexify.serve.http.request_body import BodyReceiver
from latexify.serve.http.worker import Worker
from latexify.serve.web import parts

PAGE_FILES = ("page.css", "writer.css", *parts.SCRIPTS, "page.js")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Keeps a browser from loading anything from other servers for the page, and other pages from framing it."""


def add_page(app: FastAPI, worker: Worker, bodies: BodyReceiver) -> None:
    """Add the page. Its routes are not part of the API, so they are not in its description."""

    async def typeset(request: Request) -> JSONResponse:
        """Draw formulas and write them in each format, for the page."""
        async with bodies.receive(request.receive, request.headers) as body:
            return JSONResponse({"results": await worker.typeset(body)})

    async def page() -> Response:
        return HTMLResponse(parts.page(), headers={"Content-Security-Policy": PAGE_POLICY})

    app.post("/typeset", include_in_schema=False)(typeset)
    app.get("/", include_in_schema=False)(page)
    app.get("/examples.json", include_in_schema=False)(_file_route(EXAMPLES_PATH))
    app.get("/favicon.ico", include_in_schema=False)(_file_route(parts.STATIC / "icon.svg"))
    for name in PAGE_FILES:
        app.get(f"/{name}", include_in_schema=False)(_file_route(parts.STATIC / name))


def _file_route(path: Path) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return FileResponse(path)

    return file
