"""Listings, their versions, the revision counter, stored embeddings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.access import Principal, Role
from app.tables import EmbeddingRow, IdempotencyRow, ListingRow, ListingVersionRow, OrganisationRow, RevisionRow

BLOCK = 500  # SQLite takes a limited number of values in one statement


def listing(session: Session, listing_id: str) -> ListingRow | None:
    """One listing, or None."""
    return session.get(ListingRow, listing_id)


def by_reference(session: Session, organisation_id: str, reference: str) -> ListingRow | None:
    """An organisation's listing of that reference."""
    own = select(ListingRow).where(ListingRow.organisation_id == organisation_id, ListingRow.reference == reference)
    return session.exec(own).first()


def by_references(session: Session, organisation_id: str, references: Collection[str]) -> dict[str, ListingRow]:
    """An organisation's listings of those references, by them."""
    wanted, found = sorted(set(references)), dict[str, ListingRow]()
    own = select(ListingRow).where(ListingRow.organisation_id == organisation_id)
    for start in range(0, len(wanted), BLOCK):
        block = own.where(col(ListingRow.reference).in_(wanted[start : start + BLOCK]))
        found.update((str(row.reference), row) for row in session.exec(block))
    return found


def owner(session: Session, row: ListingRow) -> OrganisationRow:
    """The organisation that a listing belongs to."""
    found = session.get(OrganisationRow, row.organisation_id)
    assert found is not None
    return found


def nodes_by_organisation(session: Session) -> dict[str, str]:
    """The node of each organisation, both by id."""
    return dict(session.exec(select(OrganisationRow.id, OrganisationRow.node_id)).all())


def owned(session: Session, organisation_id: str) -> list[ListingRow]:
    """All listings of an organisation, whatever their status, in the order of their ids."""
    chosen = select(ListingRow).where(ListingRow.organisation_id == organisation_id).order_by(col(ListingRow.id))
    return list(session.exec(chosen))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of listings is narrowed to; None and empty narrow nothing."""

    side: str | None = None
    status: str | None = None
    organisation: str | None = None
    country: str | None = None
    field: str | None = None
    language: str | None = None


def page(session: Session, who: Principal, wanted: Wanted, after: str, limit: int) -> list[ListingRow]:
    """The next `limit` listings that `who` may read, after an id, in the order of ids."""
    chosen = select(ListingRow).join(OrganisationRow).where(readable(who), col(ListingRow.id) > after)
    chosen = narrowed(chosen, wanted)
    return list(session.exec(chosen.order_by(col(ListingRow.id)).limit(limit)))


def narrowed(chosen: SelectOfScalar[ListingRow], wanted: Wanted) -> SelectOfScalar[ListingRow]:
    """A selection of listings with what is wanted of them."""
    for column, value in ((ListingRow.side, wanted.side), (ListingRow.status, wanted.status)):
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.organisation is not None:
        chosen = chosen.where(ListingRow.organisation_id == wanted.organisation)
    return chosen.where(*told(wanted))


def told(wanted: Wanted, listing: type[ListingRow] = ListingRow) -> Iterator[ColumnElement[bool]]:
    """What a listing says of itself. A language stands in the record as its author wrote it, in either case."""
    if wanted.country is not None:
        yield col(listing.country) == wanted.country.upper()
    if wanted.language is not None:
        tag, primary = func.lower(col(listing.record)["language"].as_string()), wanted.language.lower()
        yield or_(tag == primary, tag.startswith(f"{primary}-", autoescape=True))
    if wanted.field is not None:
        yield has_field(listing, wanted.field)


def owned_by(organisations: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a listing's owner is one of these, as a condition that needs no join."""
    return col(ListingRow.organisation_id).in_(select(OrganisationRow.id).where(organisations))


def has_field(listing: type[ListingRow], name: str) -> ColumnElement[bool]:
    """Whether that very field counts for a listing, whatever a database thinks of capitals."""
    codes = col(listing.field_codes)
    return func.replace(codes, f"|{name}|", "") != codes


def readable(who: Principal) -> ColumnElement[bool]:
    """Which listings (joined with their organisations) `who` may read: `app.listings.may_read`, as a condition."""
    shown = ["public"] if who.role is Role.PUBLIC else ["public", "registered"]
    open_to_all = and_(col(ListingRow.status) == "published", col(ListingRow.disclosure).in_(shown))
    if who.sees_all:
        return true()
    if who.role is Role.PARTNER:
        return or_(open_to_all, col(ListingRow.organisation_id) == who.organisation)
    return or_(open_to_all, col(OrganisationRow.node_id).in_(sorted(who.nodes or ())))


def same_text(
    session: Session, who: Principal, side: str, text_hash: str, besides: str | None, limit: int
) -> list[ListingRow]:
    """Listings of that side with the very same text that `who` may read and that are not over, by id."""
    present = col(ListingRow.status).in_(["submitted", "returned", "published"])
    chosen = select(ListingRow).join(OrganisationRow).where(readable(who), present, ListingRow.side == side)
    chosen = chosen.where(ListingRow.text_hash == text_hash, col(ListingRow.id) != (besides or ""))
    return list(session.exec(chosen.order_by(col(ListingRow.id)).limit(limit)))


