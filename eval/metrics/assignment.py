"""Pairing the things of two sets so that the pairs cost as little as possible together."""

import numpy as np
import numpy.typing as npt

Costs = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def assign(costs: Costs) -> tuple[Indices, Indices]:
    """Pair rows with columns, as many as the fewer are, at the lowest sum of `costs` (float64 [rows, columns]).

    Returns the rows, ascending, and the column of each: as ``scipy.optimize.linear_sum_assignment``. Exact; the time
    grows with the cube of the smaller side only where rows compete for columns.
    """
    if costs.shape[0] > costs.shape[1]:
        columns, rows = assign(costs.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    cheapest = costs.argmin(axis=1)
    rows = np.arange(len(costs))
    # each row has what it wants most: nothing can be cheaper
    columns = cheapest if len(set(cheapest.tolist())) == len(costs) else _shortest_augmenting_paths(costs)
    return rows, columns


def _shortest_augmenting_paths(costs: Costs) -> Indices:
    """The column of each row; there must be no more rows than columns.

    The Hungarian method with shortest augmenting paths and dual prices (Jonker & Volgenant, "A shortest augmenting path
    algorithm for dense and sparse linear assignment problems", Computing 38, 1987), without their initialisation.
    """
    num_rows, num_columns = costs.shape
    row_prices, column_prices = np.zeros(num_rows), np.zeros(num_columns)
    row_of = np.full(num_columns, -1)
    for start in range(num_rows):
        distances = np.full(num_columns, np.inf)
        previous = np.full(num_columns, -1)
        is_done = np.zeros(num_columns, dtype=bool)
        row, column, distance = start, -1, 0.0
        while row >= 0:
            reduced = distance + costs[row] - row_prices[row] - column_prices
            is_shorter = ~is_done & (reduced < distances)
            distances[is_shorter] = reduced[is_shorter]
            previous[is_shorter] = column
            column = int(np.where(is_done, np.inf, distances).argmin())
            distance = float(distances[column])
            is_done[column] = True
            row = int(row_of[column])
        reached = np.flatnonzero(is_done & (row_of >= 0))
        row_prices[start] += distance
        row_prices[row_of[reached]] += distance - distances[reached]
        column_prices[reached] -= distance - distances[reached]
        while column >= 0:
            before = int(previous[column])
            row_of[column] = row_of[before] if before >= 0 else start
            column = before
    columns = np.empty(num_rows, dtype=np.int64)
    columns[row_of[row_of >= 0]] = np.flatnonzero(row_of >= 0)
    return columns
