"""The best of many scores: what neighbours are made of, by whatever way the scores were computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors


@dataclass(frozen=True)
class Nearest:
    """For each row of one side: `positions` on the other side, int64, and `scores`, both (rows, k), best first.

    Where the other side has fewer than k rows, k is that number.
    """

    positions: NDArray[np.int64]
    scores: Vectors


def nothing(rows: int, k: int) -> Nearest:
    """Room for `rows` × k, all zero."""
    return Nearest(np.zeros((rows, k), np.int64), np.zeros((rows, k), np.float32))


def stacked(parts: list[Nearest], k: int) -> Nearest:
    """The rows of all parts below one another; each part has k columns."""
    parts = [nothing(0, k), *parts]
    return Nearest(np.concatenate([p.positions for p in parts]), np.concatenate([p.scores for p in parts]))


def merged(earlier: Nearest, later: Nearest, k: int) -> Nearest:
    """The best k of both; positions of `later` are all higher."""
    scores = np.concatenate([earlier.scores, later.scores], axis=1)
    return top(scores, np.concatenate([earlier.positions, later.positions], axis=1), k)


def top(scores: Vectors, positions: NDArray[np.int64], k: int) -> Nearest:
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
