"""Metrics of the service, in Prometheus's format."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latexify.serve.http.http_errors import CLIENT_GONE

LATENCIES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class ServiceMetrics:
    """Metrics of one service, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, histogram = partial(Counter, registry=self.registry), partial(Histogram, registry=self.registry)
        self.requests = counter("latexify_requests", "Requests by route and status.", ["route", "status"])
        text = "Time from the head of a request to the end of its answer."
        self.latency = histogram("latexify_request_seconds", text, ["route"], buckets=LATENCIES_S)
        self.batch_size = histogram("latexify_batch_size", "Pictures in a batch of the model.", buckets=BATCH_SIZES)
        self.batch_time = histogram("latexify_batch_seconds", "Time of the model for a batch.", buckets=LATENCIES_S)
        self.pictures = counter("latexify_model_pictures", "Pictures that a model read.", ["model"])
        self.ends = counter("latexify_model_process_ends", "Ends of model processes; each is started again.")
        self.failures = counter("latexify_item_failures", "Items of lists that failed, by status.", ["status"])

    def add_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is computed whenever the metrics are read."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def add_processes(self, processes: Callable[[], Mapping[str, int]]) -> None:
        """Add the metrics of other processes: `processes` returns their numbers by name."""
        self.registry.register(_Processes(processes))

    def batch_done(self, name: str, size: int, elapsed_s: float) -> None:
        """Count a batch of a model."""
        self.pictures.labels(name).inc(size)
        self.batch_size.observe(size)
        self.batch_time.observe(elapsed_s)

    def page(self) -> bytes:
        """Return the text of /metrics."""
        return generate_latest(self.registry)


class _Processes(Collector):
    """What Prometheus's client says of its own process, of others: the same metrics, with a label."""

    def __init__(self, processes: Callable[[], Mapping[str, int]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Return each metric with a sample for each process."""
        families: dict[str, Metric] = {}
        for name, pid in self._processes().items():
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                title = f"latexify_model_{family.name}"
                mine = families.setdefault(title, Metric(title, f"{family.documentation} Of a model.", family.type))
                for sample in family.samples:
                    mine.add_sample(f"latexify_model_{sample.name}", {"model": name}, sample.value)
        yield from families.values()


class RequestCounter:
    """ASGI middleware that counts requests. It has to be the outermost, so that it sees every status."""

    def __init__(self, app: ASGIApp, *, metrics: ServiceMetrics, routes: frozenset[str]) -> None:
        """Count each of `routes` by itself and all others as one, since anybody can ask for any path."""
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self._routes else "other"
        started_s, status = time.perf_counter(), CLIENT_GONE

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.latency.labels(route).observe(time.perf_counter() - started_s)
