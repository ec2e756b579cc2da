"""Copies of micro-batches on the device, begun before they are needed: while a GPU computes, its next data arrives."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import torch

from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.label_parts import LabelPart

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DeviceBatch:
    """What the forward pass takes of a micro-batch."""

    pixels: torch.Tensor  # uint8 [batch, height, width], ink 0, paper 255
    parts: list[LabelPart]
    plan: torch.Tensor | None  # of the augmentation

    def to(self, device: torch.device) -> "DeviceBatch":
        """Copy to a device; from pinned memory without waiting for it."""
        plan = None if self.plan is None else self.plan.to(device, non_blocking=True)
        parts = [part.to(device) for part in self.parts]
        return DeviceBatch(pixels=self.pixels.to(device, non_blocking=True), parts=parts, plan=plan)

    def pin_memory(self) -> "DeviceBatch":
        """Copy to page-locked memory."""
        plan = None if self.plan is None else self.plan.pin_memory()
        return DeviceBatch(pixels=self.pixels.pin_memory(), parts=[part.pin_memory() for part in self.parts], plan=plan)

    def tensors(self) -> Iterator[torch.Tensor]:
        """Yield all tensors."""
        return (value for value in chain([self.pixels, self.plan], *self.parts) if value is not None)


Prepare = Callable[[MicroBatch], DeviceBatch]
"""Computes, on the CPU, what the forward pass takes."""


class Copies:
    """Copies micro-batches to a device. On CUDA the copies have a stream of their own, beside that of the kernels."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._begun: tuple[MicroBatch, DeviceBatch] | None = None

    def begin(self, micro: MicroBatch, prepare: Prepare) -> None:
        """Begin the copy of the micro-batch that :meth:`take` is asked for next."""
        self._begun = (micro, self._copy(micro, prepare))

    def take(self, micro: MicroBatch, prepare: Prepare) -> DeviceBatch:
        """Return the copy of a micro-batch, begun before or now."""
        begun, self._begun = self._begun, None
        copied = begun[1] if begun is not None and begun[0] is micro else self._copy(micro, prepare)
        if self._stream is not None:
            kernels = torch.cuda.current_stream(self._device)
            kernels.wait_stream(self._stream)
            for tensor in copied.tensors():
                tensor.record_stream(kernels)  # or its memory might be used again before they have read it
        return copied

    def _copy(self, micro: MicroBatch, prepare: Prepare) -> DeviceBatch:
        prepared = prepare(micro)
        if self._stream is None:
            return prepared.to(self._device)
        with torch.cuda.stream(self._stream):
            return prepared.pin_memory().to(self._device)


class Peekable(Iterator[T], Generic[T]):
    """An iterator whose next item can be seen before it is taken. `waited_s`: how long it has waited for items."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items, self._seen = items, list[T]()
        self.waited_s = 0.0

    def peek(self) -> T:
        """Return the next item, and keep it."""
        if not self._seen:
            self._seen.append(self._wait())
        return self._seen[0]

    def __next__(self) -> T:
        return self._seen.pop() if self._seen else self._wait()

    def _wait(self) -> T:
        started = time.perf_counter()
        item = next(self._items)
        self.waited_s += time.perf_counter() - started
        return item
