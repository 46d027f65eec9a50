"""The outbox, subscriptions, deliveries and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from app.tables import AuditRow, EventRow, SubscriptionRow


def events_after(
    session: Session, audience: str, organisation_id: str | None, after: int, limit: int
) -> list[EventRow]:
    """The next events of an audience after a sequence number."""
    chosen = select(EventRow).where(EventRow.audience == audience, col(EventRow.sequence) > after)
    if organisation_id is not None:
        chosen = chosen.where(EventRow.organisation_id == organisation_id)
    return list(session.exec(chosen.order_by(col(EventRow.sequence)).limit(limit)))


def event(session: Session, event_id: str) -> EventRow | None:
    """One event."""
    return session.exec(select(EventRow).where(EventRow.id == event_id)).first()


def subscribers(session: Session, audience: str, organisation_id: str | None) -> list[SubscriptionRow]:
    """Active subscriptions to an audience; of one organisation where the audience is an organisation's own."""
    chosen = select(SubscriptionRow).where(SubscriptionRow.audience == audience, col(SubscriptionRow.active).is_(True))
    if organisation_id is not None:
        chosen = chosen.where(SubscriptionRow.organisation_id == organisation_id)
    return list(session.exec(chosen.order_by(col(SubscriptionRow.id))))


def subscriptions(session: Session, organisation_id: str) -> list[SubscriptionRow]:
    """All subscriptions of an organisation, the oldest first."""
    chosen = select(SubscriptionRow).where(SubscriptionRow.organisation_id == organisation_id)
    return list(session.exec(chosen.order_by(col(SubscriptionRow.created_at), col(SubscriptionRow.id))))


def last_audit(session: Session) -> AuditRow | None:
    """The newest line of the audit log."""
    return session.exec(select(AuditRow).order_by(col(AuditRow.number).desc()).limit(1)).first()


def audit(session: Session, after: int, limit: int) -> list[AuditRow]:
    """The next lines of the audit log after a number."""
    chosen = select(AuditRow).where(col(AuditRow.number) > after).order_by(col(AuditRow.number)).limit(limit)
    return list(session.exec(chosen))


def audit_actions(session: Session) -> list[str]:
    """What the audit log has lines of."""
    return list(session.exec(select(AuditRow.action).distinct().order_by(col(AuditRow.action))))


def search_audit(
    session: Session,
    *,
    action: str,
    actors: Collection[str] | None,
    subject: str,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> list[AuditRow]:
    """The newest lines of the audit log, below a number; each condition that is empty or None asks for nothing."""
    chosen = select(AuditRow)
    if action:
        chosen = chosen.where(AuditRow.action == action)
    if actors is not None:
        chosen = chosen.where(col(AuditRow.actor_id).in_(sorted(actors)))
    if subject:
        chosen = chosen.where(AuditRow.subject == subject)
    if since is not None:
        chosen = chosen.where(col(AuditRow.at) >= since)
    if until is not None:
        chosen = chosen.where(col(AuditRow.at) < until)
    if before is not None:
        chosen = chosen.where(col(AuditRow.number) < before)
    return list(session.exec(chosen.order_by(col(AuditRow.number).desc()).limit(limit)))


def whole_audit(session: Session) -> Iterator[AuditRow]:
    """All lines of the audit log in their order, read in blocks."""
    after = 0
    while block := audit(session, after, 1_000):
        yield from block
        after = block[-1].number
