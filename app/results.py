"""What a search answers, and to whom: of all that matches, what the one who asks may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.db import Database
from app.listings import listing_of
from app.queries import listings as queries
from app.snapshot import LIKELY, Holder, Sight, Snapshot
from app.tables import ListingRow
from matching import FIELDS, Embedding, Listing, Models, Objection, Pairing, Side, answers, refused


@dataclass(frozen=True, slots=True)
class Found:
    """One result: the listing on the other side, its detected language, the fields it speaks of, and the pairing."""

    listing: Listing
    language: str
    fields: tuple[str, ...]
    pairing: Pairing


@dataclass(frozen=True, slots=True)
class Results:
    """Results, best first; the language of what was asked with; the probability from which a match is good."""

    items: tuple[Found, ...]
    language: str
    threshold: float


def ranked(
    models: Models,
    database: Database,
    snapshot: Snapshot,
    listing: Listing,
    embedding: Embedding,
    limit: int,
    sight: Sight,
) -> Results:
    """Answers from the base and from what was written since, which replaces what the base holds under its ids.

    What has been withdrawn, or is no longer shown, since the snapshot was made is left out.
    """
    pairings = answers(snapshot.base.market, listing, embedding, limit, parts=snapshot.parts(sight))
    names = [one.offer if listing.side is Side.NEED else one.need for one in pairings]
    held = {name: listing_of(row) for name, row in shown_rows(database, names, sight).items()}
    traits = _traits(snapshot, [name for name in names if name in held], listing.side.opposite)
    items = [
        Found(held[name], *traits[name], pairing) for name, pairing in zip(names, pairings, strict=True) if name in held
    ]
    return Results(tuple(items), embedding.language, models.fusion.threshold)


@dataclass(frozen=True, slots=True)
class Missed:
    """A listing of the other side that is near, and what stands against the pairing."""

    listing: Listing
    language: str
    probability: float
    objection: Objection


def missed(
    database: Database, snapshot: Snapshot, listing: Listing, embedding: Embedding, limit: int, sight: Sight
) -> list[Missed]:
    """What is near and no answer, for the terms of either side or the direction; the most probable first."""
    found = refused(snapshot.base.market, listing, embedding, limit, parts=snapshot.parts(sight))
    held = {name: listing_of(row) for name, row in shown_rows(database, [one.id for one in found], sight).items()}
    traits = _traits(snapshot, list(held), listing.side.opposite)
    return [Missed(held[one.id], traits[one.id][0], one.probability, one.objection) for one in found if one.id in held]


def shown_rows(database: Database, ids: Collection[str], sight: Sight) -> dict[str, ListingRow]:
    """Those of the listings, as they are now, that are published and shown; by id."""
    with database.reading() as session:
        rows = queries.by_ids(session, ids)
    return {
        name: row
        for name, (row, node_id) in rows.items()
        if row.status == "published" and sight.shows(Holder(row.organisation_id, node_id, row.disclosure))
    }


def _traits(snapshot: Snapshot, names: list[str], side: Side) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The detected language of each listing and the fields that it speaks of."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for market in [snapshot.base.market, *([snapshot.tail] if snapshot.tail is not None else [])]:
        stand = market.stands[side]
        for name, at in zip(names, stand.find(names), strict=True):
            if at >= 0:
                spoken_of = tuple(FIELDS[i] for i in (stand.fields[at] >= LIKELY).nonzero()[0])
                found[name] = str(stand.languages[at]), spoken_of
    return found
