"""Deliveries: which are due, which are had by a worker, which can be forgotten."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, CursorResult, and_, case, delete, func, or_, update
from sqlmodel import Session, col, select

from app.tables import DeliveryRow, EventRow, SubscriptionRow


def with_room(session: Session, now: datetime, at_once: int) -> dict[str, int]:
    """Active subscriptions for which something is due that no worker has, and for how many more there is room."""
    had = func.sum(case((col(DeliveryRow.claimed_until) > now, 1), else_=0))
    free = func.sum(case((_due(now), 1), else_=0))
    chosen = (
        select(DeliveryRow.subscription_id, had)
        .join(SubscriptionRow)
        .where(DeliveryRow.status == "pending", col(SubscriptionRow.active).is_(True))
        .group_by(col(DeliveryRow.subscription_id))
        .having(and_(free > 0, had < at_once))
    )
    return {name: at_once - int(count) for name, count in session.exec(chosen).all()}


def due(session: Session, subscription_id: str, now: datetime, limit: int) -> list[DeliveryRow]:
    """What is due for a subscription and had by no worker, the oldest event first."""
    chosen = select(DeliveryRow).join(EventRow).where(DeliveryRow.subscription_id == subscription_id, _due(now))
    return list(session.exec(chosen.order_by(col(EventRow.sequence)).limit(limit)))


def _due(now: datetime) -> ColumnElement[bool]:
    free = or_(col(DeliveryRow.claimed_until).is_(None), col(DeliveryRow.claimed_until) <= now)
    return and_(col(DeliveryRow.status) == "pending", col(DeliveryRow.due_at) <= now, free)


def delivery(session: Session, subscription_id: str, event_id: str) -> DeliveryRow | None:
    """One delivery."""
    return session.get(DeliveryRow, (subscription_id, event_id))


def page(
    session: Session, subscription_id: str, status: str | None, before: int | None, limit: int
) -> list[tuple[DeliveryRow, EventRow]]:
    """Deliveries of a subscription with their events, the newest event first, below a sequence number."""
    chosen = select(DeliveryRow, EventRow).join(EventRow).where(DeliveryRow.subscription_id == subscription_id)
    if status is not None:
        chosen = chosen.where(DeliveryRow.status == status)
    if before is not None:
        chosen = chosen.where(col(EventRow.sequence) < before)
    return list(session.exec(chosen.order_by(col(EventRow.sequence).desc()).limit(limit)).all())


def standing(session: Session, subscription_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """How many deliveries of each subscription stand where."""
    chosen = select(DeliveryRow.subscription_id, DeliveryRow.status, func.count())
    chosen = chosen.where(col(DeliveryRow.subscription_id).in_(sorted(subscription_ids)))
    found: dict[str, dict[str, int]] = {}
    for name, status, count in session.exec(chosen.group_by(col(DeliveryRow.subscription_id), col(DeliveryRow.status))):
        found.setdefault(name, {})[status] = count
    return found


def revive_dead(session: Session, subscription_id: str, now: datetime) -> int:
    """Make all dead deliveries of a subscription due anew. How many there were."""
    dead = and_(col(DeliveryRow.subscription_id) == subscription_id, col(DeliveryRow.status) == "dead")
    anew = {
        "status": "pending",
        "replay": col(DeliveryRow.replay) + 1,
        "attempts": 0,
        "due_at": now,
        "claimed_until": None,
        "updated_at": now,
    }
    done = session.connection().execute(update(DeliveryRow).where(dead).values(anew))
    assert isinstance(done, CursorResult)
    return done.rowcount


def forget_delivered(session: Session, before: datetime) -> None:
    """Drop deliveries that were made before then."""
    old = and_(col(DeliveryRow.status) == "delivered", col(DeliveryRow.updated_at) < before)
    session.connection().execute(delete(DeliveryRow).where(old))


def forget_subscription(session: Session, subscription_id: str) -> None:
    """Drop a subscription and its deliveries."""
    session.connection().execute(delete(DeliveryRow).where(col(DeliveryRow.subscription_id) == subscription_id))
    session.connection().execute(delete(SubscriptionRow).where(col(SubscriptionRow.id) == subscription_id))
