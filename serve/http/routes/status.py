"""Routes that tell the state of the service, for load balancers, Prometheus and SageMaker."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from latexify.serve.http.api.schemas import Failure, Status
from latexify.serve.http.http_errors import busy
from latexify.serve.http.metrics import ServiceMetrics
from latexify.serve.http.worker import Worker

MIB = 2**20
MAX_TRANSFORM_MB = 100
"""Largest product of payload and concurrency that SageMaker's batch transform takes."""
PAYLOAD_MB = 6  # SageMaker's own default; more would leave less concurrency than a batch has room for


def add_status(app: FastAPI, worker: Worker, metrics: ServiceMetrics) -> None:
    """Add the routes."""

    async def health() -> Status:
        """Answer that the process is alive."""
        return Status(status="alive", models=worker.num_ready)

    async def ready() -> Status:
        """Answer whether requests are accepted: 503 while the model is loading."""
        if not worker.is_ready:
            raise busy("the model is still loading: try again in a second")
        return Status(status="ready", models=worker.num_ready)

    async def metrics_page() -> Response:
        """Return metrics in Prometheus's format."""
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def execution_parameters() -> dict[str, str | int]:
        """Tell SageMaker's batch transform how to send: a line at a time, as many at once as fill all models."""
        settings = worker.settings
        payload_mb = max(min(PAYLOAD_MB, settings.limits.max_body_bytes // MIB), 1)
        num_together = settings.max_batch * settings.workers
        return {
            "MaxConcurrentTransforms": min(num_together, settings.max_queue, MAX_TRANSFORM_MB // payload_mb),
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": payload_mb,
        }

    app.get("/health", operation_id="health")(health)
    app.get("/ready", operation_id="ready", responses={503: {"model": Failure}})(ready)
    app.get("/ping", include_in_schema=False)(ready)
    app.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)(metrics_page)
    app.get("/execution-parameters", include_in_schema=False)(execution_parameters)
