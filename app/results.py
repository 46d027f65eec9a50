"""What a search answers, and to whom: of all that matches, what the one who asks may see."""

from __future__ import annotations

from dataclasses import dataclass

from app.access import Principal, discloses
from app.snapshot import Holder, Snapshot
from matching import Embedding, Listing, Models, Pairing, Side, answers


@dataclass(frozen=True, slots=True)
class Found:
    """One result: the listing on the other side, its detected language, and the pairing."""

    listing: Listing
    language: str
    pairing: Pairing


@dataclass(frozen=True, slots=True)
class Sight:
    """Which of the published listings `who` is shown; those of the organisation `without` are left out."""

    who: Principal
    without: str | None = None

    def shows(self, holder: Holder) -> bool:
        if holder.organisation_id == self.without:
            return False
        return discloses(holder.disclosure, self.who) or self.who.holds(holder.organisation_id, holder.node_id)


@dataclass(frozen=True, slots=True)
class Results:
    """Results, best first; the language of what was asked with; the probability from which a match is good."""

    items: tuple[Found, ...]
    language: str
    threshold: float


def ranked(
    models: Models, snapshot: Snapshot, listing: Listing, embedding: Embedding, limit: int, sight: Sight
) -> Results:
    """Answers from the base and from what was written since, which replaces what the base holds under its ids.

    Where listings are not shown to who asks, more are asked for until there are enough.
    """
    wanted = limit
    while True:
        market = snapshot.base.market
        pairings = answers(market, listing, embedding, wanted, tail=snapshot.tail, replaced=snapshot.written)
        shown = [found for pairing in pairings if (found := _found(snapshot, listing, pairing, sight)) is not None]
        if len(shown) >= limit or len(pairings) < wanted:
            return Results(tuple(shown[:limit]), embedding.language, models.fusion.threshold)
        wanted *= 4


def _found(snapshot: Snapshot, listing: Listing, pairing: Pairing, sight: Sight) -> Found | None:
    """A pairing with its other listing, if that is shown and is not the listing itself."""
    other = snapshot.listing(pairing.offer if listing.side is Side.NEED else pairing.need)
    assert other is not None
    if not sight.shows(snapshot.holder(other.id)):
        return None
    met = snapshot.embedding(other.text_hash)
    assert met is not None
    return Found(other, met.language, pairing)
