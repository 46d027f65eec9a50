"""Markets to measure the assignment on: our benchmark's, and a generated one whose log-odds are fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from corpora import benchmark, embed_cached
from numpy.typing import NDArray

from matching import Exposure, Market, Models, Pairs, Side, exposure, plain_top
from matching.assignment import UNKNOWN_OWNER, Chosen, Positions
from matching.evaluation import best_of_each, gini
from matching.neighbours import nearest_both_ways
from matching.pipeline import scored
from matching.terms import EVERY_DIRECTION

CANDIDATES = 50  # of each listing
PLAIN = 10  # the k of plain top-k that everything is compared with
BEST, TENTH = 0.45, -2.82  # mean log-odds of a need's best and tenth offer, measured on our benchmark


@dataclass(frozen=True, eq=False)
class Scene:
    """A market, and the probability from which its pairs are worth proposing; equal to itself alone, as a key."""

    name: str
    pairs: Pairs
    threshold: float

    def plain(self, k: int = PLAIN) -> Chosen:
        """What plain top-k proposes."""
        return plain_top(self.pairs, self.threshold, k)

    @cached_property
    def reference(self) -> Exposure:
        """How plain top-10 is spread."""
        return self.spread(self.plain())

    def spread(self, chosen: Chosen) -> Exposure:
        """How it is spread, and what it is worth."""
        return exposure(self.pairs, chosen, self.threshold)


def scene_of_all(name: str, pairs: Pairs) -> Scene:
    """The scene in which every candidate is worth proposing: the threshold is the lowest probability."""
    return Scene(name, pairs, float(1 / (1 + np.exp(-pairs.log_odds.min()))))


def our_pairs(models: Models) -> Pairs:
    """The candidates of our benchmark, both halves, with the log-odds of the product's own pipeline."""
    listings = sorted(benchmark("train")[0] + benchmark("test")[0], key=lambda one: one.id)
    market = Market.build(listings, embed_cached(listings, models.encoder), models)
    found = scored(market, CANDIDATES, EVERY_DIRECTION)
    sizes = [len(market.stands[side]) for side in (Side.OFFER, Side.NEED)]
    log_odds = models.fusion.log_odds(found.features)
    return Pairs(found.offers, found.needs, log_odds, nobody(sizes[0]), nobody(sizes[1]))


def nobody(size: int) -> Positions:
    """Owners of listings that nobody is known to own."""
    return np.full(size, UNKNOWN_OWNER, np.int64)


def generated(size: int, seed: int) -> Pairs:
    """`size` invented offers and needs with hubs: each one's 50 most similar on the other side.

    Log-odds grow with the margin, which takes away half of the crowding around both (the product takes all of it; the
    other half stands for the appeal that no margin sees). Owners: an organisation per four listings, sizes by Zipf's
    law.
    """
    rng = np.random.default_rng(seed)
    topics = max(1, size // 20)
    centres, popularity = rng.normal(size=(topics, 24)), rng.lognormal(0, 1, topics)
    offers, needs = (side(rng, size, centres, popularity) for _ in range(2))
    left, right = np.insert(offers, 25, 1, axis=1), np.insert(needs, 24, 1, axis=1)
    of_offers, of_needs = nearest_both_ways(left, right, CANDIDATES)
    rows = np.arange(size)[:, None]
    keys = np.union1d((of_offers.positions * size + rows).ravel(), (rows * size + of_needs.positions).ravel())
    n, o = np.divmod(keys, size)
    crowding = of_offers.scores[:, :10].mean(axis=1)[o] + of_needs.scores[:, :10].mean(axis=1)[n]
    margin = 2 * np.einsum("ij,ij->i", left[o], right[n]) - 0.5 * crowding
    return Pairs(o, n, fitted(n, o, margin.astype(np.float64)), owners(rng, size), owners(rng, size))


def side(
    rng: np.random.Generator, size: int, centres: NDArray[np.float64], popularity: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Listings of one side, shape (size, 25): a topic and as much noise in 24 dimensions; a log-normal appeal.

    The appeal adds to the similarity with everyone.
    """
    topic = rng.choice(len(centres), size, p=popularity / popularity.sum())
    vectors = centres[topic] + rng.normal(size=(size, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.column_stack([vectors, 0.05 * rng.lognormal(0, 0.5, size)]).astype(np.float32)


def fitted(needs: Positions, offers: Positions, margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds, linear in the margin, with our benchmark's means for a need's best and tenth offer."""
    best, tenth = (margin[place(needs, offers, margin, k)].mean() for k in (1, 10))
    slope = (BEST - TENTH) / (best - tenth)
    return np.asarray(BEST + slope * (margin - best))


def place(groups: Positions, others: Positions, scores: NDArray[np.float64], k: int) -> Chosen:
    """Which pairs are the `k`-th best of their group."""
    chosen = best_of_each(groups, others, scores, k)
    return chosen & ~best_of_each(groups, others, scores, k - 1) if k > 1 else chosen


def owners(rng: np.random.Generator, size: int) -> Positions:
    """An organisation for each listing, sizes by Zipf's law."""
    shares = 1 / np.arange(1, max(1, size // 4) + 1)
    return np.asarray(rng.choice(len(shares), size, p=shares / shares.sum()), np.int64)


def likeness(scene: Scene) -> str:
    """A table row of the market's log-odds and hubs, to compare the generated with the real."""
    pairs = scene.pairs
    means = (pairs.log_odds[place(pairs.needs, pairs.offers, pairs.log_odds, k)].mean() for k in (1, 2, 5, 10, 50))
    worthy = pairs.worth(scene.threshold) >= 0
    counts = [
        np.bincount(of[worthy], minlength=len(owner))
        for of, owner in ((pairs.needs, pairs.need_owner), (pairs.offers, pairs.offer_owner))
    ]
    spread = " | ".join(
        f"{c.mean():.1f} ({', '.join(f'{q:,.0f}' for q in np.quantile(c, [0.1, 0.5, 0.9, 1]))}) | {gini(c):.2f}"
        for c in counts
    )
    top = best_of_each(pairs.needs, pairs.offers, pairs.log_odds, 10)
    occurrences = np.bincount(pairs.offers[top], minlength=len(pairs.offer_owner)).astype(float)
    skew = ((occurrences - occurrences.mean()) ** 3).mean() / occurrences.std() ** 3
    return f"| {scene.name} | " + " | ".join(f"{m:.2f}" for m in means) + f" | {spread} | {skew:.1f} |"
