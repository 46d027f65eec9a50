"""Deliveries of webhooks: what is due, who sends it, what came of it. At least once, under an id that stays.

The table of deliveries is the truth. A worker claims what is due for a limited time and starts a durable workflow for
each (app/worker.py); what has not come to an end by then, because the worker was killed, is due again for any worker.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from app import events
from app.queries import deliveries as queries
from app.queries import events as event_queries
from app.sending import GONE, Outcome
from app.signing import Signing
from app.tables import DeliveryRow, SubscriptionRow

RETRIES = tuple(timedelta(minutes=one) for one in (0.25, 1, 10, 60, 360, 720, 1440))
LONGEST_WAIT = timedelta(days=1)
AT_ONCE = 16  # deliveries of one subscription that workers have at a time: a slow receiver does not hold up others
CLAIM = timedelta(minutes=1)


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Plan:
    """The longest waits before each further attempt, and for how long a worker has a delivery that it takes.

    Each wait is drawn between nothing and its longest (full jitter), so that many deliveries do not come back at once.
    """

    retries: tuple[timedelta, ...] = RETRIES
    claim: timedelta = CLAIM


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt that a worker has taken; `again`: someone had taken it before and did not come to an end."""

    subscription_id: str
    event_id: str
    replay: int
    attempt: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    url: str
    body: bytes
    headers: dict[str, str]


def claim_due(session: Session, plan: Plan, now: datetime) -> list[Claim]:
    """Take what is due, for each subscription no more than AT_ONCE together with what is under way."""
    claims = []
    for subscription_id, room in sorted(queries.with_room(session, now, AT_ONCE).items()):
        for row in queries.due(session, subscription_id, now, room):
            claims.append(_claim(row, again=row.claimed_until is not None))
            row.claimed_until = now + plan.claim
            session.add(row)
    return claims


def _claim(row: DeliveryRow, *, again: bool) -> Claim:
    return Claim(row.subscription_id, row.event_id, row.replay, row.attempts, again)


def message(session: Session, claim: Claim, signing: Signing, now: datetime) -> Message | None:
    """What a claim is to post; None where that is no longer wanted, or done."""
    row = _claimed(session, claim)
    subscription = session.get(SubscriptionRow, claim.subscription_id)
    event = event_queries.event(session, claim.event_id)
    if row is None or event is None or subscription is None or not subscription.active:
        return None
    body = json.dumps(events.envelope(event), ensure_ascii=False, separators=(",", ":")).encode()
    headers = signing.headers(subscription, event.id, body, now)
    if row.replay:
        headers["dukou-replay"] = str(row.replay)
    return Message(subscription.url, body, headers)


def record(session: Session, claim: Claim, outcome: Outcome, plan: Plan, chance: float, now: datetime) -> None:
    """Write down what came of an attempt; `chance`, from 0 to 1, draws the wait before the next one.

    What another worker has written down meanwhile stays. A receiver that is gone gets nothing more.
    """
    row = _claimed(session, claim)
    if row is None:
        return
    row.attempts, row.claimed_until, row.updated_at = row.attempts + 1, None, now
    row.last_status, row.last_error = outcome.status, outcome.error
    if outcome.delivered:
        row.status = Status.DELIVERED
    elif outcome.status == GONE:
        row.status = Status.DEAD
        _deactivate(session, row.subscription_id)
    elif row.attempts > len(plan.retries):
        row.status = Status.DEAD
    else:
        row.due_at = now + _wait(outcome, plan.retries[row.attempts - 1], chance)
    session.add(row)


def _claimed(session: Session, claim: Claim) -> DeliveryRow | None:
    """The delivery, if this attempt of it is still open."""
    row = queries.delivery(session, claim.subscription_id, claim.event_id)
    if row is None or row.status != Status.PENDING or (row.replay, row.attempts) != (claim.replay, claim.attempt):
        return None
    return row


def _deactivate(session: Session, subscription_id: str) -> None:
    subscription = session.get(SubscriptionRow, subscription_id)
    if subscription is not None:
        subscription.active = False
        session.add(subscription)


def _wait(outcome: Outcome, longest: timedelta, chance: float) -> timedelta:
    asked = min(timedelta(seconds=outcome.wait or 0), LONGEST_WAIT)
    return max(longest * chance, asked)
