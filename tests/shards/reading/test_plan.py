"""The epoch plan: every rank, worker and resumed run must see the same batches."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.shards.reading.plan import EpochPlan, num_micro_batches, plan_epoch

sizes = st.integers(1, 300)
batches = st.integers(1, 40)
windows = st.integers(1, 200)
seeds = st.integers(0, 2**40)


def columns(num_samples: int, *, samples_per_shard: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and shard ids of an imaginary split."""
    num_tokens = np.random.default_rng(num_samples).integers(1, 60, num_samples).astype(np.int32)
    return num_tokens, (np.arange(num_samples) // samples_per_shard).astype(np.int32)


def plan(num_samples: int, *, seed: int = 1, epoch: int = 0, global_batch: int = 8, **options: Any) -> EpochPlan:
    """Plan of an epoch of that split."""
    return plan_epoch(*columns(num_samples), seed=seed, epoch=epoch, global_batch=global_batch, **options)


@given(num_samples=sizes, global_batch=batches, window=windows, seed=seeds, short_first=st.booleans())
def test_every_batch_is_full_and_no_row_comes_twice(
    num_samples: int, global_batch: int, window: int, seed: int, *, short_first: bool
) -> None:
    """A sample seen twice is over-weighted; a short batch changes the meaning of the learning rate."""
    found = plan(num_samples, seed=seed, global_batch=global_batch, window=window, short_first=short_first)
    rows = found.rows.ravel()
    assert len(set(rows.tolist())) == len(rows)
    assert rows.min() >= 0
    assert rows.max() < num_samples
    assert found.rows.shape[1] == found.global_batch == min(global_batch, num_samples)
    assert num_samples - len(rows) < max(global_batch, 1)
    assert found.rows.dtype == np.int64
    assert np.array_equal(found.num_tokens, columns(num_samples)[0][found.rows])


@given(num_samples=sizes, seed=seeds, epoch=st.integers(0, 1000))
def test_same_seed_and_epoch_give_the_same_plan(num_samples: int, seed: int, epoch: int) -> None:
    """A run that resumes by slicing the plan would otherwise repeat and miss samples."""
    first, again = (plan(num_samples, seed=seed, epoch=epoch) for _ in range(2))
    assert np.array_equal(first.rows, again.rows)


def test_plan_is_the_same_on_every_machine() -> None:
    """A run that goes on elsewhere, or after an upgrade of NumPy, must go on with the same batches."""
    found = plan(12, seed=7, epoch=2, global_batch=3)
    assert found.rows.tolist() == [[9, 10, 8], [4, 7, 6], [5, 11, 1], [0, 2, 3]]


def test_epochs_and_seeds_differ() -> None:
    """The model would see the same batches in every epoch."""
    plans = [plan(1000), plan(1000, epoch=1), plan(1000, seed=2)]
    assert len({tuple(found.rows.ravel().tolist()) for found in plans}) == 3
    first, second, _ = ({frozenset(batch) for batch in found.rows.tolist()} for found in plans)
    assert len(first & second) < 0.1 * len(first)


def test_remainder_is_not_always_the_same_samples() -> None:
    """Else some samples would never be trained on, and they would be the longest."""
    num_tokens, _ = columns(103)
    left_out = [set(range(103)) - set(plan(103, epoch=epoch).rows.ravel().tolist()) for epoch in range(40)]
    assert len(set().union(*left_out)) > 60
    mean_left_out = np.mean([num_tokens[list(rows)].mean() for rows in left_out])
    assert abs(mean_left_out - num_tokens.mean()) < 8


def test_grouping_by_length_saves_padding() -> None:
    """Training would spend its time on padding."""
    num_tokens, shard_ids = columns(5000)
    grouped = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=32)
    mixed = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=32, window=1)
    assert grouped.waste(micro_batch=32) < 0.1
    assert mixed.waste(micro_batch=32) > 0.3


def test_padding_waste_counts_slots() -> None:
    """The figure in the log would mislead: lengths 1 and 3 take 2 x 3 slots, 2 of them padding; 4 and 4 waste none."""
    lengths = np.array([[1, 3], [4, 4]], np.int32)
    found = EpochPlan(rows=np.arange(4).reshape(2, 2), num_tokens=lengths)
    assert found.waste(micro_batch=2) == pytest.approx(2 / 14)
    assert found.waste(micro_batch=1) == 0


def test_short_first_runs_from_short_to_long() -> None:
    """The curriculum would show the longest labels to a model that knows nothing yet."""
    num_tokens, shard_ids = columns(2000)
    found = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=16, window=512, short_first=True)
    longest = [int(num_tokens[batch].max()) for batch in found.rows]
    assert longest == sorted(longest)
    shuffled = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=16, window=512)
    longest = [int(num_tokens[batch].max()) for batch in shuffled.rows]
    assert longest != sorted(longest)


def test_a_window_touches_few_shards() -> None:
    """Reading from a network disk would jump between all shards for every batch."""
    num_tokens, shard_ids = columns(2000, samples_per_shard=100)
    found = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=10, window=200)
    for start in range(0, len(found), 20):
        assert len(set(shard_ids[found.rows[start : start + 20].ravel()].tolist())) <= 3
    assert len({int(shard_ids[batch[0]]) for batch in found.rows[:20]}) > 1, "shards of a window must be mixed"


