"""Whether two listings of one side say the same, also in two languages; decision 0017 has the measurements.

Within a language a copy stays very near, and the cosine of the whole texts tells. A translation comes out much less
near, by how much depends on the two languages; there whole text, title and aligned passages tell it together from what
is merely related.
"""

from __future__ import annotations

import numpy as np

from matching.market import Market, Stand

SAME = 0.70  # cosine of the whole texts from which on two listings of one language say the same
SAME_ABROAD = 0.42  # likeness from which on two listings of two languages do
FLOOR = 0.35  # cosine of the whole texts below which nothing is looked at more closely
FIRST_LOOK = 20  # nearest that are asked for; more where all of them are above the floor


def likeness(left: Stand, i: int, right: Stand, j: int) -> float:
    """How much two listings say the same, at most 1: in one language the cosine of the whole texts, in two its mean
    with those of the titles, where both have one, and of the passages, each with the nearest of the other."""
    whole = float(left.vectors[i] @ right.vectors[j])
    if left.languages[i] == right.languages[j]:
        return whole
    parts = [whole, _aligned(left, i, right, j)]
    if left.has_title[i] and right.has_title[j]:
        parts.append(float(left.titles[i] @ right.titles[j]))
    return float(np.mean(parts))


def says_the_same(left: Stand, i: int, right: Stand, j: int) -> bool:
    """Whether the likeness of two listings is that of a copy or a translation."""
    one_language = left.languages[i] == right.languages[j]
    return likeness(left, i, right, j) >= (SAME if one_language else SAME_ABROAD)


def alike(market: Market, query: Stand) -> list[tuple[str, float]]:
    """Ids and likeness of all listings of a market that say the same as the one listing in `query`, on its side."""
    side = query.listings[0].side
    other, depth = market.stands[side], FIRST_LOOK
    while len(other):
        hits = market.indexes[side].search(query.vectors, min(depth, len(other)))[0]
        if depth >= len(other) or hits[-1][1] < FLOOR:
            near = [other.position[name] for name, score in hits if score >= FLOOR]
            same = [j for j in near if says_the_same(query, 0, other, j)]
            return [(other.listings[j].id, likeness(query, 0, other, j)) for j in same]
        depth *= 4
    return []


def _aligned(left: Stand, i: int, right: Stand, j: int) -> float:
    scores = left.passage_vectors(i) @ right.passage_vectors(j).T
    return float(scores.max(axis=0).mean() + scores.max(axis=1).mean()) / 2
