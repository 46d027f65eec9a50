"""From listings to explained pairings: the stages in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from matching.candidates import Candidates, Dropped, candidates, forbidden
from matching.embedding import Embedding, embed
from matching.errors import InvalidListing
from matching.evaluation import Run
from matching.listing import Listing, Side
from matching.market import Market, features_of
from matching.models import Models
from matching.neighbours import BothWays, nearest_both_ways
from matching.pairing import Pairing, explained
from matching.stand import Positions, Stand
from matching.terms import EVERY_DIRECTION, MISSION, Direction, open_ways


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
    """Pairings, best first within a need; what was dropped and why; ids of listings without any pairing.

    `unasked` counts the pairs whose direction was not asked for: they were not looked at.
    """

    pairings: tuple[Pairing, ...]
    dropped: tuple[Dropped, ...]
    unmatched: tuple[str, ...]
    unasked: int


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
    return match_market(Market.build(listings, embeddings, models), options)


def match_market(market: Market, options: MatchOptions | None = None) -> Matching:
    """`match` for all listings of a market."""
    chosen = options if options is not None else MatchOptions()
    directions = EVERY_DIRECTION if chosen.rank_all else chosen.directions
    found = scored(market, chosen.top, directions)
    pairings, weak = _proposed(market, found, chosen)
    matched = {name for one in pairings for name in (one.offer, one.need)}
    return Matching(
        pairings=tuple(pairings),
        dropped=tuple(sorted([*forbidden(market, chosen.top, directions), *weak], key=lambda d: (d.need, d.offer))),
        unmatched=tuple(
            sorted(name for stand in market.stands.values() for name in _names(stand) if name not in matched)
        ),
        unasked=unasked(market, directions),
    )


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs by position with their features, shape (pairs, features), and probabilities, by need, then by offer."""

    offers: Positions
    needs: Positions
    features: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def taken(self, rows: Positions | NDArray[np.bool_]) -> ScoredPairs:
        """Some of them."""
        return ScoredPairs(self.offers[rows], self.needs[rows], self.features[rows], self.probabilities[rows])

    @staticmethod
    def joined(parts: Sequence[ScoredPairs]) -> ScoredPairs:
        """Those of all parts, one behind the other."""
        names = ("offers", "needs", "features", "probabilities")
        return ScoredPairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def scored(
    market: Market,
    top: int,
    directions: Collection[Direction],
    least: float = 0.0,
    progress: Callable[[int], None] | None = None,
    compare: BothWays = nearest_both_ways,
) -> ScoredPairs:
    """All candidate pairs whose probability is at least `least`; `progress` is told of needs that are done.

    `compare` finds the nearest of both sides; `matching.cluster` has one that a cluster of machines does.
    """
    nothing = Candidates(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    parts = [_scored(market, nothing, least)]
    for found in candidates(market, top, directions, compare):
        parts.append(_scored(market, found, least))
        if progress is not None:
            progress(len(np.unique(found.needs)))
    return ScoredPairs.joined(parts)


def _scored(market: Market, found: Candidates, least: float) -> ScoredPairs:
    features = score(market, found)
    probabilities = market.models.fusion.probabilities(features)
    pairs = ScoredPairs(found.offers, found.needs, features, probabilities)
    return pairs.taken(probabilities >= least) if least > 0 else pairs


def score(market: Market, found: Candidates) -> NDArray[np.float64]:
    """Features of candidate pairs, shape (pairs, features)."""
    offers = (market.stands[Side.OFFER], found.offers, market.around[Side.OFFER], market.title_around[Side.OFFER])
    needs = (market.stands[Side.NEED], found.needs, market.around[Side.NEED], market.title_around[Side.NEED])
    return features_of(offers, needs, found.shared_words)


def _proposed(market: Market, found: ScoredPairs, options: MatchOptions) -> tuple[list[Pairing], list[Dropped]]:
    """Pairings in the top of either side, best first within a need, and those below the threshold."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    for_need, for_offer = ranks_of(found)
    order = np.lexsort((for_need, found.needs))
    order = order[np.minimum(for_need, for_offer)[order] <= options.top]
    least = _threshold(market.models, options)
    good = found.probabilities[order] >= least
    reason = f"below the threshold of {least:g}"
    weak = [Dropped(offers.id(found.offers[i]), needs.id(found.needs[i]), reason) for i in order[~good]]
    return explained_pairs(market, found.taken(order[good]), for_need[order[good]], for_offer[order[good]]), weak


def explained_pairs(market: Market, found: ScoredPairs, for_need: Positions, for_offer: Positions) -> list[Pairing]:
    """The pairings of scored pairs, with their ranks for the need and for the offer, each of shape (pairs,)."""
    ranks = list(zip(for_need.tolist(), for_offer.tolist(), strict=True))
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    return explained(market.models.fusion, offers, found.offers, needs, found.needs, found.features, ranks)


def ranks_of(found: ScoredPairs) -> tuple[Positions, Positions]:
    """Rank of each pair for its need and for its offer."""
    probabilities = found.probabilities
    return _ranks(found.needs, found.offers, probabilities), _ranks(found.offers, found.needs, probabilities)


def _names(stand: Stand) -> list[str]:
    return [stand.id(position) for position in range(len(stand))]


def unasked(market: Market, directions: Collection[Direction]) -> int:
    """How many pairs are closed by their direction."""
    counts = {side: np.bincount(stand.conditions.places, minlength=3) for side, stand in market.stands.items()}
    return int(counts[Side.OFFER] @ ~open_ways(directions) @ counts[Side.NEED])


def plain_run(listings: Sequence[Listing], models: Models, top: int = 100) -> Run:
    """What everyone builds first, to compare with: cosine of whole texts cut at the model's limit, needs → offers.

    The encoder's `query_prefix` stands before needs.
    """
    sides = {side: [one for one in listings if one.side is side] for side in Side}
    encoder = models.encoder
    vectors = {
        Side.NEED: encoder.encode([one.text for one in sides[Side.NEED]], prefix=encoder.query_prefix),
        Side.OFFER: encoder.encode([one.text for one in sides[Side.OFFER]]),
    }
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


def _ranks(
    groups: NDArray[np.int64], others: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rank of each pair within its group by descending probability, ties by the other's position; from 1."""
    ranks = np.zeros(len(groups), np.int64)
    order = np.lexsort((others, -probabilities, groups))
    starts = np.searchsorted(groups[order], groups[order])
    ranks[order] = np.arange(len(order)) - starts + 1
    return ranks
