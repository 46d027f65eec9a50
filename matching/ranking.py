"""What answers one listing, which need not be in the market: a search."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Embedding
from matching.listing import Listing, Side
from matching.market import Chosen, Market, Positions, Stand, crowding_of_one, features_of
from matching.pairing import Pairing, explained
from matching.terms import MISSION, Direction, veto

DEPTH = 100  # nearest by meaning that are scored, at least


def answers(
    market: Market, listing: Listing, embedding: Embedding, limit: int = 10, directions: Collection[Direction] = MISSION
) -> list[Pairing]:
    """The best of the other side for one listing, best first. What the terms forbid is left out."""
    other = market.stands[listing.side.opposite]
    if not len(other):
        return []
    query = Stand([listing], [embedding], market.space, market.models)
    shared = market.lexical[listing.side.opposite].shared(embedding.words, str(query.languages[0]))
    chosen = _considered(market, query, shared, max(DEPTH, 2 * limit), directions)
    features = _features(market, query, chosen, shared[chosen])
    probabilities = market.models.fusion.probabilities(features)
    best = sorted(range(len(chosen)), key=lambda i: (-probabilities[i], other.listings[chosen[i]].id))[:limit]
    pairings = []
    for rank, i in enumerate(best, 1):
        sides = {listing.side: (query, 0), listing.side.opposite: (other, int(chosen[i]))}
        ranks = (None, rank) if listing.side is Side.OFFER else (rank, None)
        pairings.append(explained(market.models.fusion, *sides[Side.OFFER], *sides[Side.NEED], features[i], ranks))
    return pairings


def _considered(
    market: Market, query: Stand, shared: NDArray[np.float32], depth: int, directions: Collection[Direction]
) -> Positions:
    """Positions of the `depth` nearest by meaning and by words among those that the terms allow, ascending."""
    own = query.listings[0]
    other = market.stands[own.side.opposite]
    place = {one.id: position for position, one in enumerate(other.listings)}

    def open_to(position: int) -> bool:
        met = other.listings[position]
        return veto(*((own, met) if own.side is Side.OFFER else (met, own)), directions) is None

    wanted = depth
    while True:  # deeper, where the terms forbid many of the nearest
        hits = market.indexes[own.side.opposite].search(query.vectors, wanted)[0]
        allowed = [place[name] for name, _ in hits if open_to(place[name])][:depth]
        if len(allowed) == depth or wanted >= len(other):
            break
        wanted *= 4
    by_words = [int(i) for i in np.argsort(-shared, kind="stable")[:depth] if shared[i] > 0 and open_to(int(i))]
    return np.array(sorted({*allowed, *by_words}), np.int64)


def _features(
    market: Market, query: Stand, chosen: Positions, shared_words: NDArray[np.float32]
) -> NDArray[np.float64]:
    side = query.listings[0].side
    other, background = market.stands[side.opposite], market.models.background
    titled = other.titles[other.has_title] @ query.titles[0]
    around = np.full(1, crowding_of_one(other.vectors @ query.vectors[0], query.vectors[0], background), np.float32)
    title_around = np.full(1, crowding_of_one(titled, query.titles[0], background), np.float32)
    ours: Chosen = (query, np.zeros(len(chosen), np.int64), around, title_around)
    theirs: Chosen = (other, chosen, market.around[side.opposite], market.title_around[side.opposite])
    offers, needs = (ours, theirs) if side is Side.OFFER else (theirs, ours)
    return features_of(offers, needs, shared_words)
