"""What people do with listings: post one, read them, bring in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session

from app import queries
from app.db import Database
from app.errors import NotFound
from app.files import LineProblem, Record, read_listing_file, read_record
from app.tables import ListingRow
from matching import Listing

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import went: listings new, changed and as they were, lines left out, warnings."""

    new: int
    changed: int
    unchanged: int
    problems: tuple[LineProblem, ...]
    warnings: tuple[LineProblem, ...]


def utc_now() -> datetime:
    """Now, in UTC, without a zone: as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def post_listing(session: Session, record: Record, now: datetime) -> tuple[ListingRow, bool]:
    """Store a listing, or update the one of that id. Returns it and whether it is new.

    Raises InvalidListing. Vectors are made when the next search needs them.
    """
    return _store(session, read_record(record), record, now)


def get_listing(session: Session, listing_id: str) -> ListingRow:
    """One listing. Raises NotFound."""
    row = queries.listing(session, listing_id)
    if row is None:
        raise NotFound(f"there is no listing {listing_id!r:.220}")
    return row


def import_listings(database: Database, path: Path, clock: Clock = utc_now) -> Imported:
    """Bring in a JSONL file in one transaction; bad lines are left out and reported. Raises Unusable."""
    file = read_listing_file(path)
    new = changed = 0
    now = clock()
    with database.session() as session:
        for listing, record in zip(file.listings, file.records, strict=True):
            row, created = _store(session, listing, record, now)
            new += created
            changed += not created and row.updated_at == now
    unchanged = len(file.listings) - new - changed
    return Imported(new, changed, unchanged, tuple(file.problems), tuple(file.warnings))


def _store(session: Session, listing: Listing, record: Record, now: datetime) -> tuple[ListingRow, bool]:
    """A record that says the same as before leaves its row as it was."""
    row = queries.listing(session, listing.id)
    created = row is None
    if row is not None and row.record == record:
        return row, False
    if row is None:
        row = ListingRow(id=listing.id, side=listing.side, record=record, text_hash="", created_at=now, updated_at=now)
    row.side, row.record, row.text_hash, row.updated_at = listing.side, record, listing.text_hash, now
    row.sample = record.get("sample") is True
    row.revision = queries.next_revision(session)
    session.add(row)
    return row, created
