"""Subscriptions to webhooks, and what became of each delivery."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app import accounts, subscriptions
from app.access import Permission, Principal
from app.asking import Data, Log, Now, after_number, allow
from app.deliveries import Status
from app.destinations import Allowed
from app.errors import FieldError, Unusable
from app.queries import deliveries as queries
from app.schemas.webhooks import (
    DeliveriesOut,
    DeliveryOut,
    PingOut,
    ReplayedOut,
    SecretOut,
    SubscriptionChange,
    SubscriptionIn,
    SubscriptionOut,
    SubscriptionsOut,
)
from app.signing import Signing
from app.tables import SubscriptionRow

router = APIRouter(prefix="/api/v1/subscriptions", tags=["webhooks"])


def signing(request: Request) -> Signing:
    """What derives the secrets of this application's subscriptions."""
    found: Signing = request.app.state.signing
    return found


def allowed(request: Request) -> Allowed:
    """The operator's own platforms."""
    found: Allowed = request.app.state.allowed
    return found


Owner = Annotated[Principal, Depends(allow(Permission.WEBHOOKS))]
Secrets = Annotated[Signing, Depends(signing)]
Own = Annotated[Allowed, Depends(allowed)]
Page = Annotated[int, Query(ge=1, le=200)]


@router.post("", status_code=201)
def create_subscription(
    body: SubscriptionIn, who: Owner, data: Data, log: Log, at: Now, secrets: Secrets, own: Own
) -> SecretOut:
    """Have events sent to an address. The secret to check their signatures with is shown now and never again."""
    subscriptions.check_url(body.url, own)
    with data.writing() as session:
        owner = accounts.organisation(session, who, _whose(who, body.organisation))
        row = subscriptions.create(session, who, owner, body.audience, body.url, body.types, at)
        log.record(session, who, "subscription.create", row.id, at, organisation=owner.id, audience=row.audience)
    return _with_secret(row, secrets)


@router.get("")
def list_subscriptions(who: Owner, data: Data, organisation: str | None = None) -> SubscriptionsOut:
    """The subscriptions of an organisation, the oldest first."""
    with data.reading() as session:
        owner = accounts.organisation(session, who, _whose(who, organisation))
        rows = subscriptions.of_organisation(session, who, owner)
    return SubscriptionsOut(items=[SubscriptionOut.of(row) for row in rows])


@router.get("/{subscription_id}")
def get_subscription(subscription_id: str, who: Owner, data: Data) -> SubscriptionOut:
    """One subscription."""
    with data.reading() as session:
        row = subscriptions.owned(session, who, subscription_id)
    return SubscriptionOut.of(row)


@router.patch("/{subscription_id}")
def change_subscription(
    subscription_id: str, body: SubscriptionChange, who: Owner, data: Data, log: Log, at: Now, own: Own
) -> SubscriptionOut:
    """Change the address or the types, pause or go on. What is pending waits during a pause; nothing new is added."""
    if body.url is not None:
        subscriptions.check_url(body.url, own)
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        subscriptions.change(session, row, url=body.url, types=body.types, active=body.active)
        changed = sorted(body.model_dump(exclude_none=True))
        log.record(session, who, "subscription.change", row.id, at, changed=changed)
    return SubscriptionOut.of(row)


@router.delete("/{subscription_id}", status_code=204)
def delete_subscription(subscription_id: str, who: Owner, data: Data, log: Log, at: Now) -> Response:
    """End a subscription, with its deliveries. To stop for a while, set `active` to false instead."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        subscriptions.delete(session, row)
        log.record(session, who, "subscription.delete", row.id, at, organisation=row.organisation_id)
    return Response(status_code=204)


@router.post("/{subscription_id}/secret")
def rotate_secret(subscription_id: str, who: Owner, data: Data, log: Log, at: Now, secrets: Secrets) -> SecretOut:
    """A new secret, shown once. For 24 hours the one before signs too, so that nothing is lost meanwhile."""
    with data.writing() as session:
        row = subscriptions.rotate(session, subscriptions.owned(session, who, subscription_id), at)
        log.record(session, who, "subscription.rotate", row.id, at, generation=row.generation)
    return _with_secret(row, secrets)


@router.post("/{subscription_id}/ping", status_code=202)
def ping_subscription(subscription_id: str, who: Owner, data: Data, at: Now) -> PingOut:
    """Send the event `dukou.test.ping` to this subscription alone, to try it."""
    with data.writing() as session:
        event_id = subscriptions.ping(session, subscriptions.owned(session, who, subscription_id), at)
    return PingOut(event=event_id)


@router.get("/{subscription_id}/deliveries")
def list_deliveries(
    subscription_id: str, who: Owner, data: Data, status: Status | None = None, cursor: str = "", limit: Page = 50
) -> DeliveriesOut:
    """What became of each delivery, the newest event first; `status=dead` are those that were given up."""
    before = after_number(cursor) or None
    with data.reading() as session:
        row = subscriptions.owned(session, who, subscription_id)
        found = queries.page(session, row.id, status, before, limit + 1)
    more = str(found[limit - 1][1].sequence) if len(found) > limit else None
    return DeliveriesOut(items=[DeliveryOut.of(*one) for one in found[:limit]], next_cursor=more)


@router.post("/{subscription_id}/deliveries/{event_id}/replay", status_code=202)
def replay_delivery(subscription_id: str, event_id: str, who: Owner, data: Data, log: Log, at: Now) -> DeliveryOut:
    """Deliver an event once more, under the same webhook-id and with the header dukou-replay."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        delivery, event = subscriptions.replay(session, row, event_id, at)
        log.record(session, who, "subscription.replay", row.id, at, event=event.id, replay=delivery.replay)
    return DeliveryOut.of(delivery, event)


@router.post("/{subscription_id}/replay", status_code=202)
def replay_dead(subscription_id: str, who: Owner, data: Data, log: Log, at: Now) -> ReplayedOut:
    """Deliver all dead ones anew."""
    with data.writing() as session:
        row = subscriptions.owned(session, who, subscription_id)
        count = subscriptions.replay_dead(session, row, at)
        log.record(session, who, "subscription.replay", row.id, at, dead=count)
    return ReplayedOut(replayed=count)


def _whose(who: Principal, organisation: str | None) -> str:
    own = organisation or who.organisation
    if own is None:
        raise Unusable("organisation: whose subscriptions?", [FieldError("organisation", "must be given")])
    return own


def _with_secret(row: SubscriptionRow, secrets: Signing) -> SecretOut:
    return SecretOut(subscription=SubscriptionOut.of(row), secret=secrets.secret(row.id, row.generation))
