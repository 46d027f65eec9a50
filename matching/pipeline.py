"""From listings to explained pairings: the stages in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from matching.candidates import Candidates, Dropped, candidates, split_vetoed
from matching.embedding import Embedding, embed
from matching.errors import InvalidListing
from matching.evaluation import Run
from matching.listing import Listing, Side
from matching.market import DENSE_DEPTH, Market, Pairing, features_of, pairing
from matching.models import Models
from matching.terms import EVERY_DIRECTION, MISSION, Direction


@dataclass(frozen=True)
class MatchOptions:
    """`top` is how deep each listing's list goes; `min_probability` None means the trained threshold.

    `rank_all` applies neither threshold nor the rule of directions, so that a full ranking can be measured; what the
    terms forbid stays out.
    """

    top: int = 50
    min_probability: float | None = None
    rank_all: bool = False
    directions: frozenset[Direction] = MISSION


@dataclass(frozen=True)
class Matching:
    """Pairings, best first within a need; what was dropped and why; ids of listings without any pairing."""

    pairings: tuple[Pairing, ...]
    dropped: tuple[Dropped, ...]
    unmatched: tuple[str, ...]


def match(
    listings: Sequence[Listing], models: Models, options: MatchOptions | None = None, *, progress: bool = False
) -> Matching:
    """Propose pairings between the offers and the needs among `listings`.

    The result depends on the set of listings and the models alone: neither on their order nor on the clock.
    Raises InvalidListing when two listings share an id.
    """
    ordered = sorted(listings, key=lambda one: one.id)
    for one, following in pairwise(ordered):
        if one.id == following.id:
            raise InvalidListing("id", f"{one.id!r} comes twice; every listing needs its own")
    return match_embedded(ordered, embed(ordered, models.encoder, progress=progress), models, options)


def match_embedded(
    listings: Sequence[Listing], embeddings: Sequence[Embedding], models: Models, options: MatchOptions | None = None
) -> Matching:
    """`match` for listings whose embeddings are at hand."""
    chosen = options if options is not None else MatchOptions()
    market = Market.build(listings, embeddings, models, depth=max(DENSE_DEPTH, 2 * chosen.top))
    found = candidates(market, chosen.top)
    allowed, dropped = split_vetoed(market, found, EVERY_DIRECTION if chosen.rank_all else chosen.directions)
    found = _take(found, allowed)
    features = score(market, found)
    probabilities = models.fusion.probabilities(features)
    for_need = _ranks(found.needs, found.offers, probabilities)
    for_offer = _ranks(found.offers, found.needs, probabilities)
    least = _threshold(models, chosen)
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    pairings = []
    for i in np.lexsort((for_need, found.needs)):
        o, n = int(found.offers[i]), int(found.needs[i])
        if min(for_need[i], for_offer[i]) > chosen.top:
            continue
        if probabilities[i] < least:
            dropped.append(Dropped(offers.listings[o].id, needs.listings[n].id, f"below the threshold of {least:g}"))
            continue
        ranks = (int(for_need[i]), int(for_offer[i]))
        pairings.append(pairing(models, offers, o, needs, n, features[i], ranks))
    matched = {name for one in pairings for name in (one.offer, one.need)}
    unmatched = tuple(sorted(one.id for one in listings if one.id not in matched))
    return Matching(tuple(pairings), tuple(sorted(dropped, key=lambda d: (d.need, d.offer))), unmatched)


def score(market: Market, found: Candidates) -> NDArray[np.float64]:
    """Features of candidate pairs, shape (pairs, features)."""
    offers = (market.stands[Side.OFFER], found.offers, market.around[Side.OFFER], market.title_around[Side.OFFER])
    needs = (market.stands[Side.NEED], found.needs, market.around[Side.NEED], market.title_around[Side.NEED])
    return features_of(offers, needs, (found.shared_words, found.shared_marks))


def plain_run(listings: Sequence[Listing], models: Models, top: int = 100) -> Run:
    """What everyone builds first, to compare with: cosine of whole texts cut at the model's limit, needs → offers."""
    sides = {side: [one for one in listings if one.side is side] for side in Side}
    vectors = {side: models.encoder.encode([one.text for one in own]) for side, own in sides.items()}
    scores = vectors[Side.NEED] @ vectors[Side.OFFER].T
    run = {}
    for need, row in zip(sides[Side.NEED], scores, strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        run[need.id] = {sides[Side.OFFER][i].id: float(row[i]) for i in best}
    return run


def run_of(matching: Matching) -> Run:
    """Pairings as a TREC-style run, needs → offers → probability."""
    run: dict[str, dict[str, float]] = {}
    for one in matching.pairings:
        run.setdefault(one.need, {})[one.offer] = one.probability
    return run


def _threshold(models: Models, options: MatchOptions) -> float:
    if options.rank_all:
        return 0.0
    return models.fusion.threshold if options.min_probability is None else options.min_probability


def _take(found: Candidates, allowed: NDArray[np.bool_]) -> Candidates:
    return Candidates(
        found.offers[allowed], found.needs[allowed], found.shared_words[allowed], found.shared_marks[allowed]
    )


def _ranks(
    groups: NDArray[np.int64], others: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rank of each pair within its group by descending probability, ties by the other's position; from 1."""
    ranks = np.zeros(len(groups), np.int64)
    order = np.lexsort((others, -probabilities, groups))
    starts = np.searchsorted(groups[order], groups[order])
    ranks[order] = np.arange(len(order)) - starts + 1
    return ranks
