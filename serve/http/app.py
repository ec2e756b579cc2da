"""The HTTP service as an ASGI application: its routes and their answers. `latexify.serve.http.server` runs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from latexify.eval.config import MAX_DRAWINGS
from latexify.serve.examples import EXAMPLES_PATH
from latexify.serve.formats.formats import Format
from latexify.serve.http import schemas
from latexify.serve.http.batching import SearchOptions
from latexify.serve.http.http_errors import CLIENT_GONE, HttpError, busy
from latexify.serve.http.limits import MAX_BEAMS, MAX_ONLY_CHARS
from latexify.serve.http.metrics import RequestCounter, ServiceMetrics
from latexify.serve.http.request_body import BodyReceiver, wait_for_disconnect
from latexify.serve.http.worker import ServiceSettings, Worker

PAGE_FILES = (
    "write.css",
    "sheet.js",
    "clipboard.js",
    "formula.js",
    "readings.js",
    "files.js",
    "history.js",
    "examples.js",
    "write.js",
)
ROUTES = frozenset(
    {
        "/",
        "/recognize",
        "/invocations",
        "/typeset",
        "/examples.json",
        "/health",
        "/ready",
        "/ping",
        "/metrics",
        "/openapi.json",
    }
    | {f"/{name}" for name in PAGE_FILES}
)
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Keeps a browser from loading anything from other servers for the page, and other pages from framing it."""
Formats = Annotated[
    list[Format], Query(description="Formats in which the answer is wanted beside the LaTeX; may be repeated.")
]
Beams = Annotated[int, Query(ge=1, le=MAX_BEAMS, description="Beam width; above 1, alternatives are returned too.")]
Drawings = Annotated[
    int,
    Query(ge=1, le=MAX_DRAWINGS, description="Drawings of each picture whose answers vote: accurate, but slower."),
]
Only = Annotated[
    str | None,
    Query(max_length=MAX_ONLY_CHARS, description="The symbols that may be written: digits, letters, LaTeX tokens."),
]
STATIC = Path(__file__).resolve().parent / "static"


def make_app(settings: ServiceSettings, *, on_failure: Callable[[BaseException], None]) -> FastAPI:
    """Make the application, which loads the model when it starts, and calls `on_failure` if that fails."""
    metrics = ServiceMetrics()
    worker = Worker(settings, metrics)
    bodies = BodyReceiver(settings.limits)
    metrics.add_gauge("latexify_ready", "1 once the model is loaded.", lambda: worker.is_ready)
    metrics.add_gauge("latexify_items_in_progress", "Items in progress.", lambda: worker.slots.num_taken)
    metrics.add_gauge("latexify_queue_length", "Pictures that wait for the model.", lambda: worker.num_waiting)
    metrics.add_gauge("latexify_held_body_bytes", "Bytes of bodies in memory.", lambda: bodies.held_bytes)

    def report_failure(work: asyncio.Task[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            on_failure(error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(worker.run())
        work.add_done_callback(report_failure)
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait({work})
            worker.close()

    app = FastAPI(
        title="latexify",
        description="Handwritten mathematics to LaTeX.",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from other servers
        redoc_url=None,
    )
    app.add_middleware(RequestCounter, metrics=metrics, routes=ROUTES)
    _add_error_handlers(app)
    _add_recognition(app, worker, bodies)
    _add_other_routes(app, worker, metrics)
    return app


def _add_recognition(app: FastAPI, worker: Worker, bodies: BodyReceiver) -> None:
    limits = worker.settings.limits

    async def recognize(
        request: Request,
        beams: Beams = 1,
        drawings: Drawings = 1,
        only: Only = None,
        formats: Formats = [],  # noqa: B006  # FastAPI copies it
    ) -> JSONResponse:
        """Recognise an image, an InkML file or strokes; or several, as a form of files or a JSON list."""
        worker.require_ready()
        async with bodies.receive(request.receive, request.headers) as body:
            content_type = request.headers.get("content-type", "")
            options = SearchOptions(num_beams=beams, num_drawings=drawings, only=only)
            work = asyncio.ensure_future(
                worker.answer(body, content_type=content_type, options=options, formats=formats)
            )
            gone = asyncio.ensure_future(wait_for_disconnect(request.receive))
            try:
                await asyncio.wait({work, gone}, timeout=limits.answer_timeout_s, return_when=asyncio.FIRST_COMPLETED)
                return JSONResponse(_result(work, has_gone=gone.done(), timeout_s=limits.answer_timeout_s))
            finally:
                work.cancel()
                gone.cancel()

    for path in ("/recognize", "/invocations"):
        app.post(
            path,
            responses=schemas.RESPONSES,
            response_model=None,
            openapi_extra={"requestBody": schemas.request_body(limits)},
            include_in_schema=path == "/recognize",
        )(recognize)

    async def typeset(request: Request) -> JSONResponse:
        """Draw formulas and write them in each format, for the page."""
        async with bodies.receive(request.receive, request.headers) as body:
            return JSONResponse({"results": await worker.typeset(body)})

    app.post("/typeset", include_in_schema=False)(typeset)


def _result(work: "asyncio.Future[dict[str, Any]]", *, has_gone: bool, timeout_s: float) -> dict[str, Any]:
    if work.done():
        return work.result()
    if has_gone:
        raise HttpError(CLIENT_GONE, "the client disconnected")
    raise HttpError(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {timeout_s:g} s: send less, or try again later")


def _add_other_routes(app: FastAPI, worker: Worker, metrics: ServiceMetrics) -> None:
    async def health() -> dict[str, str]:
        """Answer that the process is alive."""
        return {"status": "alive"}

    async def ready() -> dict[str, str]:
        """Answer whether requests are accepted: 503 while the model is loading."""
        if not worker.is_ready:
            raise busy("the model is still loading: try again in a second")
        return {"status": "ready"}

    async def metrics_page() -> Response:
        """Return metrics in Prometheus's format."""
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def page() -> Response:
        return FileResponse(STATIC / "write.html", headers={"Content-Security-Policy": PAGE_POLICY})

    app.get("/health")(health)
    app.get("/ready", responses={503: {"model": schemas.ErrorSchema}})(ready)
    app.get("/ping", include_in_schema=False)(ready)
    app.get("/metrics", response_class=PlainTextResponse)(metrics_page)
    app.get("/", include_in_schema=False)(page)
    app.get("/examples.json", include_in_schema=False)(_file_route(EXAMPLES_PATH))
    app.get("/favicon.ico", include_in_schema=False)(_file_route(STATIC / "icon.svg"))
    for name in PAGE_FILES:
        app.get(f"/{name}", include_in_schema=False)(_file_route(STATIC / name))


def _file_route(path: Path) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return FileResponse(path)

    return file


def _add_error_handlers(app: FastAPI) -> None:
    """Answer every error in the same form: one line and its status."""

    async def on_error(_: Request, error: Exception) -> JSONResponse:
        headers: Mapping[str, str] | None = None
        if isinstance(error, HttpError):
            status, text, headers = error.status, str(error), error.headers
        elif isinstance(error, HTTPException):
            text, headers = f"{error.detail}: see /openapi.json for all routes", error.headers
            status = error.status_code
        elif isinstance(error, RequestValidationError):
            first = error.errors()[0]
            status, text = HTTPStatus.UNPROCESSABLE_ENTITY, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        else:  # Starlette raises it again for the log
            status, text = HTTPStatus.INTERNAL_SERVER_ERROR, "internal error: see the server's log"
        return JSONResponse({"error": text, "status": int(status)}, status_code=status, headers=headers)

    for kind in (HttpError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, on_error)
