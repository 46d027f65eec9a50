"""The outbox: what happened is written in the transaction in which it happened, for each audience that is to know.

The same rows are the change feed. Their numbers come from the revision counter, which a writer holds until its commit:
a reader who has seen number n will never find a later row below n, so a cursor misses nothing and doubles nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from app.access import Permission
from app.db import add_after
from app.queries import events as queries
from app.queries import listings as listing_queries
from app.tables import DeliveryRow, EventRow, SubscriptionRow, new_id

SOURCE = "/dukou"
SUBSCRIBERS = "dukou_subscribers"  # what a session keeps them under


class Audience(StrEnum):
    """Who is told: the information platform, the trading platform, an organisation of its own affairs."""

    INFORMATION = "information"
    TRADING = "trading"
    ORGANISATION = "organisation"


NEEDED = {
    Audience.INFORMATION: Permission.INFORMATION,
    Audience.TRADING: Permission.TRADING,
    Audience.ORGANISATION: Permission.CHANGES,
}
PING = "test.ping"

EVENT_TYPES = (
    "listing.published",
    "listing.revised",
    "listing.withdrawn",
    "listing.expired",
    "listing.returned",
    "listing.expiring",
    "pairing.offered",
    "pairing.mutual",
    "pairing.introduced",
    "pairing.negotiating",
    "pairing.contracted",
    "pairing.completed",
    "pairing.declined",
    "pairing.lapsed",
    "pairing.withdrawn",
    PING,
)


def emit(
    session: Session,
    audience: Audience,
    kind: str,
    subject: str,
    data: dict[str, Any],
    now: datetime,
    organisation_id: str | None = None,
) -> str:
    """Write an event, and a delivery of it for each subscription that wants it. The event's id."""
    assert kind in EVENT_TYPES, kind
    event_id = _write(session, audience, kind, subject, data, now, organisation_id)
    for subscription in _subscribers(session, audience, organisation_id):
        if not subscription.types or kind in subscription.types:
            _deliver(session, subscription.id, event_id, now)
    return event_id


def ping(session: Session, subscription_id: str, now: datetime) -> str:
    """An event for one subscription, to try it; its id. Its audience is nobody else's: no feed shows it."""
    event_id = _write(session, "test", PING, subscription_id, {"subscription": subscription_id}, now, None)
    _deliver(session, subscription_id, event_id, now)
    return event_id


def _write(
    session: Session,
    audience: str,
    kind: str,
    subject: str,
    data: dict[str, Any],
    now: datetime,
    organisation_id: str | None,
) -> str:
    event_id = new_id()
    add_after(
        session,
        EventRow,
        sequence=listing_queries.next_revision(session),
        id=event_id,
        audience=audience,
        organisation_id=organisation_id,
        type=kind,
        subject=subject,
        data=data,
        at=now,
    )
    return event_id


def _deliver(session: Session, subscription_id: str, event_id: str, now: datetime) -> None:
    """Note that an event is to be sent to a subscription."""
    add_after(
        session,
        DeliveryRow,
        subscription_id=subscription_id,
        event_id=event_id,
        status="pending",
        replay=0,
        attempts=0,
        due_at=now,
        created_at=now,
        updated_at=now,
    )


def forget_subscribers(session: Session) -> None:
    """Have them looked up anew, in a transaction that has changed them."""
    session.info.pop(SUBSCRIBERS, None)


def _subscribers(session: Session, audience: Audience, organisation_id: str | None) -> list[SubscriptionRow]:
    """Looked up once in a transaction: others that write wait for its end."""
    known: dict[Any, list[SubscriptionRow]] = session.info.setdefault(SUBSCRIBERS, {})
    if (audience, organisation_id) not in known:
        known[audience, organisation_id] = queries.subscribers(session, audience, organisation_id)
    return known[audience, organisation_id]


def envelope(event: EventRow) -> dict[str, Any]:
    """The event in its CloudEvents 1.0 form; `sequence` is that specification's extension of the name."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": f"dukou.{event.type}",
        "subject": event.subject,
        "time": event.at.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": str(event.sequence),
        "data": event.data,
    }
