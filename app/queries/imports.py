"""Imports, and the listings that an export holds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, SQLColumnExpression, true, tuple_
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.record import Record
from app.tables import ImportRow, ListingRow, OrganisationRow

BLOCK = 1_000


def in_state(session: Session, state: str) -> list[ImportRow]:
    """All imports in a state, the oldest first."""
    chosen = select(ImportRow).where(ImportRow.state == state)
    return list(session.exec(chosen.order_by(col(ImportRow.created_at), col(ImportRow.id))))


def page(session: Session, who: Principal, before: ImportRow | None, limit: int) -> list[tuple[ImportRow, str]]:
    """The principal's imports with the names of their organisations, the newest first, after one of them."""
    chosen = select(ImportRow, OrganisationRow.name).join(OrganisationRow)
    chosen = chosen.where(owned(who, col(ImportRow.organisation_id)))
    if before is not None:
        place = tuple_(col(ImportRow.created_at), col(ImportRow.id))
        chosen = chosen.where(place < (before.created_at, before.id))
    return list(session.exec(chosen.order_by(col(ImportRow.created_at).desc(), col(ImportRow.id).desc()).limit(limit)))


def written(session: Session, row: ImportRow, limit: int) -> list[ListingRow]:
    """Listings of an import's organisation that were written while it ran, the newest first."""
    chosen = select(ListingRow).where(ListingRow.organisation_id == row.organisation_id)
    chosen = chosen.where(col(ListingRow.updated_at).between(row.created_at, row.updated_at))
    return list(session.exec(chosen.order_by(col(ListingRow.updated_at).desc(), col(ListingRow.id)).limit(limit)))


def managed_records(session: Session, who: Principal, organisation_id: str | None) -> Iterator[Record]:
    """The records of living listings that are the principal's to change, by their ids; read in blocks."""
    chosen = select(ListingRow).join(OrganisationRow).where(owned(who, col(ListingRow.organisation_id)))
    chosen = chosen.where(col(ListingRow.status).in_(["submitted", "returned", "published"]))
    if organisation_id is not None:
        chosen = chosen.where(ListingRow.organisation_id == organisation_id)
    after = ""
    while rows := list(
        session.exec(chosen.where(col(ListingRow.id) > after).order_by(col(ListingRow.id)).limit(BLOCK))
    ):
        yield from (row.record for row in rows)
        after = rows[-1].id
        session.expunge_all()


def owned(who: Principal, organisation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """`Principal.holds` as a condition on what is joined with its organisation."""
    if who.role is Role.PARTNER:
        return organisation_id == who.organisation
    return true() if who.sees_all else col(OrganisationRow.node_id).in_(sorted(who.nodes or ()))
