"""A pairing: an offer and a need, how probable it is that a manager would introduce them, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.evidence import Evidence, align
from matching.scoring import Fusion
from matching.stand import Positions, Stand
from matching.terms import Direction, direction_of

Ranks = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Pairing:
    """`parts` are log-odds that add up to those of `probability`. A rank is None where it was not computed."""

    offer: str
    need: str
    rank_for_need: int | None
    rank_for_offer: int | None
    probability: float
    parts: dict[str, float]
    evidence: tuple[Evidence, ...]
    direction: Direction | None

    def to_record(self) -> dict[str, Any]:
        """The line of `docs/formats.md`."""
        return {
            "offer": self.offer,
            "need": self.need,
            "rank_for_need": self.rank_for_need,
            "rank_for_offer": self.rank_for_offer,
            "probability": self.probability,
            "parts": self.parts,
            "evidence": [{"offer": e.offer, "need": e.need, "similarity": e.similarity} for e in self.evidence],
            "direction": str(self.direction) if self.direction is not None else None,
        }


def explained(
    fusion: Fusion,
    offers: Stand,
    o: Positions,
    needs: Stand,
    n: Positions,
    features: NDArray[np.float64],
    ranks: Sequence[Ranks],
) -> list[Pairing]:
    """The pairings of the offers `o` and the needs `n`, paired, from their features; `ranks` for need and for offer."""
    distinct_o, own_o = np.unique(o, return_inverse=True)
    distinct_n, own_n = np.unique(n, return_inverse=True)
    of_offers, of_needs = offers.passages(distinct_o.tolist()), needs.passages(distinct_n.tolist())
    probabilities = fusion.probabilities(features)
    pairings = []
    for i in range(len(o)):
        (told, told_vectors), (asked, asked_vectors) = of_offers[int(own_o[i])], of_needs[int(own_n[i])]
        pairings.append(
            Pairing(
                offer=offers.id(o[i]),
                need=needs.id(n[i]),
                rank_for_need=ranks[i][0],
                rank_for_offer=ranks[i][1],
                probability=float(f"{probabilities[i]:.6g}"),
                parts=fusion.parts(features[i]),
                evidence=align(told, asked, told_vectors @ asked_vectors.T),
                direction=direction_of(int(offers.conditions.places[o[i]]), int(needs.conditions.places[n[i]])),
            )
        )
    return pairings
