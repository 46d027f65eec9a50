"""Pairs with their scores as they are found, tile by tile, and the best of each row among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.coarse import blocks
from matching.encoder import Vectors
from matching.nearest import Nearest, stacked, top

KEPT = 4  # times k pairs a row, on average, that are kept before the worst are let go
ROWS = 512  # of the table in which the best are chosen


@dataclass(frozen=True)
class Found:
    """Pairs by `own` row within a tile, uint16, and `other` position, with exact scores; all of shape (pairs,)."""

    own: NDArray[np.uint16]
    other: NDArray[np.int32]
    scores: Vectors

    @staticmethod
    def of(own: NDArray[np.int64], other: NDArray[np.int64], scores: Vectors) -> Found:
        """From positions of any size that fit."""
        return Found(own.astype(np.uint16), other.astype(np.int32), scores)

    @staticmethod
    def joined(parts: list[Found]) -> Found:
        """All of them, in this order."""
        parts = parts or [Found.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        return Found(
            np.concatenate([p.own for p in parts]),
            np.concatenate([p.other for p in parts]),
            np.concatenate([p.scores for p in parts]),
        )


class Gathered:
    """What is found for the rows of one tile; memory stays at about KEPT × k pairs a row."""

    def __init__(self, rows: int, k: int) -> None:
        self._rows, self._k, self._pairs = rows, k, 0
        self._parts: list[Found] = []

    def add(self, found: Found) -> None:
        """For each row in ascending order of positions, all of them higher than those before."""
        self._parts.append(found)
        self._pairs += len(found.own)
        if self._pairs > KEPT * self._k * self._rows:
            self._parts = [_pairs_of(self.best())]
            self._pairs = len(self._parts[0].own)

    def best(self) -> Nearest:
        """The best k of each row, by score, then by position; −∞ where there are fewer."""
        found = Found.joined(self._parts)
        order = np.argsort(found.own, kind="stable")
        found = Found(found.own[order], found.other[order], found.scores[order])
        return stacked([self._best_of(found, rows) for rows in blocks(self._rows, ROWS)], self._k)

    def _best_of(self, found: Found, rows: slice) -> Nearest:
        """Of some rows, from pairs in the order of `own`; they are laid out in a table first."""
        here = slice(*np.searchsorted(found.own, [rows.start, rows.stop]))
        own = found.own[here] - np.uint16(rows.start)
        counts = np.bincount(own, minlength=rows.stop - rows.start)
        place = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (len(counts), max(self._k, int(counts.max())))
        scores, positions = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int64)
        scores[own, place], positions[own, place] = found.scores[here], found.other[here]
        return top(scores, positions, self._k)


def _pairs_of(nearest: Nearest) -> Found:
    """Its pairs again, each row's in the order of their positions."""
    order = np.argsort(nearest.positions, axis=1)
    scores, positions = np.take_along_axis(nearest.scores, order, 1), np.take_along_axis(nearest.positions, order, 1)
    rows, places = np.nonzero(np.isfinite(scores))
    return Found.of(rows, positions[rows, places], scores[rows, places])
