"""Posting a listing from outside, once: what is sent again under its key gets the answer of the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from app import accounts, listings
from app.access import Principal
from app.errors import FieldError, Unusable
from app.queries import listings as queries
from app.record import Record
from app.repeats import answered_before, keep_answer
from app.tables import ListingRow

SAME_SHOWN = 3  # listings of the very same text that an answer names


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the body that a post is answered with; `row` is None where both are those of an earlier one.

    `same`: listings with the very same text.
    """

    status: int
    body: dict[str, Any]
    row: ListingRow | None
    same: tuple[ListingRow, ...] = ()


def post(
    session: Session,
    who: Principal,
    owner_id: str | None,
    record: Record,
    key: str | None,
    render: Callable[[ListingRow], dict[str, Any]],
    now: datetime,
) -> Answer:
    """Post a listing for an organisation, by default one's own. Raises what `listings.post_listing` does, Unusable."""
    owner_id = owner_id or who.organisation
    if owner_id is None:
        raise Unusable("organisation: for which one is this?", [FieldError("organisation", "must be given")])
    fingerprint = hashlib.sha256(json.dumps([owner_id, record], sort_keys=True).encode()).hexdigest()
    earlier = answered_before(session, who, key, fingerprint) if key is not None else None
    if earlier is not None:
        return Answer(earlier.status, earlier.body, None)
    posted = listings.post_listing(session, who, accounts.organisation(session, who, owner_id), record, now)
    same = queries.same_text(session, who, posted.row.side, posted.row.text_hash, posted.row.id, SAME_SHOWN)
    status, body = 201 if posted.created else 200, render(posted.row)
    if key is not None:
        keep_answer(session, who, key, fingerprint, status, body, now)
    return Answer(status, body, posted.row, tuple(same))
