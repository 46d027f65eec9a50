"""Screenings follow the pairings: what somebody has taken up and goes out is screened without being asked for.

A new version of the offer, or another catalogue, is screened again in the same way.
"""

from __future__ import annotations

from datetime import datetime

from app import compliance, pairings
from app.listings import listing_of
from app.queries import pairings as queries
from app.search import Live
from app.tables import ListingRow, ScreeningRow
from matching import Direction

BLOCK = 10  # offers screened in one go: a new catalogue makes thousands due, and what is posted must not wait for them


def screen_due(live: Live, now: datetime) -> int:
    """Screen some of the offers of pairings under way that are not yet screened as they are. How many.

    Raises NotReady.
    """
    with live.database.reading() as session:
        catalogue = live.catalogue.digest
        due = queries.offers_to_screen(session, catalogue, pairings.UNDER_WAY, [Direction.GO_OUT], BLOCK)
    for offer in due:
        screen_offer(live, offer, now)
    return len(due)


def screen_offer(live: Live, offer: ListingRow, now: datetime) -> ScreeningRow:
    """Screen an offer as it is now and keep what is found. Raises NotReady."""
    found = live.screen(listing_of(offer))
    with live.database.writing() as session:
        return compliance.keep_screening(session, offer, live.catalogue.digest, found, now)