def test_no_samples_is_said() -> None:
    """A training loop over no batches would never end."""
    with pytest.raises(LatexifyError, match="no samples"):
        plan(0)


def test_without_grouping_every_batch_holds_all_lengths() -> None:
    """Batch norms learn statistics of their batch: in batches of one length, those of that length only."""
    rng = np.random.default_rng(0)
    num_tokens = rng.integers(1, 60, 4096).astype(np.int32)
    shard_ids = np.repeat(np.arange(4, dtype=np.int32), 1024)
    mixed = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=32, by_length=False)
    grouped = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=32)
    assert sorted(mixed.rows.ravel()) == list(range(4096))
    means = np.array([num_tokens[rows].mean() for rows in mixed.rows])
    assert abs(means - num_tokens.mean()).max() < 12  # four standard errors of 32 lengths
    assert np.ptp([num_tokens[rows].mean() for rows in grouped.rows]) > 50


@given(
    num_samples=sizes,
    global_batch=st.integers(1, 64),
    micro_batch=st.integers(1, 20),
    world_size=st.integers(1, 9),
    seed=seeds,
)
def test_ranks_share_a_batch_out(
    num_samples: int, global_batch: int, micro_batch: int, world_size: int, seed: int
) -> None:
    """A row on two ranks weighs twice; a rank with fewer micro-batches leaves the others waiting for ever."""
    found = plan(num_samples, seed=seed, global_batch=global_batch)
    try:
        parts = num_micro_batches(found.global_batch, micro_batch=micro_batch, world_size=world_size)
    except LatexifyError:
        of_each_rank = -(-found.global_batch // (micro_batch * world_size))
        assert of_each_rank * world_size > found.global_batch  # a micro-batch would be empty
        return
    for batch in range(len(found)):
        cut = found.micro_batches(batch, micro_batch=micro_batch, world_size=world_size)
        ranks = [cut[rank::world_size] for rank in range(world_size)]
        assert sorted(np.concatenate([part for rank in ranks for part in rank])) == sorted(found.rows[batch])
        assert {len(rank) for rank in ranks} == {parts // world_size}
        sizes_of_parts = [len(part) for rank in ranks for part in rank]
        assert min(sizes_of_parts) >= 1
        assert max(sizes_of_parts) <= micro_batch
        assert max(sizes_of_parts) - min(sizes_of_parts) <= 1


@pytest.mark.parametrize("by_length", [True, False])
def test_ranks_have_equal_work(*, by_length: bool) -> None:
    """All ranks wait for the one with the longest labels, in every step."""
    num_tokens, shard_ids = columns(4096)
    found = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=64, by_length=by_length)
    for batch in range(len(found)):
        cut = found.micro_batches(batch, micro_batch=8, world_size=4)
        of_ranks = [int(num_tokens[np.concatenate(cut[rank::4])].sum()) for rank in range(4)]
        assert max(of_ranks) <= 1.04 * min(of_ranks) + 1


def test_a_rank_keeps_the_order_of_the_plan() -> None:
    """Sorted, the micro-batches of a mixed batch would hold labels of one length; batch norms need all."""
    num_tokens, shard_ids = columns(512)
    found = plan_epoch(num_tokens, shard_ids, seed=1, epoch=0, global_batch=32, by_length=False)
    for batch in range(len(found)):
        place = {row: number for number, row in enumerate(found.rows[batch].tolist())}
        for part in found.micro_batches(batch, micro_batch=4, world_size=2):
            places = [place[row] for row in part]
            assert places == sorted(places)
    (alone,) = found.micro_batches(0, micro_batch=32)
    assert np.array_equal(alone, found.rows[0])


@given(num_samples=sizes, global_batch=st.integers(1, 64), micro_batch=st.integers(1, 20), seed=seeds)
def test_waste_is_that_of_the_micro_batches(num_samples: int, global_batch: int, micro_batch: int, seed: int) -> None:
    """The figure decides on windows and batch sizes: it must be of the batches that are trained on."""
    num_tokens, _ = columns(num_samples)
    found = plan(num_samples, seed=seed, global_batch=global_batch)
    parts = [part for batch in range(len(found)) for part in found.micro_batches(batch, micro_batch=micro_batch)]
    slots = sum(len(part) * int(num_tokens[part].max()) for part in parts)
    used = sum(int(num_tokens[part].sum()) for part in parts)
    assert found.waste(micro_batch=micro_batch) == pytest.approx(1 - used / slots)


def test_a_million_samples_are_planned_in_a_second() -> None:
    """Training, and every resumed run, would begin with a wait."""
    num_tokens, shard_ids = columns(1_000_000, samples_per_shard=1000)
    elapsed_s = []
    for epoch in range(3):
        started = time.perf_counter()
        plan_epoch(num_tokens, shard_ids, seed=1, epoch=epoch, global_batch=32).waste(micro_batch=32)
        elapsed_s.append(time.perf_counter() - started)
    assert min(elapsed_s) < 1
