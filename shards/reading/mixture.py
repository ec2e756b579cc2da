"""Several datasets in one training: how often the samples of each come in an epoch.

With weight w a sample comes w times an epoch. Where w is no whole number, the epochs take turns: after n epochs each
sample has come n·w times, rounded down or up, and the dataset's samples together exactly n·w·size times, rounded down.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
import numpy.typing as npt

from latexify.artifacts.names import COMPOSED_DATASET
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """The samples of one epoch, in the order of the index."""

    rows: Int64  # of the index, [num_drawn]; a row comes as often as its weight says
    visits: Int64  # how often each was drawn before, in earlier epochs or this one, [num_drawn]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """The weight of each sample's dataset. All is a function of index, weights, seed and epoch."""

    index: SplitIndex
    weights: Mapping[str, Fraction]  # by dataset, above 0

    @classmethod
    def of(cls, index: SplitIndex, weights: Mapping[str, float] | None) -> Self | None:
        """Return the mixture of a training split; None if it has one dataset and no weights are given.

        Composed inks have weight 1. Raises LatexifyError if the index has other datasets than `weights` names, or if a
        dataset has no samples.
        """
        own = [name for name in index.datasets if name != COMPOSED_DATASET]
        given = weights or {}
        if sorted(own) != sorted(given):
            raise LatexifyError(
                f"{index.folder} holds {_listed(own)}, params.yaml names {_listed(given)}: "
                "run `dvc repro`, or the stages from `latexify source` on"
            )
        if index.dataset_ids is None:
            return None
        counts = np.bincount(index.dataset_ids, minlength=len(index.datasets)).tolist()
        empty = [name for name, count in zip(index.datasets, counts, strict=True) if name in given and not count]
        if empty:
            raise LatexifyError(
                f"{index.folder} has no training samples of {', '.join(empty)}, so a weight has no effect: leave the "
                "dataset out of `datasets` and test on it by `latexify evaluate`, or change how it is split"
            )
        # the decimal fraction as it was written, since 0.1 is not 1/10 in binary
        exact = {name: Fraction(str(weight)) for name, weight in given.items()}
        mixture = cls(index=index, weights={name: exact.get(name, Fraction(1)) for name in index.datasets})
        if mixture.smallest_epoch == 0:
            raise LatexifyError("datasets: the weights leave epochs without a sample: raise them")
        return mixture

    @property
    def sizes(self) -> dict[str, int]:
        """The number of samples of each dataset."""
        assert self.index.dataset_ids is not None
        counts = np.bincount(self.index.dataset_ids, minlength=len(self.index.datasets)).tolist()
        return dict(zip(self.index.datasets, counts, strict=True))

    @property
    def smallest_epoch(self) -> int:
        """Least number of samples that any epoch has."""
        return sum(int(self.weights[name] * size) for name, size in self.sizes.items())

    def draw(self, *, seed: int, epoch: int) -> Draw:
        """Draw the samples of an epoch. With weights of 1 they are all samples, once."""
        assert self.index.dataset_ids is not None
        before = np.empty(len(self.index), dtype=np.int64)
        after = np.empty(len(self.index), dtype=np.int64)
        for number, name in enumerate(self.index.datasets):
            rows = np.flatnonzero(self.index.dataset_ids == number)
            turns = _turns(len(rows), seed=seed, name=name)
            before[rows] = _times_drawn(turns, epochs=epoch, weight=self.weights[name])
            after[rows] = _times_drawn(turns, epochs=epoch + 1, weight=self.weights[name])
        counts = after - before
        rows = np.repeat(np.arange(len(counts)), counts)
        first = np.cumsum(counts) - counts
        return Draw(rows=rows, visits=before[rows] + np.arange(len(rows)) - first[rows])


def _turns(size: int, *, seed: int, name: str) -> Int64:
    """Return the turn of each sample of a dataset: 0 to size - 1 in random order.

    Raw bits, since NumPy guarantees their stream for ever, unlike that of `permutation` (NEP 19).
    """
    bits = np.random.Philox(np.random.SeedSequence((seed, *name.encode())))
    turns = np.empty(size, dtype=np.int64)
    turns[np.argsort(bits.random_raw(size), kind="stable")] = np.arange(size)
    return turns


def _times_drawn(turns: Int64, *, epochs: int, weight: Fraction) -> Int64:
    """Return how often each sample is drawn in the first `epochs` epochs: floor(epochs · weight + turn / size)."""
    whole, rest = divmod(epochs * weight, 1)
    least_turn = -(-(len(turns) * (rest.denominator - rest.numerator)) // rest.denominator)  # rounded up
    return whole + (turns >= least_turn).astype(np.int64)


def _listed(names: Mapping[str, float] | list[str]) -> str:
    return f"the datasets {', '.join(sorted(names))}" if names else "one dataset"
