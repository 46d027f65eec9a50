"""What people do with listings: post, revise, moderate, withdraw, renew, let them expire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from app import events, pairings
from app.access import SYSTEM, Permission, Principal, check_holds, discloses
from app.db import add_after
from app.errors import Conflict, FieldError, Forbidden, NotFound, Unusable, VersionMismatch
from app.events import Audience
from app.queries import listings as queries
from app.record import Disclosure, Record, as_listing, read_record, stored
from app.tables import ListingRow, ListingVersionRow, OrganisationRow
from matching import FIELDS, Listing

LIFETIME = timedelta(days=365)
EXTENSION = timedelta(days=365)
NOTICE = timedelta(days=30)
UNTITLED = 100  # characters of its text that stand for the title of a listing without one


class Status(StrEnum):
    """Where a listing stands. Only published ones are found and proposed."""

    SUBMITTED = "submitted"
    RETURNED = "returned"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Posted:
    """A listing as it is after a post, and whether the post made it or changed its text."""

    row: ListingRow
    created: bool
    changed: bool


def post_listing(
    session: Session,
    who: Principal,
    owner: OrganisationRow,
    record: Record,
    now: datetime,
    known: Mapping[str, ListingRow] | None = None,
) -> Posted:
    """Store a listing of `owner`, or bring the one of that reference to this text. Raises InvalidListing, NotFound.

    Of an organisation that is not trusted it waits for a manager, unless one posts it. `known`: the owner's listings by
    reference, where many are posted and have been looked up together.
    """
    check_holds(who, owner.id, owner.node_id, f"organisation {owner.id!r:.220}")
    record, listing, row = _compared(session, owner, record, known)
    if row is None:
        return Posted(_create(session, who, owner, record, listing, now), created=True, changed=True)
    if _stands(row, record):
        return Posted(row, created=False, changed=False)
    _rewrite(session, who, owner, row, record, listing, now)
    return Posted(row, created=False, changed=True)


def foreseen(session: Session, owner: OrganisationRow, record: Record, known: Mapping[str, ListingRow]) -> str:
    """What posting a record would come to: new, changed or unchanged. Raises what post_listing would."""
    record, listing, row = _compared(session, owner, record, known)
    if row is None:
        return "new"
    if _stands(row, record):
        return "unchanged"
    _check_side(row, listing)
    return "changed"


def revise(session: Session, who: Principal, row: ListingRow, record: Record, revision: int, now: datetime) -> Posted:
    """Give a listing a new text; `revision` is the one that was read. Raises VersionMismatch, InvalidListing."""
    owner = queries.owner(session, row)
    check_revision(row, revision)
    record = completed(record, owner)
    listing = read_record(record)
    record = stored(record, listing)
    if record.get("reference") != row.reference:
        raise Unusable("reference: a listing keeps its own", [FieldError("reference", f"must be {row.reference!r}")])
    if row.record == record:
        return Posted(row, created=False, changed=False)
    _rewrite(session, who, owner, row, record, listing, now)
    return Posted(row, created=False, changed=True)


def readable(session: Session, who: Principal, listing_id: str) -> ListingRow:
    """One listing that `who` may read. Raises NotFound."""
    row = session.get(ListingRow, listing_id)
    if row is None or not may_read(who, row, queries.owner(session, row).node_id):
        raise NotFound(f"there is no listing {listing_id!r:.220}")
    return row


def owned(session: Session, who: Principal, listing_id: str) -> ListingRow:
    """One listing that is the principal's to change. Raises NotFound, and Forbidden for one it may only read."""
    row = readable(session, who, listing_id)
    if not who.holds(row.organisation_id, queries.owner(session, row).node_id):
        raise Forbidden("this listing belongs to another organisation")
    return row


def may_read(who: Principal, row: ListingRow, node_id: str) -> bool:
    """Published listings as far as they are disclosed; one's own always. `queries.listings.readable` is the same."""
    return who.holds(row.organisation_id, node_id) or (
        row.status == Status.PUBLISHED and discloses(row.disclosure, who)
    )


def publish(session: Session, row: ListingRow, now: datetime) -> None:
    """A manager's yes to a listing that waits. Raises Conflict for one that does not."""
    _expect(row, Status.SUBMITTED, Status.RETURNED)
    _set_published(session, row, now)


