"""Which pairs are worth a score: the nearest of each side by meaning, and by words; and which their terms forbid."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.listing import Side
from matching.market import Market, Positions
from matching.neighbours import Allowed, Nearest, nearest_both_ways
from matching.terms import Direction, open_pairs, open_ways, veto

DEPTH = 100  # nearest by meaning that are considered for each listing, at least


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


def candidates(market: Market, top: int, directions: Collection[Direction]) -> Candidates:
    """Each side's nearest in the language space, and each need's `top` offers by words, without duplicates.

    Only pairs that their terms allow are looked for: no place in a list is spent on others. Order: by need, then by
    offer. The lexical side costs one BM25 pass a need.
    """
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]

    def allowed(rows: slice) -> NDArray[np.bool_]:
        return open_pairs(offers.conditions, needs.conditions, directions, rows)

    columns: list[tuple[Positions, Vectors]] = []
    for n, dense in enumerate(_nearest(market, max(DEPTH, 2 * top), allowed)):
        shared = market.lexical[Side.OFFER].shared(needs.words[n], str(needs.languages[n]))
        worded = np.flatnonzero(shared > 0)
        best = worded[np.argsort(-shared[worded], kind="stable")]
        open_to = (o for o in best if veto(offers.listings[o], needs.listings[n], directions) is None)
        chosen = np.union1d(dense, list(islice(open_to, top))).astype(np.int64)
        columns.append((chosen, shared[chosen]))
    counts = [len(chosen) for chosen, _ in columns]
    return Candidates(
        offers=_joined([chosen for chosen, _ in columns], np.int64),
        needs=np.repeat(np.arange(len(columns)), counts).astype(np.int64),
        shared_words=_joined([shared for _, shared in columns], np.float32),
    )


def forbidden(market: Market, top: int, directions: Collection[Direction]) -> list[Dropped]:
    """Pairs in a direction that is asked for that would be among the `top` nearest of a side, but for their terms."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    ways = open_ways(directions)

    def asked(rows: slice) -> NDArray[np.bool_]:
        return ways[offers.conditions.places[rows][:, None], needs.conditions.places]

    dropped = []
    for n, near in enumerate(_nearest(market, top, asked)):
        for o in near:
            reason = veto(offers.listings[o], needs.listings[n], directions)
            if reason is not None:
                dropped.append(Dropped(offers.listings[o].id, needs.listings[n].id, reason))
    return dropped


def _nearest(market: Market, depth: int, allowed: Allowed) -> list[Positions]:
    """For each need the offers that are among its nearest, or that it is among the nearest of; ascending."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    of_offers, of_needs = nearest_both_ways(offers.vectors, needs.vectors, depth, allowed)
    keys = np.union1d(_keys(of_needs, len(offers)), _keys(of_offers, len(offers), turned=True))
    starts = np.searchsorted(keys, np.arange(len(needs) + 1) * len(offers))
    return [keys[starts[n] : starts[n + 1]] - n * len(offers) for n in range(len(needs))]


def _keys(nearest: Nearest, size: int, *, turned: bool = False) -> Positions:
    """need × size + offer of every pair that may be paired; `turned` where the rows are the offers."""
    rows = np.broadcast_to(np.arange(len(nearest.positions))[:, None], nearest.positions.shape)
    needs, offers = (nearest.positions, rows) if turned else (rows, nearest.positions)
    return np.asarray((needs * size + offers)[np.isfinite(nearest.scores)], np.int64)


def _joined(parts: list[NDArray], dtype: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
