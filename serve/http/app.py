"""The HTTP service as an ASGI application: its routes and their answers. `latexify.serve.http.server` runs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from latexify.serve.http.access.access import Access, add_access
from latexify.serve.http.api.openapi import describe
from latexify.serve.http.connections.request_limit import RequestLimit
from latexify.serve.http.metrics import RequestCounter, ServiceMetrics
from latexify.serve.http.request_body import BodyReceiver
from latexify.serve.http.routes.errors import add_error_handlers
from latexify.serve.http.routes.page import PAGE_FILES, add_page
from latexify.serve.http.routes.recognition import add_recognition
from latexify.serve.http.routes.status import add_status
from latexify.serve.http.worker import ServiceSettings, Worker

ROUTES = frozenset(
    {
        "/",
        "/recognize",
        "/recognize/batch",
        "/invocations",
        "/typeset",
        "/examples.json",
        "/health",
        "/ready",
        "/ping",
        "/execution-parameters",
        "/metrics",
        "/openapi.json",
    }
    | {f"/{name}" for name in PAGE_FILES}
)


def make_app(
    settings: ServiceSettings,
    *,
    access: Access | None = None,
    on_failure: Callable[[BaseException], None],
    announce: Callable[[str], None] = print,
) -> FastAPI:
    """Make the application, which loads the model when it starts.

    Args:
        settings: How it works.
        access: Who may use it; None for everybody.
        on_failure: Is called if the model cannot be loaded.
        announce: Gets lines for the user about model processes that ended.
    """
    metrics = ServiceMetrics()
    worker = Worker(settings, metrics, announce=announce)
    bodies = BodyReceiver(settings.limits)
    metrics.add_gauge("latexify_ready", "1 once the model is loaded.", lambda: worker.is_ready)
    metrics.add_gauge("latexify_models_ready", "Models that are loaded.", lambda: worker.num_ready)
    metrics.add_processes(worker.process_ids)
    metrics.add_gauge("latexify_items_in_progress", "Items in progress.", lambda: worker.slots.num_taken)
    metrics.add_gauge("latexify_queue_length", "Pictures that wait for a model.", lambda: worker.batcher.num_waiting)
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
    access = access or Access()
    app.add_middleware(RequestLimit, max_requests=settings.limits.max_requests)
    add_access(app, access)
    app.add_middleware(RequestCounter, metrics=metrics, routes=ROUTES)
    add_error_handlers(app)
    add_recognition(app, worker, bodies, errors=access.errors)
    add_status(app, worker, metrics)
    add_page(app, worker, bodies)
    describe(app, has_keys=bool(access.keys))
    return app