def give_back(session: Session, row: ListingRow, reason: str, now: datetime) -> None:
    """A manager's no: the author is told the reason and may revise. Raises Conflict."""
    _expect(row, Status.SUBMITTED, Status.PUBLISHED)
    _leave(session, row, Status.RETURNED, "listing.withdrawn", now)
    row.returned_reason = reason
    _tell_owner(session, row, "listing.returned", now, reason=reason)


def withdraw(session: Session, row: ListingRow, now: datetime) -> None:
    """Take a listing out; it is found and proposed no more. Posting it again brings it back. Raises Conflict."""
    _expect(row, Status.SUBMITTED, Status.RETURNED, Status.PUBLISHED, Status.EXPIRED)
    _leave(session, row, Status.WITHDRAWN, "listing.withdrawn", now)
    pairings.close_for(session, SYSTEM, row, pairings.Action.WITHDRAW, now)


def renew(session: Session, row: ListingRow, now: datetime) -> None:
    """The one extension: another year from the day it would have ended, or from now. Raises Conflict for a second."""
    _expect(row, Status.PUBLISHED, Status.EXPIRED)
    if row.extended:
        raise Conflict("the listing has had its one extension; revise it to post it anew")
    row.expires_at = max(row.expires_at or now, now) + EXTENSION
    row.extended, row.notice_given = True, False
    if row.status == Status.EXPIRED:
        _set_published(session, row, now, keep_end=True)
    else:
        _written(session, row, now)


def correct_fields(session: Session, row: ListingRow, fields: list[str] | None, now: datetime) -> None:
    """A manager's fields in place of the author's; None takes them back."""
    wrong = [field for field in fields or [] if field not in FIELDS]
    if wrong:
        fix = f"{wrong[0]!r:.40} is not one of {', '.join(FIELDS)}"
        raise Unusable(f"fields: {fix}", [FieldError("fields", fix)])
    row.corrected_fields = fields
    describe(row)
    _written(session, row, now)


def expire(session: Session, now: datetime) -> int:
    """End the listings whose time is over, and give notice of those that end soon. How many ended."""
    ended = 0
    for row in queries.ending(session, now + NOTICE):
        if row.expires_at is not None and row.expires_at <= now:
            _leave(session, row, Status.EXPIRED, "listing.expired", now)
            pairings.close_for(session, SYSTEM, row, pairings.Action.LAPSE, now)
            ended += 1
        elif not row.notice_given:
            row.notice_given = True
            session.add(row)
            _tell_owner(session, row, "listing.expiring", now)
    return ended


def listing_of(row: ListingRow) -> Listing:
    """The listing as the matching sees it, with a manager's fields where there are some."""
    listing = as_listing(row.record, row.id)
    return listing if row.corrected_fields is None else replace(listing, fields=tuple(row.corrected_fields))


def describe(row: ListingRow) -> None:
    """Bring the columns that lists are narrowed by to what the record and a manager's correction say."""
    listing = listing_of(row)
    row.country = listing.country
    row.field_codes = f"|{'|'.join(listing.fields)}|" if listing.fields else ""
    row.title_folded = (listing.title or listing.body[:UNTITLED]).casefold()


def check_revision(row: ListingRow, revision: int) -> None:
    """Raises VersionMismatch where somebody has changed the listing since that revision."""
    if row.revision != revision:
        raise VersionMismatch("the listing has been changed since; read it again")


def completed(record: Record, owner: OrganisationRow) -> Record:
    """What a record leaves open about its organisation."""
    given = {key: value for key, value in record.items() if value is not None}
    place = {} if "country" in given or "region" in given else {"country": owner.country, "region": owner.region}
    facts = {"organisation": owner.name, **place}
    return {**{key: value for key, value in facts.items() if value is not None}, **given}


def _create(
    session: Session, who: Principal, owner: OrganisationRow, record: Record, listing: Listing, now: datetime
) -> ListingRow:
    row = ListingRow(
        organisation_id=owner.id,
        reference=record.get("reference"),
        side=listing.side,
        status=Status.SUBMITTED,
        record=record,
        text_hash=listing.text_hash,
        created_at=now,
        updated_at=now,
    )
    _take_over(session, who, row, record, listing, now)
    _submit(session, who, owner, row, now)
    return row


def _rewrite(
    session: Session,
    who: Principal,
    owner: OrganisationRow,
    row: ListingRow,
    record: Record,
    listing: Listing,
    now: datetime,
) -> None:
    _check_side(row, listing)
    row.version += 1
    _take_over(session, who, row, record, listing, now)
    _submit(session, who, owner, row, now)


