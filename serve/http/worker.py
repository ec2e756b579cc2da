"""The recogniser at work for many clients: draws in some threads, reads in one, refuses what is too much."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from latexify.serve.http.batching import Batcher, Places
from latexify.serve.http.drawing import draw_item
from latexify.serve.http.http_errors import HttpError, busy
from latexify.serve.http.items import Item, read_items
from latexify.serve.http.limits import Limits
from latexify.serve.http.metrics import Measures
from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.runtime import Runtime

T = TypeVar("T")

NUM_DRAWERS = 2
"""Threads that take requests apart and draw. Decoding and scaling photographs is done without Python's lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service works. constrained, runtime: see `Recognizer`. threads: of the runtime.

    max_wait_s, max_batch: see `Batcher`. max_queue: places for items.
    """

    model: Path
    device: str | None = None
    constrained: bool | None = None
    runtime: Runtime | None = None
    threads: int = 1
    max_batch: int = 16
    max_wait_s: float = 0.002
    max_queue: int = 64
    limits: Limits = field(default_factory=Limits)


class Worker:
    """A recogniser that is being loaded, then ready, for one event loop."""

    def __init__(self, settings: Settings, measures: Measures) -> None:
        self.settings = settings
        self.places = Places(settings.max_queue)
        self.batcher: Batcher | None = None
        self._measures = measures
        self._recognizer: Recognizer | None = None
        self._model_thread = ThreadPoolExecutor(1, "model")
        self._drawers = ThreadPoolExecutor(NUM_DRAWERS, "draw")

    async def run(self) -> None:
        """Load the model, then read what comes, until cancelled. Raises LatexifyError where there is no model."""
        settings, loop = self.settings, asyncio.get_running_loop()
        recognizer = await loop.run_in_executor(self._model_thread, lambda: _load(settings))
        self.batcher = Batcher(
            recognizer,
            thread=self._model_thread,
            max_batch=settings.max_batch,
            max_wait_s=settings.max_wait_s,
            watcher=self._measures,
        )
        self._recognizer = recognizer
        await self.batcher.run()

    def close(self) -> None:
        """Wait for the threads, and let them go."""
        self._drawers.shutdown(cancel_futures=True)
        self._model_thread.shutdown(cancel_futures=True)

    @property
    def is_ready(self) -> bool:
        """Whether there is a model."""
        return self._recognizer is not None

    @property
    def num_waiting(self) -> int:
        """Pictures that wait for the model."""
        return self.batcher.num_waiting if self.batcher else 0

    def require_ready(self) -> None:
        """Raises HttpError (503) where a request could only wait."""
        if not self.is_ready:
            raise busy("the model is being loaded: try again in a second")
        with self.places.take(1):
            return

    async def answer(self, body: bytes, *, content_type: str, num_beams: int) -> dict[str, Any]:
        """Read what a body holds: an answer, or `results` with an answer or error for each item of a list.

        Raises HttpError where the body, or the only item, cannot be read, or there is no place.
        """
        limits = self.settings.limits
        with self.places.take(1):
            found = await self._in_drawer(lambda: read_items(body, content_type=content_type, limits=limits))
            with self.places.take(len(found.items) - 1, beside=1):
                if not found.is_list:
                    return await self._read(found.items[0], num_beams)
                results = await asyncio.gather(*(self._read_or_say_why(item, num_beams) for item in found.items))
                return {"results": results}

    async def _read(self, item: Item, num_beams: int) -> dict[str, Any]:
        recognizer, batcher = self._recognizer, self.batcher
        assert recognizer is not None
        assert batcher is not None
        limits = self.settings.limits
        picture = await self._in_drawer(lambda: draw_item(item, recognizer=recognizer, limits=limits))
        recognition = await batcher.read(picture, num_beams=num_beams)
        return recognition.to_answer(is_calibrated=recognizer.is_calibrated)

    async def _read_or_say_why(self, item: Item, num_beams: int) -> dict[str, Any]:
        try:
            return await self._read(item, num_beams)
        except HttpError as refusal:
            self._measures.failures.labels(str(refusal.status)).inc()
            return {"error": str(refusal), "status": refusal.status}

    async def _in_drawer(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._drawers, work)


def _load(settings: Settings) -> Recognizer:
    """A recogniser that has read a first picture, which takes longer than all others."""
    recognizer = Recognizer(
        settings.model,
        device=settings.device,
        runtime=settings.runtime,
        constrained=settings.constrained,
        num_threads=settings.threads,
    )
    recognizer.read([recognizer.draw([[[0, 0], [1, 1]]])])
    return recognizer
