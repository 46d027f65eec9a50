"""Whether two listings of one side say the same, also in two languages; decision 0017 has the measurements.

Within a language a copy stays very near, and the cosine of the whole texts tells. A translation comes out much less
near, by how much depends on the two languages; there whole text, title and aligned passages tell it together from what
is merely related.
"""

from __future__ import annotations

import numpy as np

from matching.embedding import Kept
from matching.market import Market
from matching.stand import Stand

SAME = 0.70  # cosine of the whole texts from which on two listings of one language say the same
SAME_ABROAD = 0.42  # likeness from which on two listings of two languages do
FLOOR = 0.35  # cosine of the whole texts below which nothing is looked at more closely
FIRST_LOOK = 20  # nearest that are asked for; more where all of them are above the floor


def likeness(left: Stand, i: int, right: Stand, j: int) -> float:
    """How much two listings say the same, at most 1: in one language the cosine of the whole texts, in two its mean
    with those of the titles, where both have one, and of the passages, each with the nearest of the other."""
    whole = _cosine(left.vectors[i], right.vectors[j])
    if left.languages[i] == right.languages[j]:
        return whole
    parts = [whole, _aligned(left, i, right, j)]
    if left.has_title[i] and right.has_title[j]:
        parts.append(_cosine(left.titles[i], right.titles[j]))
    return float(np.mean(parts))


def says_the_same(left: Stand, i: int, right: Stand, j: int) -> bool:
    """Whether the likeness of two listings is that of a copy or a translation."""
    one_language = left.languages[i] == right.languages[j]
    return likeness(left, i, right, j) >= (SAME if one_language else SAME_ABROAD)


def alike(market: Market, query: Stand) -> list[tuple[str, float]]:
    """Ids and likeness of all listings of a market that say the same as the one listing in `query`, on its side."""
    other, depth = market.stands[query.side], FIRST_LOOK
    while len(other):
        found = market.stores[query.side].search(query.vectors.astype(np.float32), min(depth, len(other)))
        positions, scores = found.positions[0], found.scores[0]
        if depth >= len(other) or scores[-1] < FLOOR:
            near = [int(j) for j, score in zip(positions, scores, strict=True) if j >= 0 and score >= FLOOR]
            return [(other.id(j), likeness(query, 0, other, j)) for j in near if says_the_same(query, 0, other, j)]
        depth *= 4
    return []


def _cosine(left: Kept, right: Kept) -> float:
    return float(left.astype(np.float32) @ right.astype(np.float32))


def _aligned(left: Stand, i: int, right: Stand, j: int) -> float:
    (_, ours), (_, theirs) = left.passages([i])[0], right.passages([j])[0]
    scores = ours @ theirs.T
    return float(scores.max(axis=0).mean() + scores.max(axis=1).mean()) / 2
