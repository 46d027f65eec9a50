"""Why a pairing: the sentences of the two texts that speak to each other, each in its own language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matching.encoder import Vectors

MOST = 3
LEAST_SIMILARITY = 0.15  # centred cosine; below it two sentences have nothing to do with each other


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sentence of the offer, one of the need, and the cosine of their language-free vectors."""

    offer: str
    need: str
    similarity: float


def align(offer: Sequence[str], need: Sequence[str], similarities: Vectors) -> tuple[Evidence, ...]:
    """The best-aligned windows, best first, each used once (greedy one-to-one alignment).

    `similarities` has shape (len(offer), len(need)). Nothing is returned where nothing is similar.
    """
    order = sorted(
        ((float(similarities[i, j]), i, j) for i in range(len(offer)) for j in range(len(need))),
        key=lambda cell: (-cell[0], cell[1], cell[2]),
    )
    used_offer: set[int] = set()
    used_need: set[int] = set()
    found: list[Evidence] = []
    for similarity, i, j in order:
        if similarity < LEAST_SIMILARITY or len(found) == MOST:
            break
        if i not in used_offer and j not in used_need:
            used_offer.add(i)
            used_need.add(j)
            found.append(Evidence(offer[i], need[j], round(similarity, 4)))
    return tuple(found)
