"""The HTTP service: routes, and what they answer. `latexify.serve.http.server` runs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from latexify.serve.http import schemas
from latexify.serve.http.http_errors import CLIENT_GONE, HttpError
from latexify.serve.http.limits import MAX_BEAMS
from latexify.serve.http.metrics import Counting, Measures
from latexify.serve.http.request_body import Bodies, disconnection
from latexify.serve.http.worker import Settings, Worker

SCRIPTS = ("sheet.js", "clipboard.js", "write.js")
ROUTES = frozenset(
    {"/", "/recognize", "/invocations", "/health", "/ready", "/ping", "/metrics", "/openapi.json"}
    | {f"/{name}" for name in SCRIPTS}
)
Beams = Annotated[int, Query(ge=1, le=MAX_BEAMS, description="More than 1 finds alternatives.")]
STATIC = Path(__file__).resolve().parent / "static"


def make_app(settings: Settings, *, on_failure: Callable[[BaseException], None]) -> FastAPI:
    """The service as an ASGI application; the model is loaded when it starts.

    on_failure: called, in the event loop, where the model cannot be loaded.
    """
    measures = Measures()
    worker = Worker(settings, measures)
    bodies = Bodies(settings.limits)
    _watch(measures, worker, bodies)

    def ended(work: asyncio.Task[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            on_failure(error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(worker.run())
        work.add_done_callback(ended)
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
        docs_url=None,  # their scripts come from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Counting, measures=measures, routes=ROUTES)
    _say_errors_in_one_line(app)
    _add_recognition(app, worker, bodies)
    _add_states(app, worker, measures)
    return app


def _watch(measures: Measures, worker: Worker, bodies: Bodies) -> None:
    measures.watch("latexify_ready", "1 once the model is loaded.", lambda: worker.is_ready)
    measures.watch("latexify_items_in_progress", "Items that hold a place.", lambda: worker.places.taken)
    measures.watch("latexify_queue_length", "Pictures that wait for the model.", lambda: worker.num_waiting)
    measures.watch("latexify_held_body_bytes", "Bodies in memory.", lambda: bodies.held_bytes)


def _add_recognition(app: FastAPI, worker: Worker, bodies: Bodies) -> None:
    limits = worker.settings.limits

    async def recognize(request: Request, beams: Beams = 1) -> JSONResponse:
        """Read an image, an InkML file or strokes; or several of them, by a form of files or a list in JSON."""
        worker.require_ready()
        async with bodies.receive(request.receive, request.headers) as body:
            content_type = request.headers.get("content-type", "")
            work = asyncio.ensure_future(worker.answer(body, content_type=content_type, num_beams=beams))
            gone = asyncio.ensure_future(disconnection(request.receive))
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


def _result(work: "asyncio.Future[dict[str, Any]]", *, has_gone: bool, timeout_s: float) -> dict[str, Any]:
    if work.done():
        return work.result()
    if has_gone:
        raise HttpError(CLIENT_GONE, "the client has gone")
    raise HttpError(HTTPStatus.GATEWAY_TIMEOUT, f"there was no answer within {timeout_s:g} s: send less, or later")


def _add_states(app: FastAPI, worker: Worker, measures: Measures) -> None:
    async def health() -> dict[str, str]:
        """Whether the process is alive."""
        return {"status": "alive"}

    async def ready() -> dict[str, str]:
        """Whether requests would be answered. 503 while the model is being loaded."""
        if not worker.is_ready:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded: try again in a second")
        return {"status": "ready"}

    async def metrics() -> Response:
        """Counters in the format of Prometheus."""
        return Response(measures.page(), media_type=CONTENT_TYPE_LATEST)

    async def page() -> Response:
        """A page to write on."""
        policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'"
        return FileResponse(STATIC / "write.html", headers={"Content-Security-Policy": policy})

    app.get("/health")(health)
    app.get("/ready", responses={503: {"model": schemas.Problem}})(ready)
    app.get("/ping", include_in_schema=False)(ready)
    app.get("/metrics", response_class=PlainTextResponse)(metrics)
    app.get("/", include_in_schema=False)(page)
    for name in SCRIPTS:
        app.get(f"/{name}", include_in_schema=False)(_script(STATIC / name))


def _script(path: Path) -> Callable[[], Awaitable[Response]]:
    async def script() -> Response:
        """The page's."""
        return FileResponse(path)

    return script


def _say_errors_in_one_line(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HttpError)
        return _problem(error.status, str(error), error.headers)

    async def not_routed(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _problem(error.status_code, f"{error.detail}: /openapi.json lists what there is", error.headers)

    async def wrong_query(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {first['msg']}", None)

    async def failed(_: Request, __: Exception) -> JSONResponse:
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; its log says how", None)

    app.add_exception_handler(HttpError, refused)
    app.add_exception_handler(HTTPException, not_routed)
    app.add_exception_handler(RequestValidationError, wrong_query)
    app.add_exception_handler(Exception, failed)  # Starlette raises it again for the log


def _problem(status: int, text: str, headers: Any) -> JSONResponse:
    return JSONResponse({"error": text, "status": int(status)}, status_code=status, headers=headers)
