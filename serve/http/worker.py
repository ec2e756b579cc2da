"""Recognise for many clients: draw in several threads, let models read, refuse what exceeds the limits."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from latexify.common.errors import LatexifyError
from latexify.serve.formats.formats import Format
from latexify.serve.http.api.requests import Form, RequestItem, parse_request
from latexify.serve.http.batching import Batcher, ItemSlots, SearchOptions
from latexify.serve.http.drawing import decoding_cost, draw_item
from latexify.serve.http.http_errors import HttpError, busy, unusable
from latexify.serve.http.limits import Limits
from latexify.serve.http.memory import DecodingBudget
from latexify.serve.http.metrics import ServiceMetrics
from latexify.serve.http.models.loading import ModelOptions, load
from latexify.serve.http.models.process import ModelProcess
from latexify.serve.http.typesetting import parse_formulas, typeset_formula
from latexify.serve.recognizer import Picture, Recognition, Recognizer
from latexify.trainer.inference.runtime import Runtime

T = TypeVar("T")

NUM_DRAWING_THREADS = 2
"""Threads that parse requests and draw. Pillow releases Python's lock while it decodes and scales photographs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How the service works: see `Recognizer`, `Batcher` and `ItemSlots` (`max_queue`)."""

    model: Path
    device: str | None = None
    constrained: bool | None = None
    runtime: Runtime | None = None
    threads: int = 1
    workers: int = 1  # models that read at the same time; all but the first in processes of their own
    max_batch: int = 16
    max_wait_s: float = 0.002
    max_queue: int = 64
    limits: Limits = field(default_factory=Limits)

    @property
    def model_options(self) -> ModelOptions:
        """What each model is loaded with."""
        return ModelOptions(
            model=self.model,
            device=self.device,
            runtime=self.runtime,
            constrained=self.constrained,
            num_threads=self.threads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks for, beside its items."""

    options: SearchOptions
    formats: Sequence[Format] = ()  # see `Recognition.to_answer`


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers to a request as JSON values, in the order of its items; in a list, also errors and their status."""

    form: Form
    results: Sequence[dict[str, Any]]


class Worker:
    """A recogniser for one event loop; it loads its model when `run` starts."""

    def __init__(
        self, settings: ServiceSettings, metrics: ServiceMetrics, *, announce: Callable[[str], None] = print
    ) -> None:
        """Set it up; `announce` gets lines for the user about model processes that ended."""
        self.settings = settings
        self.slots = ItemSlots(settings.max_queue)
        self.batcher = Batcher(
            max_batch=settings.max_batch, max_wait_s=settings.max_wait_s, on_batch=metrics.batch_done
        )
        self.processes: list[ModelProcess] = []
        self._metrics = metrics
        self._announce = announce
        self._recognizer: Recognizer | None = None
        self._model_thread = ThreadPoolExecutor(1, "model")
        self._drawing_threads = ThreadPoolExecutor(NUM_DRAWING_THREADS, "draw")
        self._decoding = DecodingBudget(settings.limits.max_decoding_bytes, self._drawing_threads)

    async def run(self) -> None:
        """Load the model, then recognise until cancelled. Raises LatexifyError if it cannot be loaded."""
        settings, loop = self.settings, asyncio.get_running_loop()
        recognizer = await loop.run_in_executor(self._model_thread, load, settings.model_options)

        async def read(pictures: Sequence[Picture], options: SearchOptions) -> list[Recognition]:
            work = partial(recognizer.read, pictures, **options._asdict())
            return await loop.run_in_executor(self._model_thread, work)

        self.processes = [
            ModelProcess(
                str(number), settings.model_options, fingerprint=recognizer.fingerprint, on_end=self._process_ended
            )
            for number in range(2, settings.workers + 1)
        ]
        self._recognizer = recognizer
        async with asyncio.TaskGroup() as group:
            group.create_task(self.batcher.run(read, name="1"))
            for process in self.processes:
                group.create_task(process.run(self.batcher))

    def _process_ended(self, text: str) -> None:
        self._metrics.ends.inc()
        self._announce(text)

    def close(self) -> None:
        """End the model processes, wait for the threads and end them."""
        for process in self.processes:
            process.close()
        self._drawing_threads.shutdown(cancel_futures=True)
        self._model_thread.shutdown(cancel_futures=True)

    @property
    def is_ready(self) -> bool:
        """Whether a model is loaded."""
        return self._recognizer is not None

    @property
    def num_ready(self) -> int:
        """Number of models that are loaded."""
        return int(self.is_ready) + sum(process.is_ready for process in self.processes)

    def process_ids(self) -> dict[str, int]:
        """Return the numbers of the model processes, by their names."""
        return {process.name: process.pid for process in self.processes if process.pid is not None}

    def require_ready(self) -> None:
        """Raise HttpError (503) if a request could not be accepted now."""
        if not self.is_ready:
            raise busy("the model is still loading: try again in a second")
        with self.slots.take(1):
            return

    async def answer(self, body: bytes, *, content_type: str, wanted: Wanted) -> Answers:
        """Recognise all items of a body.

        Raises:
            HttpError: If the body or its only item cannot be read, the options do not suit the model, or the queue is
                full.
        """
        limits = self.settings.limits
        with self.slots.take(1):
            if wanted.options.only is not None:
                await self._in_thread(lambda: self._check(wanted.options))
            request = await self._in_thread(lambda: parse_request(body, content_type=content_type, limits=limits))
            with self.slots.take(len(request.items) - 1, already_taken=1):
                if request.form == "one":
                    return Answers(form="one", results=[await self._read(request.items[0], wanted)])
                results = await asyncio.gather(*(self._read_or_error(item, wanted) for item in request.items))
                return Answers(form=request.form, results=results)

    async def typeset(self, body: bytes) -> list[dict[str, Any]]:
        """Typeset the formulas of a body (`latexify.serve.http.typesetting`). Raises HttpError if it cannot be read."""
        formulas = parse_formulas(body)
        with self.slots.take(1):
            return await self._in_thread(lambda: [typeset_formula(formula) for formula in formulas])

    def _check(self, options: SearchOptions) -> None:
        assert self._recognizer is not None
        try:
            self._recognizer.constraint(options.only)
        except LatexifyError as error:
            raise unusable(f"only: {error}") from None

    async def _read(self, item: RequestItem, wanted: Wanted) -> dict[str, Any]:
        recognizer, limits = self._recognizer, self.settings.limits
        assert recognizer is not None
        cost = 0 if item.file is None else await self._in_thread(lambda: decoding_cost(item, limits))
        draw = partial(draw_item, item, recognizer=recognizer, limits=limits)
        drawn = await self._decoding.run(draw, cost_bytes=cost)
        recognition = await self.batcher.read(drawn.picture, wanted.options)
        answer = partial(recognition.to_answer, is_calibrated=recognizer.is_calibrated)
        result = await self._in_thread(lambda: answer(formats=wanted.formats)) if wanted.formats else answer()
        return result | ({"left_out": dict(drawn.left_out)} if drawn.left_out else {})

    async def _read_or_error(self, item: RequestItem, wanted: Wanted) -> dict[str, Any]:
        try:
            return await self._read(item, wanted)
        except HttpError as error:
            self._metrics.failures.labels(str(error.status)).inc()
            return {"error": str(error), "status": error.status}

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._drawing_threads, work)
