"""Linear assignment: pair rows with columns so that the sum of their scores is largest."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Float64Array, Int64Array


def best_assignment(scores: Float64Array) -> tuple[Int64Array, Int64Array]:
    """Pair rows with columns so that the sum of their scores, (N, M) and finite, is largest.

    Each is paired at most once, and the smaller side completely. Shortest augmenting paths over
    potentials, in cubic time (Kuhn 1955; Edmonds and Karp 1972).

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
    # Index 0 stands for "no column yet", so that rows and columns count from 1.
    row_price, column_price = np.zeros(count + 1), np.zeros(width + 1)
    assigned_row = np.zeros(width + 1, np.int64)
    for row in range(1, count + 1):
        assigned_row[0] = row
        _augment(cost, row_price, column_price, assigned_row)
    taken = np.flatnonzero(assigned_row[1:])
    rows = assigned_row[1:][taken] - 1
    order = np.argsort(rows)
    return rows[order], taken[order]


def _augment(
    cost: Float64Array,
    row_price: Float64Array,
    column_price: Float64Array,
    assigned_row: Int64Array,
) -> None:
    """Assign a column to the row at index 0 by the cheapest chain of exchanges."""
    width = cost.shape[1]
    shortest = np.full(width + 1, np.inf)
    before = np.zeros(width + 1, np.int64)
    visited = np.zeros(width + 1, np.bool_)
    column = 0
    while True:
        visited[column] = True
        row = assigned_row[column]
        length = np.concatenate([[np.inf], cost[row - 1] - row_price[row] - column_price[1:]])
        nearer = ~visited & (length < shortest)
        shortest[nearer] = length[nearer]
        before[nearer] = column
        following = int(np.argmin(np.where(visited, np.inf, shortest)))
        step = shortest[following]
        row_price[assigned_row[visited]] += step
        column_price[visited] -= step
        shortest[~visited] -= step
        column = following
        if not assigned_row[column]:
            break
    while column:
        assigned_row[column] = assigned_row[before[column]]
        column = int(before[column])
