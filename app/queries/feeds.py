"""Selects for those who harvest: what is public to everybody, and what has been and is no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, tuple_
from sqlmodel import Session, col, select

from app.queries.listings import Wanted, narrowed
from app.tables import ListingRow, ListingVersionRow


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a feed ended: a time of publication and, among equal ones, an id."""

    published_at: datetime
    id: str


def public() -> ColumnElement[bool]:
    """What anybody may read."""
    return and_(col(ListingRow.status) == "published", col(ListingRow.disclosure) == "public")


def newest(session: Session, wanted: Wanted, before: Place | None, limit: int) -> list[ListingRow]:
    """Public listings before a place, the newest first."""
    chosen = narrowed(select(ListingRow).where(public()), wanted)
    order = tuple_(col(ListingRow.published_at), col(ListingRow.id))
    if before is not None:
        chosen = chosen.where(order < tuple_(before.published_at, before.id))
    ordered = chosen.order_by(col(ListingRow.published_at).desc(), col(ListingRow.id).desc())
    return list(session.exec(ordered.limit(limit)))


def last_change(session: Session) -> datetime | None:
    """When any listing was written last: one that has left a feed changes it too."""
    return session.exec(select(func.max(ListingRow.updated_at))).one()


def harvest(
    session: Session, wanted: Wanted, since: datetime | None, until: datetime | None, after: int, limit: int
) -> list[ListingRow]:
    """Listings that are or have been public, by the write that made them what they are; `until` is not included."""
    chosen = narrowed(select(ListingRow).where(or_(public(), _was_public()), col(ListingRow.revision) > after), wanted)
    if since is not None:
        chosen = chosen.where(col(ListingRow.updated_at) >= since)
    if until is not None:
        chosen = chosen.where(col(ListingRow.updated_at) < until)
    return list(session.exec(chosen.order_by(col(ListingRow.revision)).limit(limit)))


def harvestable(session: Session, listing_id: str) -> ListingRow | None:
    """One listing that is or has been public."""
    chosen = select(ListingRow).where(ListingRow.id == listing_id, or_(public(), _was_public()))
    return session.exec(chosen).first()


def _was_public() -> ColumnElement[bool]:
    """Published once, with a version for everybody: harvesters may hold it and must hear that it is gone."""
    level = col(ListingVersionRow.record)["disclosure"].as_string()
    version = and_(col(ListingVersionRow.listing_id) == col(ListingRow.id), or_(level.is_(None), level == "public"))
    return and_(col(ListingRow.published_at).is_not(None), exists().where(version))
