"""Optimal assignment of rows to columns: which detection continues which track."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def assign(weights: Array) -> tuple[Indices, Indices]:
    """Return the pairs of rows and columns with the greatest total weight, each row and each column at most once.

    A pair whose only alternatives are weights of 0 is taken at once; the rest is solved by shortest augmenting paths
    (Jonker and Volgenant 1987; as in Crouse, "On implementing 2D rectangular assignment algorithms", 2016), in
    O(rows² · columns).

    Args:
        weights: (N, M), not negative; a pair of weight 0 is never assigned.

    Returns:
        Row and column of each pair, both (P,), rows rising.
    """
    allowed = weights > 0
    per_row, per_column = allowed.sum(axis=1), allowed.sum(axis=0)
    rows, columns = np.nonzero(allowed & (per_row == 1)[:, None] & (per_column == 1)[None, :])
    if rows.size < np.count_nonzero(per_row):
        open_rows, open_columns = per_row.copy(), per_column.copy()
        open_rows[rows] = 0
        open_columns[columns] = 0
        left, right = np.flatnonzero(open_rows), np.flatnonzero(open_columns)
        first, second = _solved(weights[np.ix_(left, right)])
        rows, columns = np.concatenate([rows, left[first]]), np.concatenate([columns, right[second]])
        order = np.argsort(rows)
        rows, columns = rows[order], columns[order]
    return rows.astype(np.int64), columns.astype(np.int64)


def _solved(weights: Array) -> tuple[Indices, Indices]:
    """Return the pairs of a matrix; as a pair of weight 0 adds nothing, it stands for none."""
    flipped = weights.shape[0] > weights.shape[1]
    cost = -(weights.T if flipped else weights)
    chosen = _column_of_each_row(cost)
    rows = np.arange(len(chosen))
    kept = cost[rows, chosen] < 0
    rows, chosen = rows[kept], chosen[kept]
    return (chosen, rows) if flipped else (rows, chosen)


def _column_of_each_row(cost: Array) -> Indices:
    """Return the column of each row of the least total cost; (N, M) with N <= M.

    Each row takes its cheapest column where that is free. The others come in one after the other: each looks for the
    shortest path, by reduced costs, to a column that is free, over columns that are taken; along it each row moves on
    to the next column. ``row_price`` and ``column_price`` are the dual variables: no reduced cost is negative.
    """
    count, width = cost.shape
    cheapest = cost.argmin(axis=1)
    row_price, column_price = cost[np.arange(count), cheapest], np.zeros(width)
    row_of = np.full(width, -1, np.int64)
    row_of[cheapest[::-1]] = np.arange(count)[::-1]  # of several, the first
    for new in np.flatnonzero(row_of[cheapest] != np.arange(count)).tolist():
        reach, before = np.full(width, np.inf), np.full(width, -1, np.int64)
        ahead = np.zeros(width)  # infinite for a column that is closed
        row, length = new, 0.0
        while True:
            through = cost[row] - column_price + (length - row_price[row]) + ahead
            is_shorter = through < reach
            reach[is_shorter] = through[is_shorter]
            before[is_shorter] = row
            column = int((reach + ahead).argmin())
            length = float(reach[column])
            ahead[column] = np.inf
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        closed = np.flatnonzero(ahead)
        taken = closed[row_of[closed] >= 0]
        row_price[new] += length
        row_price[row_of[taken]] += length - reach[taken]
        column_price[closed] -= length - reach[closed]
        _move_along(column, new, before, row_of)
    columns = np.empty(count, np.int64)
    matched = np.flatnonzero(row_of >= 0)
    columns[row_of[matched]] = matched
    return columns


def _move_along(column: int, new: int, before: Indices, row_of: Indices) -> None:
    """Give the free column at the end of a path to the row before it, that row's to the one before, and so on."""
    while True:
        row = int(before[column])
        held = np.flatnonzero(row_of == row)
        row_of[column] = row
        if row == new:
            return
        column = int(held[0])
