"""What answers one listing, which need not be in the market: a search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Embedding
from matching.encoder import Vectors
from matching.listing import Listing, Side
from matching.market import Chosen, Market, features_of
from matching.nearest import Nearest
from matching.pairing import Pairing, Ranks, explained
from matching.stand import Positions, Stand
from matching.terms import MISSION, Direction, Objection, open_pairs, reason

DEPTH = 100  # nearest by meaning that are scored, at least

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """A market to look in, and which listings of each side may be found there; None: all of them."""

    market: Market
    among: Mapping[Side, Mask | None]


def everything(market: Market) -> Part:
    """All listings of a market."""
    return Part(market, dict.fromkeys(Side))


def answers(
    market: Market,
    listing: Listing,
    embedding: Embedding,
    limit: int = 10,
    directions: Collection[Direction] = MISSION,
    *,
    parts: Sequence[Part] | None = None,
) -> list[Pairing]:
    """The best of the other side for one listing, best first. What the terms forbid is left out.

    The market says what is usual; looked for is in the `parts`, by default in all of it: parts may narrow it, and add
    what was written later (`Market.tail`). For an offer, shared words are counted of the offer among the needs and
    not, as `match` does, of each need among the offers, which would take a pass for every need: its probabilities may
    differ a little from those of `match`.
    """
    query = Stand.of(listing.side, [listing], [embedding], market.space, market.models)
    depth, looked_in = max(DEPTH, 2 * limit), parts or [everything(market)]
    nearest = market.stores[query.side.opposite].search(query.vectors.astype(np.float32), depth)
    crowds = market.crowding(query, nearest.scores), market.title_crowding(query)
    found = [
        _scored(part, query, crowds, directions, depth, nearest if part.market is market else None)
        for part in looked_in
    ]
    ranked = sorted(
        (
            (-float(probability), one.stand.id(position), number, row)
            for number, one in enumerate(found)
            for row, (position, probability) in enumerate(zip(one.positions, one.probabilities, strict=True))
        ),
    )[:limit]
    pairings: dict[tuple[int, int], Pairing] = {}
    for number, one in enumerate(found):
        own = [(rank, row) for rank, (_, _, of, row) in enumerate(ranked, 1) if of == number]
        made = _explained(query, one, [row for _, row in own], [rank for rank, _ in own], market)
        pairings |= {(number, row): pairing for (_, row), pairing in zip(own, made, strict=True)}
    return [pairings[number, row] for _, _, number, row in ranked]


def scored_pair(
    market: Market, offer: Listing, offer_embedding: Embedding, need: Listing, need_embedding: Embedding
) -> Pairing:
    """One offer and one need, which need not be in the market, scored as `answers` would for the need."""
    space, models = market.space, market.models
    beside = Stand.of(Side.OFFER, [offer], [offer_embedding], space, models)
    tail = market.tail({Side.OFFER: beside, Side.NEED: Stand.of(Side.NEED, [], [], space, models)})
    query = Stand.of(Side.NEED, [need], [need_embedding], space, models)
    crowds, only = (market.crowding(query), market.title_crowding(query)), np.zeros(1, np.int64)
    found = _features(everything(tail), query, crowds, only, tail.lexical[Side.OFFER].shared(*_words(query)).at(only))
    return explained(models.fusion, beside, only, query, only, found, [(None, None)])[0]


@dataclass(frozen=True, slots=True)
class Refused:
    """A listing of the other side that is near, how probable the pairing would be, and what stands against it."""

    id: str
    probability: float
    objection: Objection


def refused(
    market: Market,
    listing: Listing,
    embedding: Embedding,
    limit: int,
    directions: Collection[Direction] = MISSION,
    *,
    parts: Sequence[Part] | None = None,
) -> list[Refused]:
    """What `answers` leaves out for its terms or its direction: the nearest by meaning, the most probable first."""
    query = Stand.of(listing.side, [listing], [embedding], market.space, market.models)
    crowds = market.crowding(query), market.title_crowding(query)
    found = [one for part in parts or [everything(market)] for one in _closed(part, query, crowds, limit, directions)]
    return sorted(found, key=lambda one: (-one.probability, one.id))[:limit]


def _closed(
    part: Part, query: Stand, crowds: tuple[Vectors, Vectors], limit: int, directions: Collection[Direction]
) -> list[Refused]:
    """Those of one part."""
    side = query.side.opposite
    other, seen = part.market.stands[side], part.among[side]
    closed = ~_open(part, query, directions)
    among = closed if seen is None else closed & seen
    if not among.any():
        return []
    near = part.market.stores[side].search(query.vectors.astype(np.float32), limit, among).positions[0]
    chosen = np.sort(near[near >= 0])
    shared = part.market.lexical[side].shared(*_words(query)).at(chosen)
    odds = part.market.models.fusion.probabilities(_features(part, query, crowds, chosen, shared))
    result = []
    for at, probability in zip(chosen.tolist(), odds.tolist(), strict=True):
        if query.side is Side.OFFER:
            said = reason(query.conditions, 0, other.conditions, at, directions)
        else:
            said = reason(other.conditions, at, query.conditions, 0, directions)
        assert said is not None
        result.append(Refused(other.id(at), float(f"{probability:.6g}"), said))
    return result


@dataclass(frozen=True)
class Scored:
    """What was found in one part: positions, features and probabilities, aligned."""

    stand: Stand
    positions: Positions
    features: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def _words(query: Stand) -> tuple[NDArray[np.int32], str]:
    return query.words[0], str(query.languages[0])


def _open(part: Part, query: Stand, directions: Collection[Direction]) -> Mask:
    """Which of the other side the terms allow, shape (listings,)."""
    other = part.market.stands[query.side.opposite]
    ours, theirs = np.zeros(1, np.int64), np.arange(len(other))
    if query.side is Side.OFFER:
        return open_pairs(query.conditions, ours, other.conditions, theirs, directions)
    return open_pairs(other.conditions, theirs, query.conditions, ours, directions)


def _allowed(part: Part, query: Stand, directions: Collection[Direction]) -> Mask:
    """Which of the other side may be found and the terms allow, shape (listings,)."""
    allowed, among = _open(part, query, directions), part.among[query.side.opposite]
    return allowed if among is None else allowed & among


def _scored(
    part: Part,
    query: Stand,
    crowds: tuple[Vectors, Vectors],
    directions: Collection[Direction],
    depth: int,
    nearest: Nearest | None,
) -> Scored:
    """The allowed among the nearest by meaning and the `depth` best by words, scored.

    `nearest` are those of all its listings, where they are known: they need not be looked for where all are allowed.
    """
    side, market = query.side.opposite, part.market
    allowed = _allowed(part, query, directions)
    among = None if allowed.all() else allowed
    if nearest is None or among is not None:
        nearest = market.stores[side].search(query.vectors.astype(np.float32), depth, among)
    near = nearest.positions[0]
    shared = market.lexical[side].shared(*_words(query))
    chosen = np.union1d(near[near >= 0], shared.best(depth, among)).astype(np.int64)
    features = _features(part, query, crowds, chosen, shared.at(chosen))
    return Scored(market.stands[side], chosen, features, market.models.fusion.probabilities(features))


def _features(
    part: Part, query: Stand, crowds: tuple[Vectors, Vectors], chosen: Positions, shared: Vectors
) -> NDArray[np.float64]:
    """Features of the query with the chosen of the other side, shape (chosen, features)."""
    side, market = query.side.opposite, part.market
    ours: Chosen = (query, np.zeros(len(chosen), np.int64), *crowds)
    theirs: Chosen = (market.stands[side], chosen, market.around[side], market.title_around[side])
    return features_of(*((ours, theirs) if query.side is Side.OFFER else (theirs, ours)), shared)


def _explained(query: Stand, one: Scored, rows: list[int], ranks: list[int], market: Market) -> list[Pairing]:
    chosen, ours = one.positions[rows], np.zeros(len(rows), np.int64)
    features, fusion = one.features[rows], market.models.fusion
    if query.side is Side.OFFER:
        told: list[Ranks] = [(None, rank) for rank in ranks]
        return explained(fusion, query, ours, one.stand, chosen, features, told)
    told = [(rank, None) for rank in ranks]
    return explained(fusion, one.stand, chosen, query, ours, features, told)
