"""The measure of shuffle quality tells good orders from bad ones."""

import numpy as np
import pytest

from benchmarks.studies.shuffle import measure
from latexify.shards.reading.plan import EpochPlan, plan_epoch

NUM_SAMPLES, BATCH = 4000, 20
SHARD_IDS = np.repeat(np.arange(40, dtype=np.int32), 100)


def in_order(rows: np.ndarray) -> EpochPlan:
    """A plan that takes the rows as they come; all labels have one token."""
    batches = rows.reshape(-1, BATCH).astype(np.int64)
    return EpochPlan(rows=batches, num_tokens=np.ones(batches.shape, np.int32))


def test_random_orders_measure_as_by_chance() -> None:
    """The table in the documentation compares with these figures."""
    rng = np.random.default_rng(1)
    found = measure(in_order(rng.permutation(NUM_SAMPLES)), in_order(rng.permutation(NUM_SAMPLES)), SHARD_IDS)
    assert found.displacement == pytest.approx(1 / 3, abs=0.02)
    assert found.same_shard == pytest.approx(99 / 3999, rel=0.1)
    assert found.same_shard_next == pytest.approx(1 / 40, rel=0.2)
    assert found.batch_mates_again == pytest.approx(19 / 3999, rel=0.3)
    assert found.waste == 0


def test_unshuffled_orders_measure_as_the_worst() -> None:
    """A measure that does not see this sees nothing."""
    plan = in_order(np.arange(NUM_SAMPLES))
    found = measure(plan, plan, SHARD_IDS)
    assert (found.displacement, found.same_shard, found.batch_mates_again) == (0, 1, 1)
    assert found.same_shard_next == pytest.approx(0.8, abs=0.01)  # the last of five batches of a shard has another next


def test_a_window_mixes_its_shards_and_no_others() -> None:
    """The documented price of reading few shards at a time: batch-mates come from the shards of one window."""
    lengths = np.random.default_rng(0).integers(2, 40, NUM_SAMPLES).astype(np.int32)

    def quality(window: int) -> float:
        plans = [
            plan_epoch(lengths, SHARD_IDS, seed=1, epoch=epoch, global_batch=BATCH, window=window) for epoch in (0, 1)
        ]
        return measure(plans[0], plans[1], SHARD_IDS).same_shard

    assert quality(1000) == pytest.approx(0.1, rel=0.1)
    assert quality(NUM_SAMPLES) == pytest.approx(1 / 40, rel=0.1)
