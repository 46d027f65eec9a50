"""A request that is sent again under the same Idempotency-Key gets the answer of the first and does nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from app.access import Principal
from app.errors import FieldError, Unusable
from app.queries import listings as queries
from app.tables import IdempotencyRow

REMEMBERED = timedelta(days=7)


def answered_before(session: Session, who: Principal, key: str, fingerprint: str) -> IdempotencyRow | None:
    """The answer of the first request. Raises Unusable where the key came with another request."""
    row = queries.earlier_answer(session, who.label, key)
    if row is not None and row.fingerprint != fingerprint:
        fix = "has come with another request; take a new key for a new request"
        raise Unusable(f"Idempotency-Key: {fix}", [FieldError("Idempotency-Key", fix)])
    return row


def keep_answer(
    session: Session, who: Principal, key: str, fingerprint: str, status: int, body: dict[str, Any], now: datetime
) -> None:
    """Remember an answer for a week, in the transaction of what it answers."""
    queries.forget_answers(session, now - REMEMBERED)
    session.add(IdempotencyRow(principal=who.label, key=key, fingerprint=fingerprint, status=status, body=body, at=now))
