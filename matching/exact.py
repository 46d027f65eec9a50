"""The nearest by inner products, computed in float32 from what is kept as float16; and how many a search has found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Kept
from matching.encoder import Vectors
from matching.nearest import Nearest, stacked

Ids = NDArray[np.int64]

BLOCK = 8_192  # rows compared at a time
ROUNDING = 1e-5  # more than what two ways to add up one inner product of unit vectors differ by


def compared(queries: Vectors, vectors: Kept, rows: Ids, k: int) -> Nearest:
    """The k best of those rows (ascending) for each query, every one of them compared, blockwise; see `scored`."""
    found = nobody(len(queries), k)
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        block = floats(vectors[chosen[0] : chosen[-1] + 1] if _unbroken(chosen) else vectors[chosen])
        worst = found.scores.min(axis=1, initial=np.inf)
        parts = []
        for query, products, least in zip(queries, _products(queries, block), worst, strict=True):
            part = scored(query, block, _near_best(products, k, float(least)), k)
            parts.append(Nearest(np.where(part.positions < 0, -1, chosen[part.positions]), part.scores))
        found = united([found, stacked(parts, k)], k)
    return found


def scored(query: Vectors, vectors: Kept | Vectors, rows: Ids, k: int) -> Nearest:
    """The k best of those rows (ascending) for one query: ties by row, −1 and −∞ where there are no more; (1, k).

    What a row scores depends on it and the query alone, so equal rows tie.
    """
    scores = np.einsum("ij,j->i", floats(vectors[rows]), query)
    order = np.argsort(-scores, kind="stable")[:k]
    missing = (0, k - len(order))
    positions = np.pad(rows[order], missing, constant_values=-1)
    return Nearest(positions[None], np.pad(scores[order], missing, constant_values=-np.inf)[None])


def united(parts: list[Nearest], k: int) -> Nearest:
    """The k best of several answers to the same queries, each of other positions; ties by position."""
    positions = np.concatenate([one.positions for one in parts], axis=1)
    scores = np.concatenate([one.scores for one in parts], axis=1)
    order = np.lexsort((positions, -scores), axis=1)[:, :k]
    return Nearest(np.take_along_axis(positions, order, 1), np.take_along_axis(scores, order, 1))


def nobody(queries: int, k: int) -> Nearest:
    """An answer that found nothing."""
    return Nearest(np.full((queries, k), -1), np.full((queries, k), -np.inf, np.float32))


def floats(vectors: Kept | Vectors) -> Vectors:
    """Contiguous float32; by torch, since numpy's own way from float16 takes ten times as long."""
    import torch

    writable = vectors if vectors.flags.writeable and vectors.flags.c_contiguous else np.array(vectors)
    if vectors.dtype != np.float16:
        return writable.astype(np.float32, copy=False)
    converted: Vectors = torch.from_numpy(writable).float().numpy()
    return converted


def prepare_search() -> None:
    """Load the library that multiplies, which takes seconds, so that the first search need not."""
    floats(np.zeros((1, 1), np.float16))


def _products(queries: Vectors, block: Vectors) -> Vectors:
    """All with all, by torch as well: the threads of two libraries in turn would wait for each other, 8 ms a time."""
    import torch

    scores: Vectors = (torch.from_numpy(np.array(queries)) @ torch.from_numpy(block).T).numpy()
    return scores


def recall(found: Nearest, truth: Nearest, *, itself: bool = False) -> float:
    """The share of true hits that were found, counted by score so that ties are no misses; 1.0 where none is true.

    With `itself` the best true hit of each query is the query, and is not counted.
    """
    there = truth.positions >= 0
    least = np.where(there, truth.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    wanted = there.sum(axis=1)
    right = np.minimum(((found.positions >= 0) & (found.scores >= least - ROUNDING)).sum(axis=1), wanted)
    total = int((wanted - itself).sum())
    return float((right - itself).sum() / total) if total > 0 else 1.0


def _unbroken(rows: Ids) -> bool:
    """Whether ascending rows leave none out: a slice of them need not be gathered."""
    return bool(rows[-1] - rows[0] + 1 == len(rows))


def _near_best(products: Vectors, k: int, worst: float) -> Ids:
    """Where the scores stand that can be among the k best, with those that rounding might have put behind."""
    if 0 < k < len(products):
        worst = max(worst, float(np.partition(products, len(products) - k)[len(products) - k]))
    return np.flatnonzero(products >= worst - ROUNDING)
