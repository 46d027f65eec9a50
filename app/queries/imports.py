"""Imports, and the listings that an export holds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, true
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.record import Record
from app.tables import ImportRow, ListingRow, OrganisationRow

BLOCK = 1_000


def in_state(session: Session, state: str) -> list[ImportRow]:
    """All imports in a state, the oldest first."""
    chosen = select(ImportRow).where(ImportRow.state == state)
    return list(session.exec(chosen.order_by(col(ImportRow.created_at), col(ImportRow.id))))


def managed_records(session: Session, who: Principal, organisation_id: str | None) -> Iterator[Record]:
    """The records of living listings that are the principal's to change, by their ids; read in blocks."""
    chosen = select(ListingRow).join(OrganisationRow).where(_held(who))
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


def _held(who: Principal) -> ColumnElement[bool]:
    """`Principal.holds` as a condition on listings joined with their organisations."""
    if who.role is Role.PARTNER:
        return col(ListingRow.organisation_id) == who.organisation
    return true() if who.sees_all else col(OrganisationRow.node_id).in_(sorted(who.nodes or ()))
