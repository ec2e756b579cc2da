"""The order of samples: the same for any number of loader processes, and from any position."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latexify.shards.format.index import open_split
from latexify.shards.reading.mixture import Mixture
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.batches import open_loader
from latexify.trainer.data.collate import collate
from latexify.trainer.data.specs import Position, micro_batch_specs, plan, samples_per_batch
from tests.support.trainer_data import make_shards, quick_params

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    """Ten samples of weight 2, and thirty of weight 0.5."""
    folder = tmp_path_factory.mktemp("mixed")
    make_shards(folder, datasets=("crohme", "images"))
    found = Mixture.of(open_split(folder, "train"), {"crohme": 2, "images": 0.5})
    assert found is not None
    return found


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


@given(start=st.integers(0, 30), seed=st.integers(0, 100))
def test_resuming_in_a_mixture_is_slicing(mixture: Mixture, start: int, seed: int) -> None:
    """A run that stops in the middle of an epoch of several datasets goes on with the samples that were next."""
    index, params = mixture.index, quick_params(global_batch=7)
    whole = list(islice(micro_batch_specs(index, params, seed=seed, start=Position(), mixture=mixture), 80))
    last = next(i for i in range(start, 80) if whole[i].is_last)
    resumed = micro_batch_specs(index, params, seed=seed, start=whole[last].next_position, mixture=mixture)
    for expected, spec in zip(whole[last + 1 :], resumed, strict=False):
        assert np.array_equal(spec.rows, expected.rows)
        assert np.array_equal(spec.visits, expected.visits)
        assert np.array_equal(spec.global_rows, expected.global_rows)


def test_batches_hold_the_datasets_by_weight(mixture: Mixture) -> None:
    """Weights that the batches do not show would be none."""
    index = mixture.index
    plans = [plan(index, quick_params(global_batch=5), seed=1, epoch=epoch, mixture=mixture) for epoch in range(8)]
    rows = np.concatenate([each.draw.rows[each.batches.rows.ravel()] for each in plans])
    assert index.dataset_ids is not None
    counts = np.bincount(index.dataset_ids[rows])
    drawn = sum(len(each.draw.rows) for each in plans)
    assert drawn == 8 * (20 + 15)  # ten samples twice, thirty every other time
    assert drawn - len(rows) < 8 * 5  # only the remainder of each epoch is left out
    assert abs(counts[0] / counts[1] - 20 / 15) < 0.15
    assert {each.batches.global_batch for each in plans} == {5}


def test_weights_of_one_change_no_batch(mixture: Mixture) -> None:
    """Naming a second dataset without a weight must not order the samples in another way than one dataset does."""
    index, params = mixture.index, quick_params()
    equal = Mixture.of(index, {"crohme": 1.0, "images": 1.0})
    weighted = micro_batch_specs(index, params, seed=1, start=Position(), mixture=equal)
    for plain, spec in zip(
        micro_batch_specs(index, params, seed=1, start=Position()), islice(weighted, 30), strict=False
    ):
        assert np.array_equal(spec.rows, plain.rows)
        assert np.array_equal(spec.visits, plain.visits)
        assert set(spec.visits.tolist()) == {spec.position.epoch}


def test_epochs_smaller_than_a_batch_have_equal_batches(mixture: Mixture) -> None:
    """Batches that differ in size between epochs would change the meaning of the learning rate."""
    index = mixture.index
    small = Mixture.of(index, {"crohme": 0.15, "images": 0.1})
    params = quick_params(global_batch=8)
    sizes = {plan(index, params, seed=1, epoch=epoch, mixture=small).batches.global_batch for epoch in range(10)}
    assert sizes == {samples_per_batch(index, params, small)} == {4}