def _compared(
    session: Session, owner: OrganisationRow, record: Record, known: Mapping[str, ListingRow] | None
) -> tuple[Record, Listing, ListingRow | None]:
    """A record checked and as it is kept, and the owner's listing of that reference."""
    whole = completed(record, owner)
    listing = read_record(whole)
    record = stored(whole, listing)
    reference = record.get("reference")
    if reference is None:
        return record, listing, None
    row = known.get(reference) if known is not None else queries.by_reference(session, owner.id, reference)
    return record, listing, row


def _stands(row: ListingRow, record: Record) -> bool:
    return row.record == record and row.status not in (Status.WITHDRAWN, Status.EXPIRED)


def _check_side(row: ListingRow, listing: Listing) -> None:
    if listing.side != row.side:
        fix = f"the listing is and stays {row.side!r}; post another one under another reference"
        raise Unusable(f"side: {fix}", [FieldError("side", fix)])


def _take_over(
    session: Session, who: Principal, row: ListingRow, record: Record, listing: Listing, now: datetime
) -> None:
    """Put a text into its row and among the versions."""
    row.record, row.text_hash = record, listing.text_hash
    row.disclosure = record.get("disclosure", Disclosure.PUBLIC)
    row.sample = record.get("sample") is True
    describe(row)
    session.add(row)
    version = {"listing_id": row.id, "version": row.version, "record": record, "actor": who.label, "at": now}
    add_after(session, ListingVersionRow, **version)


def _submit(session: Session, who: Principal, owner: OrganisationRow, row: ListingRow, now: datetime) -> None:
    """Publish at once what needs no moderation."""
    if owner.trusted or Permission.MODERATE in who.permissions:
        _set_published(session, row, now)
    elif row.status == Status.PUBLISHED:
        _leave(session, row, Status.SUBMITTED, "listing.withdrawn", now)
    else:
        row.status, row.returned_reason = Status.SUBMITTED, None
        _written(session, row, now)


def _set_published(session: Session, row: ListingRow, now: datetime, *, keep_end: bool = False) -> None:
    again = row.status == Status.PUBLISHED
    row.status, row.returned_reason = Status.PUBLISHED, None
    if not again:
        row.published_at = now
        if not keep_end:
            row.expires_at, row.extended, row.notice_given = now + LIFETIME, False, False
    _written(session, row, now)
    if row.disclosure == Disclosure.INTRODUCTION:
        if again:
            _tell_platform(session, row, "listing.withdrawn", now)
    else:
        _tell_platform(session, row, "listing.revised" if again else "listing.published", now)
    _tell_owner(session, row, "listing.revised" if again else "listing.published", now)


def _leave(session: Session, row: ListingRow, status: Status, kind: str, now: datetime) -> None:
    """Out of the published ones, if it was among them."""
    was_published = row.status == Status.PUBLISHED
    row.status, row.returned_reason = status, None
    _written(session, row, now)
    if was_published and row.disclosure != Disclosure.INTRODUCTION:
        _tell_platform(session, row, kind, now)
    if kind in ("listing.withdrawn", "listing.expired") and status in (Status.WITHDRAWN, Status.EXPIRED):
        _tell_owner(session, row, kind, now)


def _written(session: Session, row: ListingRow, now: datetime) -> None:
    row.updated_at = now
    row.revision = queries.next_revision(session)
    session.add(row)


def _tell_platform(session: Session, row: ListingRow, kind: str, now: datetime) -> None:
    events.emit(session, Audience.INFORMATION, kind, row.id, public_facts(row, kind), now)


def _tell_owner(session: Session, row: ListingRow, kind: str, now: datetime, **more: Any) -> None:
    data = {"listing": row.id, "reference": row.reference, "status": row.status, "version": row.version, **more}
    events.emit(session, Audience.ORGANISATION, kind, row.id, data, now, row.organisation_id)


def public_facts(row: ListingRow, kind: str) -> dict[str, Any]:
    """What the information platform is told: the whole listing, or only that it is gone."""
    if kind in ("listing.withdrawn", "listing.expired"):
        return {"id": row.id, "version": row.version}
    return {"id": row.id, "version": row.version, "disclosure": row.disclosure, **row.record}


def _expect(row: ListingRow, *statuses: Status) -> None:
    if row.status not in statuses:
        raise Conflict(f"the listing is {row.status}; this can be done with one that is {' or '.join(statuses)}")
