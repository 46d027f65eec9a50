"""What the live search holds in memory of the database at one revision: a base and what was written since."""

from __future__ import annotations

from dataclasses import dataclass

from matching import Embedding, Listing, Market


@dataclass(frozen=True, slots=True)
class Base:
    """All listings at one revision, in a market; `embeddings` by text hash, `space_age` of the kept language space."""

    revision: int
    space_age: int
    market: Market
    listings: dict[str, Listing]
    embeddings: dict[str, Embedding]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The listings at one revision: those of a base, and beside them those written since, in `tail`."""

    base: Base
    revision: int
    tail: Market | None
    listings: dict[str, Listing]
    embeddings: dict[str, Embedding]

    def listing(self, listing_id: str) -> Listing | None:
        """One listing as it is now."""
        return self.listings.get(listing_id) or self.base.listings.get(listing_id)

    def embedding(self, text_hash: str) -> Embedding | None:
        """The embedding of a text, when a listing has or had it."""
        return self.embeddings.get(text_hash) or self.base.embeddings.get(text_hash)


def alone(base: Base) -> Snapshot:
    """A base that nothing has been written after."""
    return Snapshot(base, base.revision, None, {}, {})
