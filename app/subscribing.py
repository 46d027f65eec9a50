"""What is done to subscriptions, each with the line of the audit log that goes with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app import accounts, subscriptions
from app.access import Principal
from app.audit import Audit
from app.db import Database
from app.destinations import Allowed
from app.events import Audience
from app.tables import DeliveryRow, EventRow, SubscriptionRow


def create(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    allowed: Allowed,
    *,
    organisation_id: str,
    audience: Audience,
    url: str,
    types: list[str],
) -> SubscriptionRow:
    """A new subscription of an organisation."""
    subscriptions.check_url(url, allowed)
    with data.writing() as session:
        owner = accounts.organisation(session, who, organisation_id)
        row = subscriptions.create(session, who, owner, audience, url, types, at)
        log.record(session, who, "subscription.create", row.id, at, organisation=owner.id, audience=row.audience)
    return row


def change(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    allowed: Allowed,
    subscription_id: str,
    changes: dict[str, Any],
) -> SubscriptionRow:
    """Change the address or the types, pause or go on: whatever of `url`, `types` and `active` there is."""
    if "url" in changes:
        subscriptions.check_url(changes["url"], allowed)
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        wanted = {name: changes.get(name) for name in ("url", "types", "active")}
        subscriptions.change(session, row, **wanted)
        log.record(session, who, "subscription.change", row.id, at, changed=sorted(changes))
    return row


def delete(data: Database, log: Audit, who: Principal, at: datetime, subscription_id: str) -> str:
    """End a subscription, with its deliveries; whose it was."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        subscriptions.delete(session, row)
        log.record(session, who, "subscription.delete", row.id, at, organisation=row.organisation_id)
    return row.organisation_id


def rotate(data: Database, log: Audit, who: Principal, at: datetime, subscription_id: str) -> SubscriptionRow:
    """A new secret."""
    with data.writing() as session:
        row = subscriptions.rotate(session, subscriptions.owned(session, who, subscription_id), at)
        log.record(session, who, "subscription.rotate", row.id, at, generation=row.generation)
    return row


def ping(data: Database, who: Principal, at: datetime, subscription_id: str) -> str:
    """Try a subscription; the id of the event that is sent."""
    with data.writing() as session:
        return subscriptions.ping(session, subscriptions.owned(session, who, subscription_id), at)


def replay(
    data: Database, log: Audit, who: Principal, at: datetime, subscription_id: str, event_id: str
) -> tuple[DeliveryRow, EventRow]:
    """Deliver an event once more."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        delivery, event = subscriptions.replay(session, row, event_id, at)
        log.record(session, who, "subscription.replay", row.id, at, event=event.id, replay=delivery.replay)
    return delivery, event


def replay_dead(data: Database, log: Audit, who: Principal, at: datetime, subscription_id: str) -> int:
    """Deliver all dead ones anew; how many there are."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        count = subscriptions.replay_dead(session, row, at)
        log.record(session, who, "subscription.replay", row.id, at, dead=count)
    return count