def versions(session: Session, listing_id: str) -> list[ListingVersionRow]:
    """All versions of a listing, the newest first."""
    own = select(ListingVersionRow).where(ListingVersionRow.listing_id == listing_id)
    return list(session.exec(own.order_by(col(ListingVersionRow.version).desc())))


def ending(session: Session, before: datetime) -> list[ListingRow]:
    """Published listings whose time is over before then, the earliest first."""
    over = and_(col(ListingRow.status) == "published", col(ListingRow.expires_at) <= before)
    return list(session.exec(select(ListingRow).where(over).order_by(col(ListingRow.expires_at), col(ListingRow.id))))


def earlier_answer(session: Session, principal: str, key: str) -> IdempotencyRow | None:
    """What a request with this Idempotency-Key was answered with."""
    return session.get(IdempotencyRow, (principal, key))


def forget_answers(session: Session, before: datetime) -> None:
    """Drop answers kept for repeated requests that are older."""
    session.connection().execute(delete(IdempotencyRow).where(col(IdempotencyRow.at) < before))


def last_written(session: Session) -> int:
    """The revision of the listing that was written last, 0 when there is none."""
    return session.exec(select(func.max(ListingRow.revision))).one() or 0


def next_revision(session: Session) -> int:
    """Take a number, in a session that writes: the order of the numbers is that of the commits."""
    counter = session.get_one(RevisionRow, 1)  # one object in a session: counted here, stored with its next flush
    counter.number += 1
    return counter.number


def proposed_up_to(session: Session) -> int:
    """The revision up to which listings have been looked at for proposals."""
    return session.exec(select(RevisionRow.proposed)).one()


def set_proposed_up_to(session: Session, number: int) -> None:
    """Note that listings up to a revision have been looked at; never goes back."""
    behind = col(RevisionRow.proposed) < number
    session.connection().execute(update(RevisionRow).where(behind).values(proposed=number))


def listings_since(session: Session, number: int) -> list[ListingRow]:
    """Listings written after a revision, in the order of their ids."""
    changed = select(ListingRow).where(col(ListingRow.revision) > number).order_by(col(ListingRow.id))
    return list(session.exec(changed))


def written_after(session: Session, number: int, limit: int) -> list[ListingRow]:
    """The next listings by revision, after one."""
    later = select(ListingRow).where(col(ListingRow.revision) > number).order_by(col(ListingRow.revision))
    return list(session.exec(later.limit(limit)))


def published_after(session: Session, listing_id: str, limit: int) -> list[ListingRow]:
    """The next published listings by id, after one."""
    later = select(ListingRow).where(ListingRow.status == "published", col(ListingRow.id) > listing_id)
    return list(session.exec(later.order_by(col(ListingRow.id)).limit(limit)))


def by_ids(session: Session, ids: Collection[str]) -> dict[str, tuple[ListingRow, str]]:
    """Listings by id, each with the node that it belongs to."""
    found: dict[str, tuple[ListingRow, str]] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), BLOCK):
        block = col(ListingRow.id).in_(wanted[start : start + BLOCK])
        rows = session.exec(select(ListingRow, OrganisationRow.node_id).join(OrganisationRow).where(block))
        found.update((row.id, (row, node_id)) for row, node_id in rows)
    return found


def not_embedded(session: Session, encoder: str, after: str, limit: int) -> list[ListingRow]:
    """The next published listings by id, after one, whose texts have no stored embedding by that encoder."""
    there = select(EmbeddingRow.text_hash).where(
        EmbeddingRow.encoder == encoder, EmbeddingRow.text_hash == ListingRow.text_hash
    )
    chosen = select(ListingRow).where(ListingRow.status == "published", col(ListingRow.id) > after, ~there.exists())
    return list(session.exec(chosen.order_by(col(ListingRow.id)).limit(limit)))


def keep_embeddings(session: Session, encoder: str, bodies: Mapping[str, bytes]) -> None:
    """Store embeddings by text hash; one that another process has stored meanwhile stays."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for text_hash, body in bodies.items():
        row = insert(EmbeddingRow).values(encoder=encoder, text_hash=text_hash, body=body)
        session.connection().execute(row.on_conflict_do_nothing())


def embeddings(session: Session, encoder: str, hashes: Collection[str]) -> dict[str, bytes]:
    """The stored embeddings of these texts by text hash; absent ones are left out."""
    wanted = sorted(hashes)
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), BLOCK):
        block = col(EmbeddingRow.text_hash).in_(wanted[start : start + BLOCK])
        both = select(EmbeddingRow.text_hash, EmbeddingRow.body).where(EmbeddingRow.encoder == encoder, block)
        found.update((text_hash, body) for text_hash, body in session.exec(both))
    return found


def embeddings_by_id(session: Session, encoder: str, ids: Collection[str]) -> dict[str, bytes]:
    """The stored embeddings of listings' texts as they are now, by the listings' ids; absent ones are left out.

    Two statements: of one with a join SQLite makes a pass through all embeddings, when the ids are many.
    """
    wanted, hashes = sorted(set(ids)), dict[str, str]()
    for start in range(0, len(wanted), BLOCK):
        block = col(ListingRow.id).in_(wanted[start : start + BLOCK])
        hashes.update(session.exec(select(ListingRow.id, ListingRow.text_hash).where(block)).all())
    bodies = embeddings(session, encoder, set(hashes.values()))
    return {name: bodies[text_hash] for name, text_hash in hashes.items() if text_hash in bodies}
