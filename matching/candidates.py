"""Which pairs are worth a score: the nearest of each side by meaning, and by words; and those that terms forbid."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.listing import Side
from matching.market import Market, Positions
from matching.scoring import standardised
from matching.terms import Direction, veto


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that was considered and not proposed, and why."""

    offer: str
    need: str
    reason: str


@dataclass(frozen=True)
class Candidates:
    """Pairs by position, `offers` and `needs` of shape (pairs,), with their lexical features of the same shape."""

    offers: Positions
    needs: Positions
    shared_words: Vectors
    shared_marks: Vectors


def candidates(market: Market, top: int) -> Candidates:
    """Each side's nearest in the language space, and each need's `top` offers by BM25, without duplicates.

    Order: by need, then by offer. The lexical side costs one BM25 pass a need.
    """
    size = len(market.stands[Side.OFFER])
    chosen = _dense_keys(market, size)
    needs = market.stands[Side.NEED]
    columns: list[tuple[Positions, Vectors, Vectors]] = []
    for n in range(len(needs)):
        scores = market.lexical[Side.OFFER].scores(needs.tokens[n])
        best = np.argsort(-scores, kind="stable")[:top]
        dense = chosen[np.searchsorted(chosen, n * size) : np.searchsorted(chosen, (n + 1) * size)] - n * size
        offers = np.union1d(dense, best[scores[best] > 0]).astype(np.int64)
        within, across = standardised(scores, market.stands[Side.OFFER].languages, needs.languages[n])
        columns.append((offers, within[offers], across[offers]))
    counts = [len(offers) for offers, _, _ in columns]
    return Candidates(
        offers=_joined([offers for offers, _, _ in columns], np.int64),
        needs=np.repeat(np.arange(len(columns)), counts).astype(np.int64),
        shared_words=_joined([within for _, within, _ in columns], np.float32),
        shared_marks=_joined([across for _, _, across in columns], np.float32),
    )


def split_vetoed(
    market: Market, found: Candidates, directions: Collection[Direction]
) -> tuple[NDArray[np.bool_], list[Dropped]]:
    """Which candidates their terms allow, shape (pairs,), and the others with their reasons."""
    offers, needs = market.stands[Side.OFFER].listings, market.stands[Side.NEED].listings
    dropped = []
    allowed = np.ones(len(found.offers), np.bool_)
    for position, (o, n) in enumerate(zip(found.offers, found.needs, strict=True)):
        reason = veto(offers[o], needs[n], directions)
        if reason is not None:
            allowed[position] = False
            dropped.append(Dropped(offers[o].id, needs[n].id, reason))
    return allowed, dropped


def _dense_keys(market: Market, size: int) -> Positions:
    """Sorted keys need × size + offer of every pair that is among the nearest of either side."""
    of_offers, of_needs = market.nearest[Side.OFFER].positions, market.nearest[Side.NEED].positions
    from_offers = of_offers * size + np.arange(len(of_offers))[:, None]
    from_needs = np.arange(len(of_needs))[:, None] * size + of_needs
    return np.union1d(from_offers, from_needs).astype(np.int64)


def _joined(parts: list[NDArray], dtype: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
