"""Pairing things so that the sum of the scores is the largest."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Float64Array, Int64Array


def best_assignment(scores: Float64Array) -> tuple[Int64Array, Int64Array]:
    """Pair rows with columns, each at most once, as many as there are of the fewer.

    By shortest augmenting paths over potentials, in cubic time (Kuhn 1955; Edmonds and Karp
    1972).

    Args:
        scores: (N, M) float64, finite.

    Returns:
        Rows in ascending order and the column of each: (K,) int64 with K = min(N, M).

    >>> best_assignment(np.array([[5.0, 4.0], [4.0, 0.0]]))
    (array([0, 1]), array([1, 0]))

    """
    if scores.shape[0] > scores.shape[1]:
        columns, rows = best_assignment(scores.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    count, width = scores.shape
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cost = scores.max() - scores
    # Place 0 stands for "no column yet", so that rows and columns count from 1.
    row_price, column_price = np.zeros(count + 1), np.zeros(width + 1)
    row_of = np.zeros(width + 1, np.int64)
    for row in range(1, count + 1):
        row_of[0] = row
        _augment(cost, row_price, column_price, row_of)
    taken = np.flatnonzero(row_of[1:])
    rows = row_of[1:][taken] - 1
    order = np.argsort(rows)
    return rows[order], taken[order]


def _augment(
    cost: Float64Array, row_price: Float64Array, column_price: Float64Array, row_of: Int64Array
) -> None:
    """Give the row at place 0 a column by the cheapest chain of exchanges."""
    width = cost.shape[1]
    shortest = np.full(width + 1, np.inf)
    before = np.zeros(width + 1, np.int64)
    seen = np.zeros(width + 1, np.bool_)
    column = 0
    while True:
        seen[column] = True
        row = row_of[column]
        length = np.concatenate([[np.inf], cost[row - 1] - row_price[row] - column_price[1:]])
        nearer = ~seen & (length < shortest)
        shortest[nearer] = length[nearer]
        before[nearer] = column
        following = int(np.argmin(np.where(seen, np.inf, shortest)))
        step = shortest[following]
        row_price[row_of[seen]] += step
        column_price[seen] -= step
        shortest[~seen] -= step
        column = following
        if not row_of[column]:
            break
    while column:
        row_of[column] = row_of[before[column]]
        column = int(before[column])
