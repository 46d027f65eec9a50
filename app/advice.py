"""Advice on a listing, also while it is being written: hints, listings that say the same, fields. Nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from app import listings
from app.access import Principal
from app.hints import Hint, hints
from app.likeness import Alike, Closely
from app.queries import listings as queries
from app.record import Record, as_listing, read_record
from app.results import Results
from app.search import Live
from app.snapshot import LIKELY, Sight
from app.tables import ListingRow, OrganisationRow
from matching import FIELDS, Listing

DUPLICATES = 10  # shown, at most


@dataclass(frozen=True, slots=True)
class Draft:
    """A text to advise on: its record and listing, whose it is and which listing it is or will replace, if known.

    `stated_by` is author or manager: whose fields the listing carries. `same`: listings of the very same text.
    """

    record: Mapping[str, Any]
    listing: Listing
    owner: str | None
    stated_by: str | None
    same: tuple[ListingRow, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A listing that says the same; `identical` when to the letter, `own` when of the same organisation."""

    listing: Listing
    similarity: float
    identical: bool
    own: bool


@dataclass(frozen=True, slots=True)
class FieldAdvice:
    """What the classifier gives a field (None without one), who states it (author, manager), whether it fits."""

    field: str
    probability: float | None
    stated_by: str | None
    suggested: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """All three, each the most important first; fields in their own order."""

    hints: tuple[Hint, ...]
    near_duplicates: tuple[Duplicate, ...]
    fields: tuple[FieldAdvice, ...]


def draft(session: Session, who: Principal, record: Record, owner: OrganisationRow | None, replaces: str) -> Draft:
    """A text that is not stored. `replaces`: the id of the listing that it is to revise, or empty; a reference tells
    it too. Raises InvalidListing, NotFound, Forbidden."""
    present = listings.owned(session, who, replaces) if replaces else _by_reference(session, owner, record)
    if owner is not None and not record.get("country") and not record.get("region"):
        record = {**record, "country": owner.country, "region": owner.region}
    listing = replace(read_record(record), id=present.id if present is not None else "")
    same = queries.same_text(session, who, listing.side, listing.text_hash, listing.id, DUPLICATES)
    stated_by = "author" if listing.fields else None
    return Draft(record, listing, owner.id if owner is not None else None, stated_by, tuple(same))


def draft_of(session: Session, who: Principal, row: ListingRow) -> Draft:
    """A listing as it is stored."""
    listing = listings.listing_of(row)
    same = queries.same_text(session, who, row.side, row.text_hash, row.id, DUPLICATES)
    by = "manager" if row.corrected_fields is not None else "author"
    return Draft(row.record, listing, row.organisation_id, by if listing.fields else None, tuple(same))


def advise(live: Live, who: Principal, one: Draft) -> Advice:
    """What would make a listing findable, and what is there already. Raises NotReady."""
    return _advice(one, live.closely(one.listing, DUPLICATES, Sight(who)))


def preview(live: Live, who: Principal, one: Draft, limit: int) -> tuple[Advice, Results]:
    """The same, and what would answer the listing if it were posted as it is. Raises NotReady."""
    closely, results = live.tried(one.listing, DUPLICATES, Sight(who), limit, Sight(who, without=one.owner))
    return _advice(one, closely), results


def _advice(one: Draft, closely: Closely) -> Advice:
    return Advice(
        hints=tuple(hints(one.record, one.listing)),
        near_duplicates=tuple(_duplicates(one, closely.alike)[:DUPLICATES]),
        fields=tuple(_fields(one, closely)),
    )


def _by_reference(session: Session, owner: OrganisationRow | None, record: Record) -> ListingRow | None:
    reference = record.get("reference")
    return queries.by_reference(session, owner.id, reference) if owner is not None and reference else None


def _duplicates(one: Draft, alike: Sequence[Alike]) -> list[Duplicate]:
    identical = {row.id for row in one.same}
    exact = [
        Duplicate(as_listing(row.record, row.id), 1.0, identical=True, own=row.organisation_id == one.owner)
        for row in one.same
    ]
    near = [
        Duplicate(near.listing, round(near.similarity, 4), identical=False, own=near.organisation_id == one.owner)
        for near in alike
        if near.listing.id not in identical
    ]
    return exact + near


def _fields(one: Draft, closely: Closely) -> list[FieldAdvice]:
    guessed = closely.fields or {}
    return [
        FieldAdvice(
            field=name,
            probability=guessed.get(name),
            stated_by=one.stated_by if name in one.listing.fields else None,
            suggested=guessed.get(name, 0.0) >= LIKELY,
        )
        for name in FIELDS
    ]
