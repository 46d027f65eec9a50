"""Subscriptions: where an organisation or a platform has its events sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from app import accounts, events
from app.access import Principal, check
from app.deliveries import Status
from app.destinations import Allowed, Refused, check_destination
from app.errors import Conflict, FieldError, NotFound, Unusable
from app.events import EVENT_TYPES, NEEDED, Audience
from app.queries import deliveries as queries
from app.queries import events as event_queries
from app.tables import DeliveryRow, EventRow, OrganisationRow, SubscriptionRow

BOTH_SIGN = timedelta(hours=24)
MOST = 20  # of one organisation


def check_url(url: str, allowed: Allowed) -> None:
    """Raises Unusable for an address that webhooks do not go to. Asks the resolver: not inside a transaction."""
    try:
        check_destination(url, allowed)
    except Refused as error:
        raise Unusable(f"url: {error}", [FieldError("url", str(error))]) from error


def create(
    session: Session,
    who: Principal,
    owner: OrganisationRow,
    audience: Audience,
    url: str,
    types: list[str],
    now: datetime,
) -> SubscriptionRow:
    """A new subscription to a checked address. Raises Forbidden for an audience that is not the principal's."""
    check(who, NEEDED[audience])
    _check_types(types)
    if len(event_queries.subscriptions(session, owner.id)) >= MOST:
        raise Conflict(f"the organisation has {MOST} subscriptions; delete one first")
    row = SubscriptionRow(
        organisation_id=owner.id,
        audience=audience,
        url=url,
        types=sorted(set(types)),
        created_by=who.label,
        created_at=now,
    )
    session.add(row)
    session.flush()
    events.forget_subscribers(session)
    return row


def of_organisation(session: Session, who: Principal, owner: OrganisationRow) -> list[SubscriptionRow]:
    """Those subscriptions of an organisation whose audience is the principal's too."""
    rows = event_queries.subscriptions(session, owner.id)
    return [row for row in rows if NEEDED[Audience(row.audience)] in who.permissions]


def owned(session: Session, who: Principal, subscription_id: str) -> SubscriptionRow:
    """One subscription that is the principal's business. Raises NotFound."""
    row = session.get(SubscriptionRow, subscription_id)
    if row is None or NEEDED[Audience(row.audience)] not in who.permissions:
        raise _unknown(subscription_id)
    try:
        accounts.organisation(session, who, row.organisation_id)
    except NotFound as error:
        raise _unknown(subscription_id) from error
    return row


def _unknown(subscription_id: str) -> NotFound:
    return NotFound(f"there is no subscription {subscription_id!r:.220}")


def change(
    session: Session, row: SubscriptionRow, *, url: str | None, types: list[str] | None, active: bool | None
) -> SubscriptionRow:
    """Change what is not None. What is pending waits while a subscription is not active; nothing new is added."""
    if types is not None:
        _check_types(types)
        row.types = sorted(set(types))
    row.url = row.url if url is None else url
    row.active = row.active if active is None else active
    session.add(row)
    events.forget_subscribers(session)
    return row


def rotate(session: Session, row: SubscriptionRow, now: datetime) -> SubscriptionRow:
    """A new secret. The one before signs too for a day; an even older one no longer."""
    row.generation, row.previous_until = row.generation + 1, now + BOTH_SIGN
    session.add(row)
    return row


def delete(session: Session, row: SubscriptionRow) -> None:
    """Remove a subscription with its deliveries, those that wait too."""
    session.expunge(row)
    events.forget_subscribers(session)
    queries.forget_subscription(session, row.id)


def ping(session: Session, row: SubscriptionRow, now: datetime) -> str:
    """An event for this subscription alone; its id. Raises Conflict for one that is not active."""
    if not row.active:
        raise Conflict("the subscription is not active; activate it first")
    return events.ping(session, row.id, now)


def replay(session: Session, row: SubscriptionRow, event_id: str, now: datetime) -> tuple[DeliveryRow, EventRow]:
    """Deliver an event once more, under the same id. Raises NotFound, Conflict for one that is still to be made."""
    delivery = queries.delivery(session, row.id, event_id)
    event = event_queries.event(session, event_id)
    if delivery is None or event is None:
        raise NotFound(f"the subscription has no delivery of the event {event_id!r:.220}")
    if delivery.status == Status.PENDING:
        raise Conflict("the delivery is pending; it is made without asking")
    delivery.status, delivery.replay, delivery.attempts = Status.PENDING, delivery.replay + 1, 0
    delivery.due_at, delivery.claimed_until, delivery.updated_at = now, None, now
    session.add(delivery)
    return delivery, event


def replay_dead(session: Session, row: SubscriptionRow, now: datetime) -> int:
    """Deliver all dead ones anew. How many there are."""
    return queries.revive_dead(session, row.id, now)


def _check_types(types: list[str]) -> None:
    unknown = [one for one in types if one not in EVENT_TYPES]
    if unknown:
        fix = f"{unknown[0]!r:.60} is not one of {', '.join(EVENT_TYPES)}"
        raise Unusable(f"types: {fix}", [FieldError("types", fix)])
