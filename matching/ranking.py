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
    market: Market,
    listing: Listing,
    embedding: Embedding,
    limit: int = 10,
    directions: Collection[Direction] = MISSION,
    *,
    tail: Market | None = None,
    replaced: Collection[str] = (),
) -> list[Pairing]:
    """The best of the other side for one listing, best first. What the terms forbid is left out.

    `tail` holds later listings (`Market.tail`), `replaced` the ids of listings in `market` that no longer hold. For an
    offer, shared words are counted of the offer among the needs and not, as `match` does, of each need among the
    offers, which would take a pass for every need: its probabilities may differ a little from those of `match`.
    """
    query = Stand([listing], [embedding], market.space, market.models)
    depth = max(DEPTH, 2 * limit)
    allowed = _open_to(query, market, directions, replaced)
    near = _nearest(market, query, allowed, depth)
    crowd = _crowd(market, query, near)
    found = _scored(market, query, near, crowd, allowed, depth)
    if tail is not None:
        allowed = _open_to(query, tail, directions, ())
        found += _scored(tail, query, _nearest(tail, query, allowed, depth), crowd, allowed, depth)
    found.sort(key=lambda one: (-one.probability, one.name))
    pairings = []
    for rank, one in enumerate(found[:limit], 1):
        sides = {listing.side: (query, 0), listing.side.opposite: (one.stand, one.position)}
        ranks = (None, rank) if listing.side is Side.OFFER else (rank, None)
        pairings.append(explained(market.models.fusion, *sides[Side.OFFER], *sides[Side.NEED], one.features, ranks))
    return pairings


def scored_pair(
    market: Market, offer: Listing, offer_embedding: Embedding, need: Listing, need_embedding: Embedding
) -> Pairing:
    """One offer and one need, which need not be in the market, scored as `answers` would for the need."""
    query = Stand([need], [need_embedding], market.space, market.models)
    beside = market.tail([offer], [offer_embedding])
    everything, only = np.ones(len(market.stands[Side.OFFER]), np.bool_), np.ones(1, np.bool_)
    crowd = _crowd(market, query, _nearest(market, query, everything, NEIGHBOURHOOD))
    one = _scored(beside, query, _nearest(beside, query, only, 1), crowd, only, 1)[0]
    return explained(market.models.fusion, one.stand, 0, query, 0, one.features, (None, None))


@dataclass(frozen=True)
class Near:
    """Positions and scores of the nearest by meaning, best first, whatever the terms say."""

    positions: Positions
    scores: Vectors


@dataclass(frozen=True)
class Crowd:
    """How crowded it is around the query, by its text and by its title; both of shape (1,)."""

    text: Vectors
    title: Vectors


@dataclass(frozen=True)
class Scored:
    """One answer: where it stands, its features, its probability."""

    stand: Stand
    position: int
    features: NDArray[np.float64]
    probability: float

    @property
    def name(self) -> str:
        return self.stand.listings[self.position].id


def _open_to(
    query: Stand, market: Market, directions: Collection[Direction], replaced: Collection[str]
) -> NDArray[np.bool_]:
    """Which of the other side the terms allow and still hold, shape (listings,)."""
    other = market.stands[query.listings[0].side.opposite]
    if query.listings[0].side is Side.OFFER:
        allowed = open_pairs(query.conditions, other.conditions, directions).reshape(-1)
    else:
        allowed = open_pairs(other.conditions, query.conditions, directions).reshape(-1)
    allowed[[other.position[name] for name in replaced if name in other.position]] = False
    return allowed


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


def _crowd(market: Market, query: Stand, near: Near) -> Crowd:
    other, background = market.stands[query.listings[0].side.opposite], market.models.background
    text = crowding_of_one(near.scores, len(other), query.vectors[0], background)
    if not query.has_title[0]:
        return Crowd(text, np.zeros(1, np.float32))
    titled = (other.titles @ query.titles[0])[other.has_title]
    return Crowd(text, crowding_of_one(titled, len(titled), query.titles[0], background))


def _scored(
    market: Market, query: Stand, near: Near, crowd: Crowd, allowed: NDArray[np.bool_], depth: int
) -> list[Scored]:
    """The allowed among the nearest by meaning and the `depth` best by words, scored."""
    side = query.listings[0].side
    other = market.stands[side.opposite]
    shared = market.lexical[side.opposite].shared(query.words[0], str(query.languages[0]))
    by_words = np.argsort(-np.where(allowed, shared, 0.0), kind="stable")[:depth]
    chosen = np.union1d(near.positions[allowed[near.positions]], by_words[(shared * allowed)[by_words] > 0])
    chosen = chosen.astype(np.int64)
    ours: Chosen = (query, np.zeros(len(chosen), np.int64), crowd.text, crowd.title)
    theirs: Chosen = (other, chosen, market.around[side.opposite], market.title_around[side.opposite])
    features = features_of(*((ours, theirs) if side is Side.OFFER else (theirs, ours)), shared[chosen])
    probabilities = market.models.fusion.probabilities(features)
    return [Scored(other, int(position), features[i], float(probabilities[i])) for i, position in enumerate(chosen)]
