"""What time makes of things: listings end, and what need not be kept is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from app import listings
from app.db import Database
from app.queries import accounts as account_queries
from app.queries import deliveries as delivery_queries
from app.queries import listings as listing_queries
from app.repeats import REMEMBERED

DELIVERED_KEPT = timedelta(days=30)


def tidy(database: Database, now: datetime) -> int:
    """Let listings expire and drop what is over; each is safe to do twice. How many listings ended."""
    with database.writing() as session:
        ended = listings.expire(session, now)
    with database.writing() as session:
        listing_queries.forget_answers(session, now - REMEMBERED)
        account_queries.end_old_sign_ins(session, now)
        delivery_queries.forget_delivered(session, now - DELIVERED_KEPT)
    return ended
