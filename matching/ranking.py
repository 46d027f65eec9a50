"""What answers one listing, which need not be in the market: a search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Embedding
from matching.encoder import Vectors
from matching.listing import Listing, Side
from matching.market import NEIGHBOURHOOD, Chosen, Market, Positions, Stand, crowding_of_one, features_of
from matching.pairing import Pairing, explained
from matching.terms import MISSION, Direction, open_pairs

DEPTH = 100  # nearest by meaning that are scored, at least


def answers(
    market: Market, listing: Listing, embedding: Embedding, limit: int = 10, directions: Collection[Direction] = MISSION
) -> list[Pairing]:
    """The best of the other side for one listing, best first. What the terms forbid is left out.

    For an offer, shared words are counted of the offer among the needs and not, as `match` does, of each need among the
    offers, which would take a pass for every need: its probabilities may differ a little from those of `match`.
    """
    other = market.stands[listing.side.opposite]
    if not len(other):
        return []
    query = Stand([listing], [embedding], market.space, market.models)
    shared = market.lexical[listing.side.opposite].shared(embedding.words, str(query.languages[0]))
    allowed = _open_to(query, other, directions)
    near = _nearest(market, query, allowed, max(DEPTH, 2 * limit))
    by_words = np.argsort(-np.where(allowed, shared, 0.0), kind="stable")[: max(DEPTH, 2 * limit)]
    chosen = np.union1d(near.positions[allowed[near.positions]], by_words[(shared * allowed)[by_words] > 0])
    features = _features(market, query, chosen, near.scores, shared[chosen])
    probabilities = market.models.fusion.probabilities(features)
    best = sorted(range(len(chosen)), key=lambda i: (-probabilities[i], other.listings[chosen[i]].id))[:limit]
    pairings = []
    for rank, i in enumerate(best, 1):
        sides = {listing.side: (query, 0), listing.side.opposite: (other, int(chosen[i]))}
        ranks = (None, rank) if listing.side is Side.OFFER else (rank, None)
        pairings.append(explained(market.models.fusion, *sides[Side.OFFER], *sides[Side.NEED], features[i], ranks))
    return pairings


def _open_to(query: Stand, other: Stand, directions: Collection[Direction]) -> NDArray[np.bool_]:
    """Which of the other side the terms allow, shape (listings,)."""
    if query.listings[0].side is Side.OFFER:
        return open_pairs(query.conditions, other.conditions, directions).reshape(-1)
    return open_pairs(other.conditions, query.conditions, directions).reshape(-1)


@dataclass(frozen=True)
class Near:
    """Positions and scores of the nearest by meaning, best first, whatever the terms say."""

    positions: Positions
    scores: Vectors


def _nearest(market: Market, query: Stand, allowed: NDArray[np.bool_], wanted: int) -> Near:
    """So many of the nearest that `wanted` of them are allowed, or all there are."""
    other = market.stands[query.listings[0].side.opposite]
    wanted, depth = min(wanted, int(allowed.sum())), max(wanted, NEIGHBOURHOOD)
    while True:
        hits = market.indexes[query.listings[0].side.opposite].search(query.vectors, depth)[0]
        positions = np.array([other.position[name] for name, _ in hits], np.int64)
        if allowed[positions].sum() >= wanted or depth >= len(other):
            return Near(positions, np.array([score for _, score in hits], np.float32))
        depth *= 4


def _features(
    market: Market, query: Stand, chosen: Positions, near: Vectors, shared_words: Vectors
) -> NDArray[np.float64]:
    side = query.listings[0].side
    other, background = market.stands[side.opposite], market.models.background
    around = crowding_of_one(near, len(other), query.vectors[0], background)
    title_around = np.zeros(1, np.float32)
    if query.has_title[0]:
        titled = (other.titles @ query.titles[0])[other.has_title]
        title_around = crowding_of_one(titled, len(titled), query.titles[0], background)
    ours: Chosen = (query, np.zeros(len(chosen), np.int64), around, title_around)
    theirs: Chosen = (other, chosen, market.around[side.opposite], market.title_around[side.opposite])
    offers, needs = (ours, theirs) if side is Side.OFFER else (theirs, ours)
    return features_of(offers, needs, shared_words)
