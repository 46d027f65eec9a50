"""Listings of one side that say the same, and which fields a text speaks of: what `Live` holds, looked at closely."""

from __future__ import annotations

from dataclasses import dataclass

from app.db import Database
from app.listings import listing_of
from app.results import shown_rows
from app.snapshot import Sight, Snapshot
from matching import FIELDS, Embedding, Listing, Models
from matching.likeness import alike
from matching.stand import Stand


@dataclass(frozen=True, slots=True)
class Alike:
    """A published listing that says the same, and how much (`matching.likeness`)."""

    listing: Listing
    organisation_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Closely:
    """The listings that say the same, nearest first, and each field's probability; None without a classifier."""

    alike: tuple[Alike, ...]
    fields: dict[str, float] | None


def read_closely(
    models: Models,
    database: Database,
    snapshot: Snapshot,
    listing: Listing,
    embedding: Embedding,
    sight: Sight,
    limit: int,
) -> Closely:
    """What is said of a listing that need not be published, among those that are shown."""
    stand = Stand.of(listing.side, [listing], [embedding], snapshot.base.market.space, models)
    scores = _near(snapshot, stand, listing)
    rows = shown_rows(database, scores, sight)
    found = [Alike(listing_of(row), row.organisation_id, scores[name]) for name, row in rows.items()]
    found.sort(key=lambda one: (-one.similarity, one.listing.id))
    return Closely(tuple(found[:limit]), fields_of(models, stand))


def _near(snapshot: Snapshot, stand: Stand, listing: Listing) -> dict[str, float]:
    """All of the same side that say the same, but the listing itself and what no longer holds in the base."""
    besides = snapshot.written | {listing.id}
    found = {name: score for name, score in alike(snapshot.base.market, stand) if name not in besides}
    if snapshot.tail is not None:
        found |= {name: score for name, score in alike(snapshot.tail, stand) if name != listing.id}
    return found


def fields_of(models: Models, stand: Stand) -> dict[str, float] | None:
    """What the classifier reads in the text of the one listing in `stand`, whatever the listing states."""
    if models.fields is None:
        return None
    guessed = models.fields.probabilities(stand.vectors.astype("float32"), [stand.words[0]])[0]
    return {name: round(float(value), 4) for name, value in zip(FIELDS, guessed, strict=True)}
