"""The exact test of McNemar: whether one system is right on more samples than another, on the same samples."""

import numpy as np

from latexify.eval.metrics.bootstrap import Column


def exact_p_value(first: Column, second: Column) -> float:
    """Compute the two-sided p-value (McNemar 1947, by the binomial distribution) of two columns of 0 and 1.

    Only samples on which the systems differ say anything: 5 that only one of them has right are 0.0625. It is 1 where
    there are none.
    """
    from scipy.stats import binomtest  # noqa: PLC0415  # takes half a second to import

    num_lost, num_won = (int(np.count_nonzero(one > other)) for one, other in ((first, second), (second, first)))
    return float(binomtest(num_won, num_won + num_lost).pvalue) if num_won + num_lost else 1.0
