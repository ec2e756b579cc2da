"""Copies ahead of their use: the right ones, in the right order, and what was waited for is counted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.collate import collate
from latexify.trainer.data.copies import Copies, DeviceBatch, Peekable
from latexify.trainer.data.label_parts import split_labels
from latexify.trainer.data.specs import Position, micro_batch_specs
from tests.support.trainer_data import LENGTHS, labels_of, quick_params

CPU = torch.device("cpu")


@pytest.fixture
def micro_batches(shards: Path) -> list[MicroBatch]:
    """Three micro-batches."""
    index = open_split(shards, "train")
    specs = micro_batch_specs(index, quick_params(micro_batch=4), seed=1, start=Position())
    found = []
    for _ in range(3):
        spec = next(specs)
        pixels, labels = collate(SampleReader(index).read(spec.rows))
        found.append(MicroBatch(pixels=pixels, labels=labels, spec=spec))
    return found


def prepare(micro: MicroBatch) -> DeviceBatch:
    """As a step does it."""
    return DeviceBatch(pixels=micro.pixels, parts=split_labels(micro.labels), plan=torch.zeros(4, 11))


def test_what_was_begun_is_taken_and_prepared_once(micro_batches: list[MicroBatch]) -> None:
    """A batch that is prepared twice costs twice; one that is mistaken for another trains on its labels."""
    prepared = []

    def count(micro: MicroBatch) -> DeviceBatch:
        prepared.append(micro)
        return prepare(micro)

    copies = Copies(CPU)
    first, second, third = micro_batches
    assert torch.equal(copies.take(first, count).pixels, first.pixels), "nothing was begun"
    copies.begin(second, count)
    assert len(prepared) == 2, "before it is asked for"
    assert torch.equal(copies.take(second, count).pixels, second.pixels)
    assert len(prepared) == 2
    copies.begin(third, count)
    assert torch.equal(copies.take(first, count).pixels, first.pixels), "another one than was begun, as after a resume"
    assert torch.equal(copies.take(third, count).pixels, third.pixels)


def test_all_of_a_batch_goes_to_the_device() -> None:
    """A tensor that stays behind is an error on the first GPU, and on no CPU."""
    batch = DeviceBatch(
        pixels=torch.zeros(16, 4, 4, dtype=torch.uint8),
        parts=split_labels(labels_of(LENGTHS), torch.arange(16) % 2 == 0),
        plan=torch.zeros(16, 11, dtype=torch.int32),
    )
    assert len(list(batch.tensors())) == 2 + 2 * 5, "two parts of five tensors each"
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in moved.tensors()} == {"meta"}
    assert [tensor.shape for tensor in moved.tensors()] == [tensor.shape for tensor in batch.tensors()]


class _Events:
    """Stands for CUDA's streams and for a batch, and writes down what is done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.current = "kernels"

    def note(self, what: str) -> None:
        """Write down what is done, and on which stream."""
        self.done.append(f"{what} on {self.current}")

    @contextmanager
    def stream(self, _stream: object) -> Iterator[None]:
        self.current = "copies"
        yield
        self.current = "kernels"

    def wait_stream(self, _stream: object) -> None:
        self.note("wait")

    # a batch
    def pin_memory(self) -> "_Events":
        self.note("pin")
        return self

    def to(self, device: torch.device) -> "_Events":
        self.note(f"copy to {device}")
        return self

    def tensors(self) -> list["_Events"]:
        return [self]

    def record_stream(self, _stream: object) -> None:
        self.note("keep")


def test_on_cuda_copies_have_their_own_stream(micro_batches: list[MicroBatch], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stream of the kernels they would come after those of the step before, and kernels must wait for them."""
    events: Any = _Events()
    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: object())
    monkeypatch.setattr(torch.cuda, "stream", events.stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: events)
    copies = Copies(torch.device("cuda"))
    copies.begin(micro_batches[0], lambda _micro: events)
    assert events.done == ["pin on copies", "copy to cuda on copies"]
    copies.take(micro_batches[0], prepare)
    assert events.done[2:] == ["wait on kernels", "keep on kernels"]


def test_a_look_ahead_takes_nothing_away() -> None:
    """A batch that is seen must still be trained on, and the order must stay."""
    items = Peekable(iter(range(4)))
    assert items.peek() == items.peek() == 0
    assert [next(items), next(items)] == [0, 1]
    assert items.peek() == 2
    assert list(items) == [2, 3]


def test_waiting_is_counted_wherever_it_happens() -> None:
    """`data_wait_share` tells whether more loader processes would help."""

    def slow() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.05)
            yield number

    items = Peekable(slow())
    items.peek()
    assert 0.04 < items.waited_s < 0.5
    before = items.waited_s
    next(items)
    assert items.waited_s == before, "it was there already"
    next(items)
    assert items.waited_s > before + 0.04
