"""The compliance gate: screenings of offers, and the decisions of named persons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlmodel import Session

from app import compliance, listings, pairings, screening
from app.access import Permission, Principal
from app.asking import Data, Log, Now, Search, allow
from app.errors import FieldError, Unusable
from app.queries import pairings as queries
from app.schemas.pairings import DecisionIn, ScreeningOut, ScreeningsOut
from app.tables import ListingRow
from matching import Side

router = APIRouter(prefix="/api/v1", tags=["compliance"])

Page = Annotated[int, Query(ge=1, le=200)]
Screener = Annotated[Principal, Depends(allow(Permission.SCREEN))]


@router.get("/screenings/due")
def list_due_screenings(who: Screener, data: Data, search: Search, limit: Page = 50) -> ScreeningsOut:
    """Screenings of your nodes' offers that wait for a person's decision, the oldest first."""
    with data.reading() as session:
        rows = queries.undecided(session, who, search.catalogue.digest, pairings.UNDER_WAY, limit)
    return ScreeningsOut(items=[ScreeningOut.of(row, present=True) for row in rows])


@router.get("/listings/{listing_id}/screenings")
def list_screenings(listing_id: str, who: Screener, data: Data, search: Search) -> ScreeningsOut:
    """All screenings of an offer, with the decisions, the newest first."""
    with data.reading() as session:
        offer = _offer(session, who, listing_id)
        rows = queries.screenings(session, offer.id)
    present = (offer.version, search.catalogue.digest)
    items = [ScreeningOut.of(row, present=(row.version, row.catalogue) == present) for row in rows]
    return ScreeningsOut(items=items)


@router.post("/listings/{listing_id}/screenings", status_code=201)
def screen_offer(listing_id: str, who: Screener, data: Data, search: Search, at: Now) -> ScreeningOut:
    """Screen an offer as it is now. What is found is for a person to judge; finding nothing clears nothing."""
    with data.reading() as session:
        offer = _offer(session, who, listing_id)
    return ScreeningOut.of(screening.screen_offer(search, offer, at), present=True)


@router.post("/listings/{listing_id}/screenings/decision", status_code=201)
def decide_screening(
    listing_id: str, body: DecisionIn, who: Screener, data: Data, search: Search, log: Log, at: Now
) -> ScreeningOut:
    """Decide on the present screening of an offer, by name and with a reason."""
    catalogue = search.catalogue.digest
    with data.writing() as session:
        offer = _offer(session, who, listing_id)
        row = compliance.decide(session, who, offer, catalogue, body.decision, body.reason, at)
        log.record(
            session,
            who,
            "screening.decide",
            offer.id,
            at,
            decision=body.decision,
            version=row.version,
            catalogue=catalogue,
        )
    return ScreeningOut.of(row, present=True)


def _offer(session: Session, who: Principal, listing_id: str) -> ListingRow:
    row = listings.owned(session, who, listing_id)
    if row.side != Side.OFFER:
        raise Unusable("listing_id: needs are not screened", [FieldError("listing_id", "must be an offer")])
    return row
