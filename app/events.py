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
from app.queries import events as queries
from app.queries import listings as listing_queries
from app.tables import DeliveryRow, EventRow

SOURCE = "/dukou"


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
) -> EventRow:
    """Write an event, and a delivery of it for each subscription that wants it."""
    assert kind in EVENT_TYPES, kind
    number = listing_queries.next_revision(session)
    row = EventRow(
        sequence=number,
        audience=audience,
        organisation_id=organisation_id,
        type=kind,
        subject=subject,
        data=data,
        at=now,
    )
    session.add(row)
    session.flush()
    for subscription in queries.subscribers(session, audience, organisation_id):
        if not subscription.types or kind in subscription.types:
            deliver_to(session, subscription.id, row, now)
    return row


def ping(session: Session, subscription_id: str, now: datetime) -> EventRow:
    """An event for one subscription, to try it. Its audience is nobody else's: no feed shows it."""
    row = EventRow(
        sequence=listing_queries.next_revision(session),
        audience="test",
        type=PING,
        subject=subscription_id,
        data={"subscription": subscription_id},
        at=now,
    )
    session.add(row)
    session.flush()
    deliver_to(session, subscription_id, row, now)
    return row


def deliver_to(session: Session, subscription_id: str, event: EventRow, now: datetime) -> None:
    """Note that an event is to be sent to a subscription."""
    session.add(
        DeliveryRow(
            subscription_id=subscription_id,
            event_id=event.id,
            status="pending",
            due_at=now,
            created_at=now,
            updated_at=now,
        )
    )


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
