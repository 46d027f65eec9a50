"""A pairing: an offer and a need, how probable it is that a manager would introduce them, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.evidence import Evidence, align
from matching.market import Stand
from matching.scoring import Fusion
from matching.terms import Direction, direction

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
    fusion: Fusion, offers: Stand, o: int, needs: Stand, n: int, features: NDArray[np.float64], ranks: Ranks
) -> Pairing:
    """The pairing of offer `o` and need `n` from their features; `ranks` for the need and for the offer."""
    similarities = offers.passage_vectors(o) @ needs.passage_vectors(n).T
    return Pairing(
        offer=offers.listings[o].id,
        need=needs.listings[n].id,
        rank_for_need=ranks[0],
        rank_for_offer=ranks[1],
        probability=float(f"{fusion.probabilities(features[None, :])[0]:.6g}"),
        parts=fusion.parts(features),
        evidence=align(offers.passages[o], needs.passages[n], similarities),
        direction=direction(offers.listings[o], needs.listings[n]),
    )
