"""Which pairs are worth a score: the nearest of each side by meaning, and by words; and which their terms forbid."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.listing import Side
from matching.market import Market
from matching.neighbours import BothWays, Nearest, nearest_both_ways
from matching.stand import Positions, Stand
from matching.terms import Direction, open_pairs, open_ways, reason

DEPTH = 100  # nearest by meaning that are considered for each listing, at least
CHUNK = 2_000  # needs whose pairs stand in memory at a time


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that was considered and not proposed, and why."""

    offer: str
    need: str
    reason: str


@dataclass(frozen=True)
class Candidates:
    """Pairs by position, `offers` and `needs`, with the words they share (`lexical.py`); all of shape (pairs,)."""

    offers: Positions
    needs: Positions
    shared_words: Vectors


def candidates(
    market: Market, top: int, directions: Collection[Direction], compare: BothWays = nearest_both_ways
) -> Iterator[Candidates]:
    """Each side's nearest in the language space, and each need's `top` offers by words, without duplicates.

    Only pairs that their terms allow are looked for: no place in a list is spent on others. They come by need, then by
    offer, in chunks of needs. The lexical side costs one BM25 pass a need. `compare` finds the nearest of both sides.
    """
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    keys = _near_keys(offers, needs, max(DEPTH, 2 * top), directions, compare)
    for start in range(0, len(needs), CHUNK):
        rows = range(start, min(start + CHUNK, len(needs)))
        bounds = np.searchsorted(keys, np.arange(rows.start, rows.stop + 1) * len(offers))
        found = [
            _of_need(market, n, keys[a:b] - n * len(offers), top, directions)
            for n, (a, b) in zip(rows, pairwise(bounds), strict=True)
        ]
        yield Candidates(
            offers=np.concatenate([chosen for chosen, _ in found]),
            needs=np.repeat(np.arange(rows.start, rows.stop), [len(chosen) for chosen, _ in found]),
            shared_words=np.concatenate([shared for _, shared in found]),
        )


def forbidden(market: Market, top: int, directions: Collection[Direction]) -> list[Dropped]:
    """Pairs in a direction that is asked for that would be among the `top` nearest of a side, but for their terms."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    keys = _near_keys(offers, needs, top, directions, nearest_both_ways, heed_terms=False)
    n, o = np.divmod(keys, max(1, len(offers)))
    closed = np.flatnonzero(~open_pairs(offers.conditions, o, needs.conditions, n, directions))
    return [
        Dropped(
            offers.id(o[i]),
            needs.id(n[i]),
            str(reason(offers.conditions, int(o[i]), needs.conditions, int(n[i]), directions)),
        )
        for i in closed
    ]


def _of_need(
    market: Market, n: int, near: Positions, top: int, directions: Collection[Direction]
) -> tuple[Positions, Vectors]:
    """All offers to look at for one need, ascending, and what words they share with it."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    shared = market.lexical[Side.OFFER].shared(needs.words[n], str(needs.languages[n]))
    mask: NDArray[np.bool_] | None = None
    depth = 2 * top
    while True:
        worded = shared.best(depth)
        mask = open_pairs(offers.conditions, worded, needs.conditions, np.array([n]), directions)
        if mask.sum() >= top or len(worded) < depth:
            break
        depth *= 4
    chosen = np.union1d(near, worded[mask][:top]).astype(np.int64)
    return chosen, shared.at(chosen)


def _near_keys(
    offers: Stand,
    needs: Stand,
    depth: int,
    directions: Collection[Direction],
    compare: BothWays,
    *,
    heed_terms: bool = True,
) -> Positions:
    """need × offers + offer of the pairs that are among the nearest of either side, ascending.

    Looked for place by place among what the directions open, so that few pairs are computed in vain.
    """
    found = [np.zeros(0, np.int64)]
    ways, theirs, asked = open_ways(directions), offers.conditions, needs.conditions
    for pattern in np.unique(ways, axis=0):
        o = np.flatnonzero((ways == pattern).all(axis=1)[theirs.places])
        n = np.flatnonzero(pattern[asked.places])

        def allowed(rows: Positions, columns: Positions, o: Positions = o, n: Positions = n) -> NDArray[np.bool_]:
            return open_pairs(theirs, o[rows], asked, n[columns], directions)

        if len(o) and len(n):
            left, right = offers.vectors[o], needs.vectors[n]
            of_offers, of_needs = compare(left, right, depth, allowed if heed_terms else None)
            found.append(_keys(of_needs, o, n, len(offers)))
            found.append(_keys(of_offers, o, n, len(offers), turned=True))
    return np.unique(np.concatenate(found))


def _keys(nearest: Nearest, o: Positions, n: Positions, size: int, *, turned: bool = False) -> Positions:
    """need × size + offer of every pair that may be paired; `turned` where the rows are the offers."""
    rows = np.broadcast_to(np.arange(len(nearest.positions))[:, None], nearest.positions.shape)
    there = np.isfinite(nearest.scores) & (nearest.positions >= 0)
    needs, offers = (nearest.positions, rows) if turned else (rows, nearest.positions)
    return np.asarray(n[needs[there]] * size + o[offers[there]], np.int64)
