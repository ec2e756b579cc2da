"""Measure how near the order of training comes to a perfect shuffle: `python benchmarks/studies/shuffle.py`.

A split of 100 shards with 1,000 samples each, lengths like those of CROHME labels; means over a few pairs of epochs.
The table stands, dated, in docs/reference/shards.md.
"""

import sys
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from latexify.shards.reading.plan import EpochPlan, Rows, plan_epoch

NUM_SHARDS, SAMPLES_PER_SHARD, GLOBAL_BATCH = 100, 1000, 32
NUM_SAMPLES = NUM_SHARDS * SAMPLES_PER_SHARD
REPEATS = 10

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class ShuffleQuality:
    """How the batches of an epoch, and of the next, differ from batches drawn at random.

    displacement: mean distance of a sample's place in the epoch from its place in the tars, as a share of the epoch;
    1/3 for a perfect shuffle. same_shard: share of the pairs of a batch that come from the same shard.
    same_shard_next: the same for one sample of a batch and one of the next. batch_mates_again: share of the pairs of a
    batch that meet in a batch of the next epoch, too. waste: share of label slots that are padding.
    """

    displacement: float
    same_shard: float
    same_shard_next: float
    batch_mates_again: float
    waste: float


def measure(first: EpochPlan, second: EpochPlan, shard_ids: Ids) -> ShuffleQuality:
    """Compare two epochs of one split. shard_ids: int32 [n], rows in the order of the tars."""
    order = first.rows.ravel()
    places = np.arange(len(order))
    return ShuffleQuality(
        displacement=float(np.abs(order - places).mean() / len(shard_ids)),
        same_shard=_pairs_alike(shard_ids[first.rows]),
        same_shard_next=_alike_in_next(shard_ids[first.rows]),
        batch_mates_again=_pairs_alike(_batch_of_row(second, len(shard_ids))[first.rows]),
        waste=first.waste(micro_batch=first.global_batch),
    )


def _pairs_alike(values: npt.NDArray[np.integer]) -> float:
    """Share of the pairs within each row that are equal; values: [num_batches, batch], negative ones are like none."""
    size = values.shape[1]
    alike = sum(
        int(((values[:, i] == values[:, j]) & (values[:, i] >= 0)).sum()) for i in range(size) for j in range(i)
    )
    return float(alike / (len(values) * size * (size - 1) / 2))


def _alike_in_next(values: npt.NDArray[np.integer]) -> float:
    """Share of equal values among pairs of one from a batch and one from the next."""
    return float(np.mean([(np.roll(values, shift, axis=1)[1:] == values[:-1]).mean() for shift in range(4)]))


def _batch_of_row(plan: EpochPlan, num_samples: int) -> Rows:
    """The number of the batch that each row is in; -1 where it is in none."""
    found = np.full(num_samples, -1, dtype=np.int64)
    found[plan.rows] = np.arange(len(plan))[:, np.newaxis]
    return found


def mean_quality(*, window: int, by_length: bool) -> ShuffleQuality:
    """The mean over several pairs of epochs."""
    shard_ids = np.repeat(np.arange(NUM_SHARDS, dtype=np.int32), SAMPLES_PER_SHARD)
    lengths = 2 + np.random.default_rng(0).gamma(2.0, 7.0, NUM_SAMPLES).astype(np.int32)  # mean 16, long tail
    measured = []
    for seed in range(REPEATS):
        first, second = (
            plan_epoch(
                lengths,
                shard_ids,
                seed=seed,
                epoch=epoch,
                global_batch=GLOBAL_BATCH,
                window=window,
                by_length=by_length,
            )
            for epoch in (0, 1)
        )
        measured.append(measure(first, second, shard_ids))
    return ShuffleQuality(
        **{field.name: float(np.mean([getattr(m, field.name) for m in measured])) for field in fields(ShuffleQuality)}
    )


def main() -> None:
    """Print the table."""
    print("| window | by length | displacement | same shard | in the next batch | mates again | padding |")
    print("|---|---|---|---|---|---|---|")
    for by_length in (False, True):
        for window in (GLOBAL_BATCH, 2048, 8192, 32768, NUM_SAMPLES):
            found = mean_quality(window=window, by_length=by_length)
            name = f"{window} (perfect)" if window == NUM_SAMPLES else str(window)
            print(
                f"| {name} | {'yes' if by_length else 'no'} | {found.displacement:.3f} | {found.same_shard:.1%} | "
                f"{found.same_shard_next:.1%} | {found.batch_mates_again:.3%} | {found.waste:.1%} |"
            )
    pairs = (SAMPLES_PER_SHARD - 1) / (NUM_SAMPLES - 1)
    print(f"\nby chance: displacement 0.333, same shard {pairs:.1%}, ", end="")
    print(f"mates again {(GLOBAL_BATCH - 1) / (NUM_SAMPLES - 1):.3%}")


if __name__ == "__main__":
    main()
