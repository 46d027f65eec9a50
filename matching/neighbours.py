"""The k nearest on the other side for every listing of both sides, from one pass over the product matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors

BLOCK = 4096


@dataclass(frozen=True)
class Nearest:
    """For each row of one side: `positions` on the other side, int64, and `scores`, both (rows, k), best first.

    Where the other side has fewer than k rows, k is that number.
    """

    positions: NDArray[np.int64]
    scores: Vectors


Positions = NDArray[np.int64]
Allowed = Callable[[Positions, Positions], NDArray[np.bool_]]  # rows and columns that broadcast → may be paired


def nearest_both_ways(
    left: Vectors | NDArray[np.float16],
    right: Vectors | NDArray[np.float16],
    k: int,
    allowed: Allowed | None = None,
) -> tuple[Nearest, Nearest]:
    """Exact top k by inner product, rows of `left` among `right` and the reverse; each product is computed once.

    Blockwise: a few times BLOCK × len(right) scores stand in memory. Ties go to the lower position. What is not
    `allowed` scores −∞: it comes last, and only where fewer than k are allowed.
    """
    rows: list[Nearest] = [_nothing(0, min(k, len(right)))]
    columns = _nothing(len(right), 0)
    left, right = left.astype(np.float32), right.astype(np.float32)
    for start in range(0, len(left), BLOCK):
        scores = left[start : start + BLOCK] @ right.T
        if allowed is not None:
            row_numbers = np.arange(start, start + len(scores))[:, None]
            scores[~allowed(row_numbers, np.arange(len(right))[None, :])] = -np.inf
        rows.append(_top(scores, np.arange(len(right))[None, :], k))
        columns = _merged(columns, _top(scores.T, np.arange(start, start + len(scores))[None, :], k), k)
    stacked = Nearest(np.concatenate([r.positions for r in rows]), np.concatenate([r.scores for r in rows]))
    return stacked, columns


def best(scores: Vectors, k: int) -> Nearest:
    """Best k columns of each row, by score, then by position."""
    return _top(scores, np.arange(scores.shape[1])[None, :], k)


def _merged(earlier: Nearest, later: Nearest, k: int) -> Nearest:
    """The best k of both; positions of `later` are all higher."""
    scores = np.concatenate([earlier.scores, later.scores], axis=1)
    return _top(scores, np.concatenate([earlier.positions, later.positions], axis=1), k)


def _nothing(rows: int, k: int) -> Nearest:
    return Nearest(np.zeros((rows, k), np.int64), np.zeros((rows, k), np.float32))


def _top(scores: Vectors, positions: NDArray[np.int64], k: int) -> Nearest:
    """Best k of each row, by score, then by position; columns stand in the order of their positions."""
    k = min(k, scores.shape[1])
    chosen = _chosen(scores, k)
    order = np.lexsort((chosen, -np.take_along_axis(scores, chosen, axis=1)), axis=1)
    chosen = np.take_along_axis(chosen, order, axis=1)
    spread = np.broadcast_to(positions, scores.shape)
    return Nearest(
        np.take_along_axis(spread, chosen, axis=1).astype(np.int64), np.take_along_axis(scores, chosen, axis=1)
    )


def _chosen(scores: Vectors, k: int) -> NDArray[np.int64]:
    """The columns of each row's best k; where the k-th best is tied the lowest columns."""
    if k == scores.shape[1] or not len(scores):
        return np.broadcast_to(np.arange(k), (len(scores), k))
    chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    worst = np.take_along_axis(scores, chosen, axis=1).min(axis=1, keepdims=True)
    for row in np.flatnonzero((scores >= worst).sum(axis=1) > k):
        above, tied = np.flatnonzero(scores[row] > worst[row]), np.flatnonzero(scores[row] == worst[row])
        chosen[row] = np.concatenate([above, tied])[:k]
    return chosen


def crowding(scores: Vectors, k: int) -> Vectors:
    """Mean of the k best scores of each row, shape (rows,): how crowded it is around it (CSLS's r); 0 without any."""
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32)
    best = -np.partition(-scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
    return np.asarray(best.mean(axis=1), dtype=np.float32)
