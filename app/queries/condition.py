"""What waits, as numbers: read at each scrape, so every one of these goes through an index or a small table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from app.queries.pairings import counted
from app.tables import DeliveryRow, ImportRow, ListingRow, RevisionRow, SubscriptionRow


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the database is, and what waits in it.

    `due` are pending deliveries of active subscriptions whose time has come; `oldest_due` is when the first of them
    was due. `waiting` are listings that have not been looked at for proposals.
    """

    revision: int
    waiting: int
    pairings: dict[str, int]
    pending: int
    due: int
    oldest_due: datetime | None
    dead: int
    imports: int


def backlog(session: Session, now: datetime) -> Backlog:
    """All of it, as one state of the database."""
    due, oldest = _due(session, now)
    return Backlog(
        revision=session.exec(select(RevisionRow.number)).one(),
        waiting=waiting(session),
        pairings=counted(session),
        pending=_deliveries(session, "pending"),
        due=due,
        oldest_due=oldest,
        dead=_deliveries(session, "dead"),
        imports=session.exec(select(func.count()).where(ImportRow.state == "running")).one(),
    )


def waiting(session: Session) -> int:
    """Listings written since proposals were last made."""
    looked_at = select(RevisionRow.proposed).scalar_subquery()
    return _count(session, col(ListingRow.revision) > looked_at)


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.exec(select(func.count()).where(condition)).one()


def _deliveries(session: Session, status: str) -> int:
    return _count(session, col(DeliveryRow.status) == status)


def _due(session: Session, now: datetime) -> tuple[int, datetime | None]:
    chosen = select(func.count(), func.min(DeliveryRow.due_at)).select_from(DeliveryRow).join(SubscriptionRow)
    chosen = chosen.where(DeliveryRow.status == "pending", col(DeliveryRow.due_at) <= now)
    return session.exec(chosen.where(col(SubscriptionRow.active).is_(True))).one()
