"""The order of samples: the same for any number of loader processes, and from any position."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.batches import open_loader
from latexify.trainer.data.collate import collate
from latexify.trainer.data.specs import Position, micro_batch_specs
from tests.support.trainer_data import quick_params

torch.set_num_threads(1)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_does_not_depend_on_the_workers(shards: Path, workers: int) -> None:
    """Else a machine with more cores would train another model."""
    index = open_split(shards, "train")
    params = quick_params(loader_workers=workers)
    expected = micro_batch_specs(index, params, seed=3, start=Position(epoch=0, batch=3))
    loader = open_loader(index, params, seed=3, start=Position(epoch=0, batch=3), pin_memory=False)
    reader = SampleReader(index)
    for _, batch, part in zip(range(12), loader, expected, strict=False):
        assert np.array_equal(batch.spec.rows, part.rows)
        pixels, labels = collate(reader.read(part.rows))
        assert torch.equal(batch.pixels, pixels)
        assert torch.equal(batch.labels, labels)


@given(start=st.integers(0, 30))
def test_resuming_is_slicing(shards: Path, start: int) -> None:
    """Going on from any batch gives what would have come there: a resumed run sees each sample as often as any."""
    index = open_split(shards, "train")
    params = quick_params()
    whole = list(islice(micro_batch_specs(index, params, seed=1, start=Position()), 80))
    ends = [part for part in whole if part.is_last]
    position = ends[start].next_position
    resumed = micro_batch_specs(index, params, seed=1, start=position)
    after = whole[next(i for i, part in enumerate(whole) if part is ends[start]) + 1]
    first = next(resumed)
    assert np.array_equal(first.rows, after.rows)
    assert first.position == after.position == position


def test_the_curriculum_goes_from_short_to_long(shards: Path) -> None:
    """A curriculum that never ends, or never starts, is not the one that was asked for."""
    index = open_split(shards, "train")
    first = micro_batch_specs(index, quick_params(curriculum_epochs=1, micro_batch=8), seed=1, start=Position())
    per_epoch = [[int(index.num_tokens[next(first).rows].max()) for _ in range(5)] for _ in range(2)]
    assert per_epoch[0] == sorted(per_epoch[0])
    assert per_epoch[1] != sorted(per_epoch[1])
