"""Random numbers that are computed from their place, not drawn one after another: all of a batch at once, in any order.

Source: the output function of SplitMix64, G. Steele et al., "Fast splittable pseudorandom number generators" (2014).
"""

import numpy as np
import numpy.typing as npt

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def random_bits(
    rows: npt.NDArray[np.int64], count: int, *, key: tuple[int, ...], visits: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.uint64]:
    """Return `count` numbers of 64 random bits for each row, from (key, visit, row): uint64 [len(rows), count].

    Args:
        rows: Of a split's index, int64 [n].
        count: Numbers for each row; rows have other numbers with another count.
        key: Such as the seed, and a number for what they are used for.
        visits: How often each row was drawn before, int64 [n]; None: never.
    """
    distinct, visit_of_row = np.unique(np.zeros_like(rows) if visits is None else visits, return_inverse=True)
    starts = [np.random.SeedSequence((*key, visit)).generate_state(1, np.uint64)[0] for visit in distinct.tolist()]
    first = np.array(starts, dtype=np.uint64)[visit_of_row][:, None]
    row, column = rows.astype(np.uint64)[:, None], np.arange(1, count + 1, dtype=np.uint64)[None]
    mixed: npt.NDArray[np.uint64] = np.add(first, (row * np.uint64(count) + column) * _STEP, dtype=np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FACTORS[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _FACTORS[1]
    return mixed ^ (mixed >> np.uint64(31))
