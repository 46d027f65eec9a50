"""The k nearest on the other side for every listing of both sides, from one pass over the product matrix."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from matching.allpairs import GROUPS, SAMPLE, PairsAllowed, all_pairs
from matching.coarse import Stored
from matching.encoder import Vectors
from matching.nearest import Nearest, merged, nothing, stacked, top

BothWays = Callable[[Stored, Stored, int, PairsAllowed | None], tuple[Nearest, Nearest]]

BLOCK = 4096
LARGE = 1 << 24  # products from which on the pass of `allpairs` is the faster way
FEW = 1 / 40  # part of the smaller side that k may be in that pass


def nearest_both_ways(
    left: Stored, right: Stored, k: int, allowed: PairsAllowed | None = None, threads: int | None = None
) -> tuple[Nearest, Nearest]:
    """Exact top k by inner product, rows of `left` among `right` and the reverse; each product is computed once.

    Vectors of shape (rows, dimension), float32 or float16; products and scores are float32. Ties go to the lower
    position. What is not `allowed` scores −∞: it comes last, and only where fewer than k are allowed. It is asked for
    positions of both sides that broadcast, at times in several threads at once. Large sides are compared in eight bits
    first (see `allpairs`) in as many `threads` as there are cores. Small ones: a few times BLOCK × len(right) scores
    stand in memory.
    """
    if is_large(left, right, k):
        return all_pairs(left, right, k, allowed, threads or os.cpu_count() or 1)
    return _all_scores(left.astype(np.float32, copy=False), right.astype(np.float32, copy=False), k, allowed)


def is_large(left: Stored, right: Stored, k: int) -> bool:
    """Whether two sides are worth the pass of `allpairs`, and have enough rows for it."""
    smaller = min(len(left), len(right))
    return len(left) * len(right) >= LARGE and smaller >= SAMPLE * GROUPS and k <= FEW * smaller


def _all_scores(left: Vectors, right: Vectors, k: int, allowed: PairsAllowed | None) -> tuple[Nearest, Nearest]:
    rows: list[Nearest] = []
    columns, positions = nothing(len(right), 0), np.arange(len(right))[None, :]
    for start in range(0, len(left), BLOCK):
        scores = left[start : start + BLOCK] @ right.T
        own = np.arange(start, start + len(scores))
        if allowed is not None:
            scores[~allowed(own[:, None], positions)] = -np.inf
        rows.append(top(scores, positions, k))
        columns = merged(columns, top(scores.T, own[None, :], k), k)
    return stacked(rows, min(k, len(right))), columns


def best(scores: Vectors, k: int) -> Nearest:
    """Best k columns of each row, by score, then by position."""
    return top(scores, np.arange(scores.shape[1])[None, :], k)


def crowding(scores: Vectors, k: int) -> Vectors:
    """Mean of the k best scores of each row, shape (rows,): how crowded it is around it (CSLS's r); 0 without any."""
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32)
    best = -np.partition(-scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
    return np.asarray(best.mean(axis=1), dtype=np.float32)


__all__ = ["BothWays", "Nearest", "PairsAllowed", "best", "crowding", "is_large", "nearest_both_ways"]
