"""The k nearest of both sides for large sides: one pass over coarse products, what stands out rescored in float32.

For each listing a bar is estimated from a sample of the other side, low enough that clearly more than k score above it.
The pass looks at each product once, blockwise while it is in the cache, and keeps those above the bar of either
listing; these pairs alone get an exact score. A listing whose k-th best is above its bar by more than the error of the
coarse products can't have missed one; the few others are done again exactly. So the sample and the eight bits decide
how long it takes, and never the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, sqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from matching.coarse import Coarse, Codes, Stored, blocks, coarse, error, products
from matching.dense import one_thread, pair_scores
from matching.encoder import Vectors
from matching.gathered import Found, Gathered
from matching.nearest import Nearest, merged, nothing, stacked, top

TILE = 4096  # rows of either side that one thread works on at a time; at most 65,536
BLOCK = (512, 1024)  # products that stand in a core's cache
SAMPLE = 16  # one in so many of the other side is looked at to estimate the bar
GROUPS = 128  # the r-th best of a sample is read off the maxima of so many groups
AHEAD = 8  # tiles at most that are done or under way and not yet gathered
REDONE = (512, 16384)  # scores that stand in memory when rows are done again

Positions = NDArray[np.int64]
PairsAllowed = Callable[[Positions, Positions], NDArray[np.bool_]]  # positions of left and right → may be paired
Bars = NDArray[np.int32]
Spread = Callable[[Iterable[Callable[[], Bars]]], Iterable[Bars]]
T = TypeVar("T")


@dataclass(frozen=True)
class Half:
    """One side in the pass: vectors (rows, dimension), their codes, and for each row the product to be above."""

    vectors: Stored
    codes: Codes
    bars: Bars
    start: int = 0  # position of the first row

    def part(self, rows: slice) -> Half:
        """Some of its rows; `start` goes along."""
        return Half(self.vectors[rows], self.codes[rows], self.bars[rows], self.start + rows.start)


def all_pairs(
    left: Stored, right: Stored, k: int, allowed: PairsAllowed | None, threads: int
) -> tuple[Nearest, Nearest]:
    """As `neighbours.nearest_both_ways`; both sides must have at least GROUPS × SAMPLE rows, clearly more than k."""
    with workers(threads) as pool:
        halves, sure = prepared(left, right, k, partial(_in_order, pool), TILE)
        return checked(halves, sweep(*halves, k, pool, allowed), sure, k, allowed)


def prepared(
    left: Stored, right: Stored, k: int, spread: Spread, rows: int
) -> tuple[tuple[Half, Half], tuple[Vectors, Vectors]]:
    """Both sides with their bars, and the score above which a row's k-th best is surely the right one.

    `spread` runs jobs, each the bars of so many `rows`, and gives their results in order.
    """
    ours, theirs = coarse(left), coarse(right)
    bars = (_bars(ours, theirs, k, spread, rows), _bars(theirs, ours, k, spread, rows))
    scale = ours.step * theirs.step
    sure = (bars[0] * scale + error(ours, theirs), bars[1] * scale + error(theirs, ours))
    return (Half(left, ours.codes, bars[0]), Half(right, theirs.codes, bars[1])), sure


def sweep(
    left: Half, right: Half, k: int, pool: Executor, allowed: PairsAllowed | None = None
) -> tuple[Nearest, Nearest]:
    """The pass: the k best of each row of both sides among the pairs above a bar, −∞ where they are fewer."""
    theirs = _tiles(right)
    of_right = [Gathered(len(tile.codes), k) for tile in theirs]
    near = (replace(tile, vectors=_exact(tile.vectors)) for tile in _tiles(left))
    found = _in_order(pool, (partial(_pairs, own, other, allowed) for own in near for other in theirs))
    of_left: list[Future[Nearest]] = []
    for tile in _tiles(left):
        gathered = Gathered(len(tile.codes), k)
        for other in of_right:
            rows, columns = next(found)
            gathered.add(rows)
            other.add(columns)
        of_left.append(pool.submit(gathered.best))
    whole = stacked([own.result() for own in of_left], k)
    return whole, stacked(list(pool.map(Gathered.best, of_right)), k)


def checked(
    halves: tuple[Half, Half],
    found: tuple[Nearest, Nearest],
    sure: tuple[Vectors, Vectors],
    k: int,
    allowed: PairsAllowed | None,
) -> tuple[Nearest, Nearest]:
    """`found` with those rows done again whose k-th best is not surely the right one."""
    left, right = halves
    return (
        _mended(left, right, found[0], sure[0], k, allowed),
        _mended(right, left, found[1], sure[1], k, None if allowed is None else _turned(allowed)),
    )


def _mended(own: Half, other: Half, found: Nearest, sure: Vectors, k: int, allowed: PairsAllowed | None) -> Nearest:
    positions, scores = found.positions.copy(), found.scores.copy()
    doubtful = np.flatnonzero(~(scores[:, -1] > sure))
    for block in blocks(len(doubtful), REDONE[0]):
        rows = doubtful[block]
        again = _again(rows, own.vectors, other.vectors, k, allowed)
        positions[rows], scores[rows] = again.positions, again.scores
    return Nearest(positions, scores)


def _turned(allowed: PairsAllowed) -> PairsAllowed:
    return lambda own, other: allowed(other, own)


def _again(rows: Positions, own: Stored, other: Stored, k: int, allowed: PairsAllowed | None) -> Nearest:
    """Exact top k of some rows among all of the other side."""
    queries, best = _exact(own[rows]), nothing(len(rows), 0)
    for block in blocks(len(other), REDONE[1]):
        columns = np.arange(block.start, block.stop)
        scores = queries @ _exact(other[block]).T
        if allowed is not None:
            scores[~allowed(rows[:, None], columns[None, :])] = -np.inf
        best = merged(best, top(scores, columns[None, :], k), k)
    return best


def _bars(own: Coarse, other: Coarse, k: int, spread: Spread, rows: int) -> Bars:
    """For each of `own` a product that clearly more than k of `other` are likely to be above.

    The r-th best of a sample of one in SAMPLE: among all about r × SAMPLE are above it, give or take √r × SAMPLE.
    """
    size = max(GROUPS, len(other) // SAMPLE // GROUPS * GROUPS)
    sample = other.codes[np.sort(np.random.default_rng(0).permutation(len(other))[:size])]
    expected = k * size / len(other)
    rank = min(GROUPS, ceil(expected + 3 * sqrt(expected) + 2))
    jobs = (partial(_bars_of, own.codes[block], sample, rank) for block in blocks(len(own), rows))
    return np.concatenate(list(spread(jobs)))


def _bars_of(codes: Codes, sample: Codes, rank: int) -> Bars:
    """The rank-th highest of the maxima over the groups of the sample, shape (rows,)."""
    bars = np.zeros(len(codes), np.int32)
    for block in blocks(len(codes), BLOCK[0]):
        bars[block] = np.partition(_maxima(codes[block], sample), -rank, axis=1)[:, -rank]
    return bars


def _maxima(codes: Codes, sample: Codes) -> NDArray[np.int32]:
    """The highest product of each row with each of GROUPS parts of the sample, shape (rows, GROUPS)."""
    best = np.full((len(codes), GROUPS), np.iinfo(np.int32).min, np.int32)
    for block in blocks(len(sample), BLOCK[1] // GROUPS * GROUPS):
        scores = products(codes, sample[block], np.empty((len(codes), block.stop - block.start), np.int32))
        np.maximum(best, scores.reshape(len(codes), -1, GROUPS).max(axis=1), out=best)
    return best


def _pairs(left: Half, right: Half, allowed: PairsAllowed | None) -> tuple[Found, Found]:
    """What of one tile is above a bar: by the rows of `left`, and by those of `right`."""
    ours, theirs, of_left, of_right = _exact(left.vectors), _exact(right.vectors), [], []
    for block in blocks(len(left.codes), BLOCK[0]):
        rows, columns, product = _above(left.codes[block], right.codes, left.bars[block], right.bars)
        rows += block.start
        if allowed is not None:
            may = allowed(rows + left.start, columns + right.start)
            rows, columns, product = rows[may], columns[may], product[may]
        scores = pair_scores(ours, theirs, rows, columns)
        high = product > left.bars[rows]
        of_left.append(Found.of(rows[high], columns[high] + right.start, scores[high]))
        high = product > right.bars[columns]
        of_right.append(Found.of(columns[high], rows[high] + left.start, scores[high]))
    return Found.joined(of_left), Found.joined(of_right)


def _above(left: Codes, right: Codes, bars: Bars, right_bars: Bars) -> tuple[Positions, Positions, NDArray[np.int32]]:
    """Rows, columns and products of the pairs above the bar of either, column blocks one after another."""
    rows, columns, values = [], [], []
    for block in blocks(len(right), BLOCK[1]):
        product = products(left, right[block], np.empty((len(left), block.stop - block.start), np.int32))
        high = product > bars[:, None]
        high |= product > right_bars[block]
        where = np.flatnonzero(high)
        values.append(product.ravel()[where])
        row, column = np.divmod(where, product.shape[1])
        rows.append(row)
        columns.append(column + block.start)
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


def _tiles(half: Half) -> list[Half]:
    return [half.part(rows) for rows in blocks(len(half.codes), TILE)]


def _exact(vectors: Stored) -> Vectors:
    return np.ascontiguousarray(vectors, np.float32)


def _in_order(pool: Executor, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results of jobs in their order; few are under way or waiting to be taken."""
    waiting: deque[Future[T]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def workers(threads: int) -> Iterator[Executor]:
    """A pool whose threads compute alone; torch's number of threads, which is the process's, is put back afterwards."""
    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=_alone) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _alone() -> None:
    """Each of our threads is one of as many as there are cores: the libraries below must not start more."""
    import torch

    torch.set_num_threads(1)
    one_thread()
