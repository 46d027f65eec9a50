"""What the live search holds in memory of the database at one revision: a base and what was written since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from matching import Embedding, Listing, Market


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a published listing is and how far it is disclosed."""

    organisation_id: str
    node_id: str
    disclosure: str


@dataclass(frozen=True, slots=True)
class Base:
    """All published listings at one revision, in a market; `embeddings` by text hash, `space_age` of the kept space."""

    revision: int
    space_age: int
    market: Market
    listings: dict[str, Listing]
    holders: dict[str, Holder]
    embeddings: dict[str, Embedding]
    built_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The listings at one revision: those of a base, and beside them those published since, in `tail`.

    `written`: the ids of all that has been written since, published or not: they hold no longer in the base.
    """

    base: Base
    revision: int
    tail: Market | None
    written: frozenset[str]
    listings: dict[str, Listing]
    holders: dict[str, Holder]
    embeddings: dict[str, Embedding]

    def listing(self, listing_id: str) -> Listing | None:
        """One listing as it is now."""
        return self.listings.get(listing_id) or self.base.listings.get(listing_id)

    def holder(self, listing_id: str) -> Holder:
        """Whose a listing in the search is."""
        return self.holders.get(listing_id) or self.base.holders[listing_id]

    def embedding(self, text_hash: str) -> Embedding | None:
        """The embedding of a text, when a listing has or had it."""
        return self.embeddings.get(text_hash) or self.base.embeddings.get(text_hash)


def alone(base: Base) -> Snapshot:
    """A base that nothing has been written after."""
    return Snapshot(base, base.revision, None, frozenset(), {}, {}, {})
